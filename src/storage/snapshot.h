// The encoding of a snapshot: shards, producers, segments and the catalogue as of one block of every cell.
//
// Shape      any number of shards and producers; work and size grow in proportion to them
// Errors     decode: kCorrupt
// Source     src/storage/FORMAT.md §3
#pragma once

#include "penstock/result.h"
#include "storage/format.h"
#include "storage/store.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace penstock::storage {

// REQUIRES: snapshot.cells ascend by cell.
[[nodiscard]] std::vector<std::byte> encode_snapshot(const Snapshot& snapshot,
                                                     const format::Uuid& box,
                                                     std::uint64_t generation);
// Total against any bytes. The hash is the caller's to check.
[[nodiscard]] Result<Snapshot> decode_snapshot(std::span<const std::byte> bytes,
                                               const format::Uuid& box, std::uint16_t cells);

}  // namespace penstock::storage
