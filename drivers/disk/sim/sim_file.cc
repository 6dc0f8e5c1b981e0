#include "drivers/disk/sim/sim_file.h"

#include "base/assert.h"

#include <algorithm>
#include <cstring>

namespace penstock::drivers {
namespace {

bool all_zero(std::span<const std::byte> bytes) {
  // Comparing a range with itself shifted by one byte lets memcmp do the work.
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

std::uint8_t sector_mask(std::size_t at, std::size_t bytes) {
  std::uint8_t mask = 0;
  for (std::size_t sector = at / kSimSector; sector < (at + bytes) / kSimSector; ++sector) {
    mask = static_cast<std::uint8_t>(mask | (1U << sector));
  }
  return mask;
}

}  // namespace

SimFile::PageRef& SimFile::page(std::uint64_t index) {
  if (index >= pages_.size()) pages_.resize(index + 1);
  return pages_[index];
}

void SimFile::store(PageRef& page, std::size_t at, std::span<const std::byte> bytes) {
  if (bytes.size() == kSimPage && all_zero(bytes)) {
    page.reset();
    return;
  }
  if (page == nullptr) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  std::memcpy(page->data() + at, bytes.data(), bytes.size());
}

void SimFile::write(std::uint64_t offset, std::span<const std::byte> bytes, bool durable) {
  PENSTOCK_ASSERT(offset % kSimSector == 0);
  PENSTOCK_ASSERT(bytes.size() % kSimSector == 0);
  size_ = std::max(size_, offset + bytes.size());
  if (durable) durable_size_ = std::max(durable_size_, offset + bytes.size());
  while (!bytes.empty()) {
    const std::uint64_t index = offset / kSimPage;
    const std::size_t at = offset % kSimPage;
    const std::span<const std::byte> part = bytes.first(std::min(bytes.size(), kSimPage - at));
    PageRef& target = page(index);
    const auto unsafe = volatile_.find(index);
    if (!durable) {
      Volatile& entry =
          unsafe != volatile_.end() ? unsafe->second : volatile_[index] = Volatile{target, 0};
      entry.sectors = static_cast<std::uint8_t>(entry.sectors | sector_mask(at, part.size()));
    } else if (unsafe != volatile_.end()) {
      store(unsafe->second.stable, at, part);
      unsafe->second.sectors =
          static_cast<std::uint8_t>(unsafe->second.sectors & ~sector_mask(at, part.size()));
      if (unsafe->second.sectors == 0) volatile_.erase(unsafe);
    }
    store(target, at, part);
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
}

std::size_t SimFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= size_) return 0;
  const std::size_t total = std::min<std::uint64_t>(out.size(), size_ - offset);
  out = out.first(total);
  while (!out.empty()) {
    const std::uint64_t index = offset / kSimPage;
    const std::size_t at = offset % kSimPage;
    const std::size_t part = std::min<std::size_t>(out.size(), kSimPage - at);
    if (index < pages_.size() && pages_[index] != nullptr) {
      std::memcpy(out.data(), pages_[index]->data() + at, part);
    } else {
      std::memset(out.data(), 0, part);
    }
    offset += part;
    out = out.subspan(part);
  }
  return total;
}

std::uint64_t SimFile::lose_volatile(const std::function<bool()>& keep) {
  std::uint64_t lost = 0;
  for (const auto& [index, entry] : volatile_) {
    static constexpr Page kZeros{};
    const Page& stable = entry.stable != nullptr ? *entry.stable : kZeros;
    for (std::size_t sector = 0; sector < kSimPage / kSimSector; ++sector) {
      if ((entry.sectors & (1U << sector)) == 0 || keep()) continue;
      ++lost;
      store(page(index), sector * kSimSector,
            std::span(stable).subspan(sector * kSimSector, kSimSector));
    }
  }
  volatile_.clear();
  // Growth is metadata, written with the first durable write beyond the old end.
  if (size_ > durable_size_) {
    size_ = durable_size_;
    pages_.resize(std::min<std::size_t>(pages_.size(), (size_ + kSimPage - 1) / kSimPage));
  }
  return lost;
}

std::optional<std::uint64_t> SimFile::flip_bit(std::uint64_t offset, std::uint64_t length,
                                               SimRandom& random) {
  const std::uint64_t first = offset / kSimPage;
  const std::uint64_t pages = pages_.size();
  const std::uint64_t end =
      length > size_ ? pages
                     : std::min<std::uint64_t>(pages, (offset + length + kSimPage - 1) / kSimPage);
  std::vector<std::uint64_t> stored;
  for (std::uint64_t index = first; index < end; ++index) {
    if (pages_[index] != nullptr) stored.push_back(index);
  }
  if (stored.empty()) return std::nullopt;
  const std::uint64_t index = stored[random.below(stored.size())];
  const std::uint64_t low = std::max(offset, index * kSimPage);
  const std::uint64_t high =
      std::min(length > size_ ? size_ : offset + length, (index + 1) * kSimPage);
  const std::uint64_t byte = low + random.below(high - low);
  PageRef& target = pages_[index];
  if (target.use_count() > 1) target = std::make_shared<Page>(*target);
  (*target)[byte % kSimPage] ^= static_cast<std::byte>(1U << random.below(8));
  return byte;
}

}  // namespace penstock::drivers
