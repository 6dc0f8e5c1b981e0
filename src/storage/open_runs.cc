#include "storage/open_runs.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>

namespace penstock::storage {

OpenRuns::OpenRuns(std::uint32_t runs_max)
    : runs_max_(runs_max),
      bucket_bits_(static_cast<std::uint32_t>(std::bit_width(runs_max)) + 1),
      run_memory_(std::size_t{runs_max} * sizeof(OpenRun)),
      bucket_memory_((std::size_t{1} << bucket_bits_) * sizeof(std::uint32_t)),
      runs_(reinterpret_cast<OpenRun*>(run_memory_.data())),
      buckets_(reinterpret_cast<std::uint32_t*>(bucket_memory_.data())) {
  static_assert(std::is_trivially_copyable_v<OpenRun>);
}

std::uint32_t OpenRuns::bucket_of(ShardKey key) const {
  const std::uint64_t hash = std::hash<ShardKey>{}(key) * 0x9E3779B97F4A7C15ULL;
  const std::uint32_t mask = (1U << bucket_bits_) - 1;
  std::uint32_t bucket = static_cast<std::uint32_t>(hash >> (64 - bucket_bits_));
  while (buckets_[bucket] != 0 && runs_[buckets_[bucket] - 1].key != key) {
    bucket = (bucket + 1) & mask;
  }
  return bucket;
}

const Run* OpenRuns::find(ShardKey key) const {
  const std::uint32_t position = buckets_[bucket_of(key)];
  return position == 0 ? nullptr : &runs_[position - 1].run;
}

Run& OpenRuns::at(ShardKey key) {
  std::uint32_t& position = buckets_[bucket_of(key)];
  if (position == 0) {
    PENSTOCK_ASSERT(size_ < runs_max_);
    runs_[size_] = OpenRun{key, Run{}};
    position = ++size_;
  }
  return runs_[position - 1].run;
}

void OpenRuns::clear() {
  std::fill_n(buckets_, std::size_t{1} << bucket_bits_, 0U);
  size_ = 0;
}

}  // namespace penstock::storage
