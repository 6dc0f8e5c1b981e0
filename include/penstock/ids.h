// Identities. A type per kind, so that a shard number never passes for a core number.
//
// Shape      one integer each; compare and hash, nothing else. `.raw()` is the only way out
// Errors     none
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace penstock {

template <class Tag, class Int>
class Id {
 public:
  constexpr Id() = default;
  constexpr explicit Id(Int raw) : raw_(raw) {}
  [[nodiscard]] constexpr Int raw() const { return raw_; }
  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Int raw_ = 0;
};

// A stream's incarnation: never used twice in the life of a data directory. 0 is no stream.
using StreamUid = Id<struct StreamUidTag, std::uint64_t>;
// The N of `shardId-N`, counted per stream from 0 in order of creation.
using ShardNumber = Id<struct ShardNumberTag, std::uint32_t>;
// A fixed group of shards with one journal.
using CellId = Id<struct CellIdTag, std::uint16_t>;
// One pinned thread of the core plan.
using CoreId = Id<struct CoreIdTag, std::uint16_t>;

// One shard of one incarnation of one stream: what every stored frame names.
struct ShardKey {
  StreamUid stream;
  ShardNumber shard;
  friend constexpr auto operator<=>(const ShardKey&, const ShardKey&) = default;
};

}  // namespace penstock

template <class Tag, class Int>
struct std::hash<penstock::Id<Tag, Int>> {
  std::size_t operator()(penstock::Id<Tag, Int> id) const noexcept {
    return std::hash<Int>{}(id.raw());
  }
};

template <>
struct std::hash<penstock::ShardKey> {
  std::size_t operator()(const penstock::ShardKey& key) const noexcept {
    return (key.stream.raw() * 0x9E3779B97F4A7C15ULL) ^ (key.shard.raw() * 0xC2B2AE3D27D4EB4FULL);
  }
};
