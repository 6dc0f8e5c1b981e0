// The catalogue's bytes: one frame per change, and the snapshot of the whole state.
//
// Shape      decoding is total: any bytes give a value or an error, in time and memory linear in
// them Errors     kCorrupt, kNewerFormat Source     src/catalog/FORMAT.md
#pragma once

#include "catalog/state.h"
#include "penstock/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace penstock::catalog {

struct Frame {
  std::uint64_t version = 0;
  Change change;
};

[[nodiscard]] std::vector<std::byte> encode_frame(std::uint64_t version, const Change& change);
[[nodiscard]] Result<Frame> decode_frame(std::span<const std::byte> bytes);

[[nodiscard]] std::vector<std::byte> encode_snapshot(const State& state);
// No bytes at all are the state of a new data directory.
[[nodiscard]] Result<State> decode_snapshot(std::span<const std::byte> bytes);

}  // namespace penstock::catalog
