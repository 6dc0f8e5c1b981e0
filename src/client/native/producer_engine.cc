#include "client/native/producer_engine.h"

#include "base/assert.h"
#include "route/md5.h"

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::client::native {

ProducerEngine::ProducerEngine(Link& link, Maps& maps, ProducerSettings settings, Released released,
                               Nanos now)
    : link_(link),
      maps_(maps),
      settings_(std::move(settings)),
      released_(std::move(released)),
      producer_(new_producer()) {
  link_.add(*this);
  maps_.watch(settings_.stream, *this, now);
}

ProducerEngine::~ProducerEngine() {
  maps_.unwatch(settings_.stream, *this);
  link_.remove(*this);
}

std::uint64_t ProducerEngine::new_producer() {
  std::uint64_t number = 0;
  while (settings_.idempotent && number == 0) number = link_.random();
  return number;
}

ProducerBatch ProducerEngine::spare_batch() {
  if (spares_.empty()) return {};
  ProducerBatch batch = std::move(spares_.back());
  spares_.pop_back();
  return batch;
}

void ProducerEngine::keep_spare(ProducerBatch batch) {
  const std::size_t most = std::max<std::size_t>(1, kSpareBytesMax / settings_.batch_bytes);
  const bool usual = batch.bytes->bytes.capacity() <= std::size_t{4} * settings_.batch_bytes;
  if (usual && spares_.size() < std::min(most, kSparesMax) && batch.reset()) {
    spares_.push_back(std::move(batch));
  }
}

void ProducerEngine::finish(PutDone& done, std::size_t bytes, const Result<Stored>& result) {
  if (result) {
    ++counters_.records_stored;
  } else if (result.error().code == ErrorCode::kUnknownOutcome) {
    ++counters_.records_unknown;
  } else {
    ++counters_.records_failed;
  }
  if (released_) released_(bytes);
  if (done) done(result);
}

// --- In -------------------------------------------------------------------------------------------

void ProducerEngine::put(std::span<NewRecord> records, Nanos since) {
  counters_.records_put += records.size();
  while (!records.empty()) {
    const std::size_t count = std::min(records.size(), kHashedTogether);
    hash(records.first(count));
    for (NewRecord& record : records.first(count)) {
      next_expiry_ = std::min(next_expiry_, record.deadline);
      route(std::move(record), since);
    }
    records = records.subspan(count);
  }
}

// Works out those that are not explicit.
void ProducerEngine::hash(std::span<NewRecord> records) {
  std::array<route::KeyRef, kHashedTogether> keys;
  std::array<base::HashKey, kHashedTogether> hashes;
  std::array<RecordView*, kHashedTogether> views;
  std::size_t count = 0;
  for (NewRecord& record : records) {
    if ((record.view.flags & kExplicitHash) != 0) continue;
    const std::string_view key = record.view.key;
    keys[count] = {reinterpret_cast<const std::byte*>(key.data()), key.size()};
    views[count++] = &record.view;
  }
  if (count == 0) return;
  route::md5(std::span(keys).first(count), std::span(hashes).first(count));
  for (std::size_t i = 0; i < count; ++i) views[i]->hash = hashes[i];
}

void ProducerEngine::route(NewRecord&& record, Nanos now) {
  const std::size_t bytes = record.view.key.size() + record.view.data.size();
  const auto refuse = [&](ErrorCode reason) {
    finish(record.done, bytes, fail(record.in_doubt ? ErrorCode::kUnknownOutcome : reason));
  };
  if (failed_) return refuse(*failed_);
  // Behind what an ancestor has left, the oldest first.
  for (ProducerLane* lane : closed_) {
    if (lane->contains(record.view.hash)) {
      lane->append(std::move(record), now);
      if (flushing_) lane->flush();
      return wake(*lane);
    }
  }
  const route::ShardRoute* shard = map_ == nullptr ? nullptr : map_->route.find(record.view.hash);
  if (shard == nullptr) return unrouted_.add(std::move(record));
  if (record.view.data.size() > map_->route.record_bytes_max) return refuse(ErrorCode::kTooLarge);
  ProducerLane& lane = lane_of(*shard);
  lane.append(std::move(record), now);
  if (flushing_) lane.flush();
  wake(lane);
}

ProducerLane& ProducerEngine::lane_of(const route::ShardRoute& shard) {
  ProducerLane*& at = lane_at_[static_cast<std::size_t>(&shard - map_->route.shards.data())];
  if (at == nullptr) {
    auto& lane = lanes_[shard.number];
    if (lane == nullptr) {
      lane = std::make_unique<ProducerLane>(*this, shard, map_->route.uid, producer_);
    }
    at = lane.get();
  }
  return *at;
}

void ProducerEngine::route_all(ProducerBatch batch, Nanos now) {
  for (std::size_t i = batch.told; i < batch.size(); ++i) route(batch.take(i), now);
}

void ProducerEngine::flush(Nanos now) {
  flushing_ = !idle();
  for (const auto& [number, lane] : lanes_) {
    lane->flush();
    wake(*lane);
  }
  settle(now);
}

// --- Maps -----------------------------------------------------------------------------------------

void ProducerEngine::on_map(const std::shared_ptr<const StreamMap>& map, Nanos now) {
  expiry_ = ErrorCode::kDeadline;
  if (map_ != nullptr && map_->route.uid != map->route.uid) abandon_lanes(now);
  map_ = map;
  lane_at_.assign(map_->route.shards.size(), nullptr);
  closed_.clear();
  for (const auto& [number, lane] : lanes_) {
    wake(*lane);
    if (!is_closed(*lane)) continue;
    lane->on_shard_closed(now);
    closed_.push_back(lane.get());
  }
  route_all(std::exchange(unrouted_, {}), now);
  settle(now);
}

bool ProducerEngine::is_closed(const ProducerLane& lane) const {
  if (map_ == nullptr) return false;
  const route::ShardRoute* shard = map_->route.find(lane.shard().number);
  return shard == nullptr || !shard->open;
}

void ProducerEngine::on_no_map(ErrorCode why, Nanos now) {
  if (why != ErrorCode::kNotFound) return;
  expiry_ = why;
  if (map_ == nullptr) return;
  abandon_lanes(now);
  map_ = nullptr;
}

void ProducerEngine::need_newer_map(Nanos now) {
  if (map_ != nullptr) need_map(map_->epoch + 1, now);
}

bool ProducerEngine::free_lane(Nanos now) {
  if (now < none_to_free_) return false;
  auto at = lanes_.upper_bound(rested_);
  for (std::size_t i = 0; i < lanes_.size(); ++i, ++at) {
    if (at == lanes_.end()) at = lanes_.begin();
    if (!at->second->rest()) continue;
    rested_ = at->first;
    return true;
  }
  none_to_free_ = now + kLookAgainNanos;
  return false;
}

// The stream that they write to is no more: nobody will say what became of what is in doubt.
void ProducerEngine::abandon_lanes(Nanos) {
  const auto lanes = std::exchange(lanes_, {});
  closed_.clear();
  woken_.clear();
  lane_at_.clear();
  for (const auto& [number, lane] : lanes) {
    lane->give_up_doubt();
    for (ProducerBatch& batch : lane->take_rest()) {
      for (std::size_t i = batch.told; i < batch.size(); ++i) unrouted_.add(batch.take(i));
    }
  }
}

// --- Turns ----------------------------------------------------------------------------------------

void ProducerEngine::wake(ProducerLane& lane) {
  if (!std::exchange(lane.woken, true)) woken_.push_back(&lane);
}

void ProducerEngine::settle(Nanos now) {
  while (!woken_.empty()) {
    ProducerLane* lane = woken_.back();
    woken_.pop_back();
    lane->woken = false;
    lane->pump(now);
    lanes_due_ = std::min(lanes_due_, lane->next_deadline());
    if (!is_closed(*lane)) continue;  // or the map does not say where its keys go yet
    if (!lane->resolved() && !lane->idle()) continue;
    std::erase(closed_, lane);
    std::vector<ProducerBatch> rest = lane->take_rest();
    drop_lane(lane->shard().number);
    for (ProducerBatch& batch : rest) route_all(std::move(batch), now);
  }
}

void ProducerEngine::drop_lane(ShardNumber number) {
  const auto at = lanes_.find(number);
  std::erase(woken_, at->second.get());
  std::ranges::replace(lane_at_, at->second.get(), nullptr);
  lanes_.erase(at);
}

void ProducerEngine::on_open(Nanos now) {
  for (const auto& [number, lane] : lanes_) wake(*lane);
  settle(now);
}

void ProducerEngine::tick(Nanos now) {
  if (now >= next_expiry_) expire(now);
  if (flushing_) flushing_ = !idle();
  if (now >= lanes_due_) {
    lanes_due_ = Nanos(INT64_MAX);
    for (const auto& [number, lane] : lanes_) {
      const Nanos due = lane->next_deadline();
      now >= due ? wake(*lane) : static_cast<void>(lanes_due_ = std::min(lanes_due_, due));
    }
  }
  settle(now);
}

void ProducerEngine::expire(Nanos now) {
  next_expiry_ = Nanos(INT64_MAX);
  while (unrouted_.told < unrouted_.size() && unrouted_.pending[unrouted_.told].deadline <= now) {
    const RecordView view = unrouted_.bytes->record(unrouted_.told);
    PutDone done = std::move(unrouted_.pending[unrouted_.told++].done);
    finish(done, view.key.size() + view.data.size(), fail(unrouted_.verdict(expiry_)));
  }
  unrouted_.drop_told();
  if (!unrouted_.empty()) next_expiry_ = unrouted_.pending.front().deadline;
  for (const auto& [number, lane] : lanes_) {
    next_expiry_ = std::min(next_expiry_, lane->expire(now));
    wake(*lane);
  }
}

Nanos ProducerEngine::next_deadline() const {
  if (!woken_.empty()) return Nanos();
  return std::min(next_expiry_, lanes_due_);
}

void ProducerEngine::fence(Nanos) {
  if (failed_) return;
  failed_ = ErrorCode::kProducerFenced;
  stop(ErrorCode::kProducerFenced);
}

void ProducerEngine::stop(ErrorCode not_sent) {
  if (!failed_) failed_ = not_sent;
  for (const auto& [number, lane] : lanes_) lane->fail_all(not_sent);
  ProducerBatch unrouted = std::exchange(unrouted_, {});
  const ErrorCode code = unrouted.verdict(not_sent);
  for (std::size_t i = unrouted.told; i < unrouted.size(); ++i) {
    const RecordView view = unrouted.bytes->record(i);
    finish(unrouted.pending[i].done, view.key.size() + view.data.size(), fail(code));
  }
}

}  // namespace penstock::client::native
