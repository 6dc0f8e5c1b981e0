#include "storage/superblock.h"

#include "base/assert.h"
#include "base/pages.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cerrno>

namespace penstock::storage {
namespace {

// Every feature bit that this version knows.
constexpr std::uint64_t kKnownRoCompat = 0;
constexpr std::uint64_t kKnownIncompat = kIncompatProducers;

bool whole(const Superblock& block) {
  return block.magic == kSuperblockMagic && block.hash == superblock_hash(block);
}

bool in_bounds(const Superblock& block) {
  if (block.cells == 0 || block.cells > format::kCellsMax) return false;
  if (block.slot_bytes < format::kSlotBytesMin) return false;
  if (block.slot_bytes > format::kSlotBytesMax - format::kSlotBytesMin) return false;
  return block.slot_bytes % kMiB == 0;
}

}  // namespace

format::Hash128 hash128(std::span<const std::byte> bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest = {};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  format::Hash128 hash = {};
  std::memcpy(hash.data(), digest.data(), hash.size());
  return hash;
}

format::Hash128 superblock_hash(const Superblock& block) {
  Superblock bare = block;
  bare.hash = {};
  bare.copy = 0;
  return hash128(format::bytes_of(bare));
}

Result<Superblock> choose_superblock(const SuperblockCopies& copies) {
  const Superblock* best = nullptr;
  bool ours = false;
  for (const Superblock& copy : copies) {
    ours = ours || copy.magic == kSuperblockMagic;
    if (whole(copy) && (best == nullptr || copy.seq > best->seq)) best = &copy;
  }
  if (best == nullptr) return fail(ours ? ErrorCode::kCorrupt : ErrorCode::kForeignFormat);
  if (best->version > format::kVersion) return fail(ErrorCode::kNewerFormat, best->version);
  if ((best->ro_compat & ~kKnownRoCompat) != 0) return fail(ErrorCode::kNewerFormat);
  if ((best->incompat & ~kKnownIncompat) != 0) return fail(ErrorCode::kNewerFormat);
  if (!in_bounds(*best)) return fail(ErrorCode::kCorrupt);
  return *best;
}

Result<Superblock> read_superblock(env::Volume& volume, env::FileId file) {
  base::Pages sector(format::kSectorBytes);
  SuperblockCopies copies;
  std::optional<Error> failure;
  for (std::size_t i = 0; i < kSuperblockCopies; ++i) {
    copies[i].magic = 0;
    const auto read =
        volume.read(file, kSuperblockOffsets[i], sector.bytes().first(format::kSectorBytes));
    if (read) {
      copies[i] = format::load<Superblock>(sector.bytes());
    } else if (read.error().detail != ENODATA) {  // a file that ends before it holds no copy there
      failure = read.error();
    }
  }
  const auto chosen = choose_superblock(copies);
  // What could not be read is no proof that the directory is somebody else's.
  if (!chosen && chosen.error().code == ErrorCode::kForeignFormat && failure) {
    return std::unexpected(*failure);
  }
  return chosen;
}

Result<> write_superblock(env::Volume& volume, env::FileId file, Superblock& next) {
  PENSTOCK_ASSERT(next.magic == kSuperblockMagic);
  PENSTOCK_ASSERT(in_bounds(next));
  next.parent = next.hash;
  ++next.seq;
  next.hash = superblock_hash(next);

  base::Pages group(2 * format::kSectorBytes);
  // Each write returns when it is durable: group A is safe before group B is touched.
  for (std::uint16_t first = 0; first < kSuperblockCopies;
       first = static_cast<std::uint16_t>(first + 2)) {
    for (std::uint16_t i = 0; i < 2; ++i) {
      next.copy = static_cast<std::uint16_t>(first + i);
      format::store(group.bytes(), i * format::kSectorBytes, next);
    }
    const auto written = volume.write(file, kSuperblockOffsets[first],
                                      group.bytes().first(2 * format::kSectorBytes));
    if (!written) return written;
  }
  next.copy = 0;
  return {};
}

}  // namespace penstock::storage
