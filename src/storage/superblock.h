// The superblock: identity, boot epoch, fences and the names of the snapshots, in four copies.
//
// Shape      one sector a copy; group A (copies 0, 1), then group B (copies 2, 3)
// Errors     kForeignFormat, kCorrupt, kNewerFormat; the Volume's own
// Source     src/storage/FORMAT.md §2
#pragma once

#include "env/disk.h"
#include "penstock/result.h"
#include "storage/format.h"

#include <array>
#include <cstdint>
#include <span>

namespace penstock::storage {

[[nodiscard]] format::Hash128 hash128(std::span<const std::byte> bytes);

inline constexpr const char* kSuperblockName = "superblock";
inline constexpr std::uint64_t kSuperblockMagic = 0x4B434F54534E4550;  // "PENSTOCK"
inline constexpr std::uint32_t kNoSnapshot = 2;
inline constexpr std::uint64_t kIncompatProducers = 1;  // FORMAT.md §2: set by every boot

struct SnapshotPointer {
  std::uint64_t length = 0;
  std::uint64_t generation = 0;
  format::Hash128 hash = {};
  std::uint32_t file = kNoSnapshot;  // 0: snapshot-a, 1: snapshot-b
  std::uint32_t reserved = 0;
};
static_assert(sizeof(SnapshotPointer) == 40);

struct Superblock {
  std::uint64_t magic = kSuperblockMagic;
  std::uint16_t version = format::kVersion;
  std::uint16_t copy = 0;
  std::uint32_t boot_epoch = 0;
  format::Hash128 hash = {};
  format::Hash128 parent = {};
  format::Uuid box = {};
  std::uint64_t seq = 0;
  std::uint64_t tag = 0;
  std::uint64_t compat = 0;
  std::uint64_t ro_compat = 0;
  std::uint64_t incompat = 0;
  std::uint64_t slot_bytes = 0;
  std::uint16_t cells = 0;
  std::uint16_t reserved0 = 0;
  std::uint32_t key_id = 0;
  std::uint64_t fences = 0;
  std::int64_t retention_ms = 0;
  std::int64_t wall_ms = 0;
  SnapshotPointer current;
  SnapshotPointer previous;
  std::uint8_t reserved[3872] = {};
};
static_assert(sizeof(Superblock) == format::kSectorBytes);
static_assert(std::has_unique_object_representations_v<Superblock>);

inline constexpr std::size_t kSuperblockCopies = 4;
inline constexpr std::array<std::uint64_t, kSuperblockCopies> kSuperblockOffsets = {
    0, 4 * kKiB, 1 * kMiB, 1 * kMiB + 4 * kKiB};
inline constexpr std::uint64_t kSuperblockFileBytes = 1 * kMiB + 8 * kKiB;

using SuperblockCopies = std::array<Superblock, kSuperblockCopies>;

// What the hash of a copy must be.
[[nodiscard]] format::Hash128 superblock_hash(const Superblock& block);
// Which copy counts. Total against any bytes.
[[nodiscard]] Result<Superblock> choose_superblock(const SuperblockCopies& copies);

// Reads the copies that can be read (one that cannot counts as not valid) and chooses. Writes nothing.
[[nodiscard]] Result<Superblock> read_superblock(env::Volume& volume, env::FileId file);
// Makes `next` the successor of itself (seq, parent, hash) and durable in all four copies. On an
// error either may be what a later start finds.
[[nodiscard]] Result<> write_superblock(env::Volume& volume, env::FileId file, Superblock& next);

}  // namespace penstock::storage
