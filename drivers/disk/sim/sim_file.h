// One file on the simulated medium: what its sectors hold, and which of that would be lost with the
// power.
//
// Units      bytes; a sector is 512 bytes, a page 4096
// Shape      sparse: a page of zeros costs a null pointer. Copies share pages until one writes
// Owner      one simulation, one thread
#pragma once

#include "drivers/sim/random.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace penstock::drivers {

inline constexpr std::uint64_t kSimSector = 512;
inline constexpr std::uint64_t kSimPage = 4096;

class SimFile {
 public:
  explicit SimFile(std::string name) : name_(std::move(name)) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  void rename(std::string name) { name_ = std::move(name); }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  // Whole sectors. What is not durable is read back at once, and may be lost by `lose_volatile`.
  void write(std::uint64_t offset, std::span<const std::byte> bytes, bool durable);
  // Returns how much lies before the end of the file.
  std::size_t read(std::uint64_t offset, std::span<std::byte> out) const;
  // The power is gone: each sector written but not durable keeps its new content where `keep` says
  // so. Returns how many did not.
  std::uint64_t lose_volatile(const std::function<bool()>& keep);
  // Flips one bit of a page in [offset, offset + length) that is not all zeros, for good. Returns
  // the byte's offset; nothing where there is no such page.
  std::optional<std::uint64_t> flip_bit(std::uint64_t offset, std::uint64_t length,
                                        SimRandom& random);

 private:
  using Page = std::array<std::byte, kSimPage>;
  using PageRef = std::shared_ptr<Page>;  // null: zeros
  struct Volatile {
    PageRef stable;            // the page as the medium has it
    std::uint8_t sectors = 0;  // which sectors differ from it, a bit each
  };

  static void store(PageRef& page, std::size_t at, std::span<const std::byte> bytes);
  PageRef& page(std::uint64_t index);

  std::string name_;
  std::uint64_t size_ = 0;
  std::uint64_t durable_size_ = 0;
  std::vector<PageRef> pages_;
  std::map<std::uint64_t, Volatile> volatile_;  // by page
};

}  // namespace penstock::drivers
