// Any bytes as the four copies of a superblock, as they are and with hashes made right: what is chosen
// is within bounds and not older than another copy that is whole.
#include "storage/superblock.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

using namespace penstock::storage;

void check(const SuperblockCopies& copies) {
  const auto chosen = choose_superblock(copies);
  if (!chosen) return;
  if (chosen->cells == 0 || chosen->cells > format::kCellsMax) std::abort();
  if (chosen->slot_bytes < format::kSlotBytesMin) std::abort();
  for (const Superblock& copy : copies) {
    const bool whole = copy.magic == kSuperblockMagic && copy.hash == superblock_hash(copy);
    if (whole && copy.seq > chosen->seq) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SuperblockCopies copies;
  for (Superblock& copy : copies) copy = Superblock{};
  // A fourth of the input each, at the start of its copy: that is where the fields are.
  const std::size_t part = std::min(size / kSuperblockCopies, sizeof(Superblock));
  for (std::size_t i = 0; i < kSuperblockCopies; ++i) {
    if (part > 0) std::memcpy(static_cast<void*>(&copies[i]), data + i * part, part);
  }
  check(copies);
  for (Superblock& copy : copies) {
    copy.magic = kSuperblockMagic;
    copy.hash = superblock_hash(copy);
  }
  check(copies);
  return 0;
}
