#include "bench/support/put_generator.h"

namespace penstock::bench {

PutGenerator::PutGenerator(InProcess& target, std::uint32_t shards, const PutLoad& load)
    : target_(target), data_(load.record_bytes, 'x') {
  constexpr std::uint16_t kKeyBytes = 16;
  std::uint32_t shard = 0;
  for (std::uint32_t p = 0; p < load.in_flight; ++p) {
    auto put = std::make_unique<Put>();
    put->owner = this;
    put->entries.resize(load.per_put);
    for (shard::PutEntry& entry : put->entries) {
      const auto* bytes = reinterpret_cast<const std::byte*>(data_.data());
      entry.record.key = bytes;
      entry.record.key_bytes = kKeyBytes;
      entry.record.data = bytes + kKeyBytes;
      entry.record.data_bytes = load.record_bytes - kKeyBytes;
      entry.record.hash = target.hash_of(shard++ % shards);
    }
    free_.push_back(put.get());
    puts_.push_back(std::move(put));
  }
}

void PutGenerator::fill(Nanos now) {
  while (!free_.empty()) {
    Put& put = *free_.back();
    free_.pop_back();
    put.started = now;
    put.request = {};
    put.request.stream = target_.stream();
    put.request.entries = put.entries;
    put.request.deadline = now + 60 * kNanosPerSecond;
    put.request.context = &put;
    put.request.done = &PutGenerator::done;
    target_.core().put(put.request, now);
  }
}

void PutGenerator::done(shard::PutRequest& request, Nanos now) {
  Put& put = *static_cast<Put*>(request.context);
  PutGenerator& self = *put.owner;
  for (const shard::PutEntry& entry : put.entries) {
    ++(entry.stored ? self.stored_ : self.failed_);
  }
  if (self.recording) self.latencies.push_back(now - put.started);
  self.free_.push_back(&put);
}

}  // namespace penstock::bench
