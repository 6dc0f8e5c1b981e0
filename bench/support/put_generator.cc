#include "bench/support/put_generator.h"

#include <fmt/format.h>

#include <random>

namespace penstock::bench {
namespace {

constexpr std::uint16_t kKeyBytes = 16;
constexpr std::size_t kPoolBytes = kMiB;  // records lie here, so that copies come from the L2 cache

}  // namespace

PutGenerator::PutGenerator(InProcess& target, std::uint32_t shards, const PutLoad& load)
    : target_(target) {
  const std::uint32_t data_bytes = load.record_bytes - kKeyBytes;
  std::mt19937_64 random(1);
  while (data_.size() < kPoolBytes + data_bytes) {
    const std::uint64_t word = random();
    data_.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  const std::uint32_t records = load.in_flight * load.per_put;
  keys_.reserve(std::size_t{records} * kKeyBytes);
  std::size_t at = 0;
  for (std::uint32_t p = 0; p < load.in_flight; ++p) {
    auto put = std::make_unique<Put>();
    put->owner = this;
    put->entries.resize(load.per_put);
    for (shard::PutEntry& entry : put->entries) {
      const auto record = static_cast<std::uint32_t>(keys_.size() / kKeyBytes);
      keys_ += fmt::format("vehicle-{:08}", record);
      entry.record.key = reinterpret_cast<const std::byte*>(keys_.data()) + record * kKeyBytes;
      entry.record.key_bytes = kKeyBytes;
      entry.record.data = reinterpret_cast<const std::byte*>(data_.data()) + at;
      entry.record.data_bytes = data_bytes;
      entry.record.hash = target.hash_of(record % shards);
      at = (at + data_bytes) % kPoolBytes;
      if (load.hash_keys) put->keys.push_back({entry.record.key, kKeyBytes});
    }
    put->hashes.resize(put->keys.size());
    free_.push_back(put.get());
    puts_.push_back(std::move(put));
  }
}

bool PutGenerator::start_one(Nanos due, Nanos now) {
  if (free_.empty()) return false;
  Put& put = *free_.back();
  free_.pop_back();
  if (!put.keys.empty()) {
    route::md5(put.keys, put.hashes);
    for (std::size_t i = 0; i < put.hashes.size(); ++i) put.entries[i].record.hash = put.hashes[i];
  }
  put.due = due;
  put.taken = now;
  put.request = {};
  put.request.stream = target_.stream();
  put.request.entries = put.entries;
  put.request.deadline = now + 60 * kNanosPerSecond;
  put.request.context = &put;
  put.request.done = &PutGenerator::done;
  target_.core().put(put.request, now);
  return true;
}

void PutGenerator::fill(Nanos now) {
  while (start_one(now, now)) {
  }
}

void PutGenerator::done(shard::PutRequest& request, Nanos now) {
  Put& put = *static_cast<Put*>(request.context);
  PutGenerator& self = *put.owner;
  for (const shard::PutEntry& entry : put.entries) {
    ++(entry.stored ? self.stored_ : self.failed_);
  }
  self.served.record(static_cast<std::uint64_t>(now - put.taken));
  if (put.due != put.taken) self.since_due.record(static_cast<std::uint64_t>(now - put.due));
  self.free_.push_back(&put);
}

}  // namespace penstock::bench
