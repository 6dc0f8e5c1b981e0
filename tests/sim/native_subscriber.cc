#include "penstock/result.h"
#include "proto/kinesis.h"
#include "tests/sim/native_actors.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace penstock::sim {
namespace {

// Behind the last record that is there. Nothing: there is none, and what was there may have expired.
std::optional<std::uint64_t> next_of(const SeenShard& shard) {
  if (shard.records.empty()) return std::nullopt;
  const auto last = proto::SequenceNumber::parse(shard.records.back().sequence);
  return last ? std::optional(last->index) : std::nullopt;
}

}  // namespace

NativeSubscriber::NativeSubscriber(Stage& stage, const NativeSite& site, std::uint64_t id,
                                   std::uint64_t seed)
    : stage_(stage), site_(site), id_(id), random_(seed, fmt::format("native subscriber {}", id)) {
  settings_.stream = stage.stream;
  settings_.credit_bytes = random_.chance(0.5) ? 512 * kKiB : 4 * kMiB;
  settings_.delivery_bytes = random_.chance(0.5) ? 16 * kKiB : 256 * kKiB;
  settings_.polling = random_.chance(0.25);
  slow_ = random_.chance(0.4);
}

void NativeSubscriber::poll(Nanos now, WallMillis) {
  if (node_ == nullptr) {
    if (now >= next_) begin(now);
    return;
  }
  node_->receive(now);
  engine_->tick(now);
  node_->send(now);
  if (stage_.quiet || now < next_) return;
  next_ = now + random_.between(0, 200 * kNanosPerMilli);
  if (random_.chance(0.3)) saved_ = points_;
  if (slow_ && random_.chance(0.1)) {
    node_->stall_until(now + random_.between(0, 3 * kNanosPerSecond));
  }
  if (random_.chance(0.01)) node_->drop(now);
  if (random_.chance(0.01)) die(now);
}

Nanos NativeSubscriber::next_turn(bool quiet) const {
  if (node_ == nullptr) return next_;
  const Nanos next = std::min(node_->next_deadline(), engine_->next_deadline());
  return quiet ? next : std::min(next, next_);
}

void NativeSubscriber::begin(Nanos now) {
  ++life_;
  node_ = std::make_unique<NativeNode>(site_, random_.next());
  settings_.checkpoints = points_ = saved_;
  progress_.clear();
  for (const auto& [shard, point] : saved_.shards) {
    progress_[shard] = {.next = point.next.raw(), .is_ended = point.ended};
  }
  client::native::ConsumerHandlers handlers;
  handlers.on_records = [this](const Records& records) { on_records(records); };
  handlers.on_progress = [this](ShardNumber shard, const Checkpoints::Point& point) {
    on_progress(shard, point);
  };
  handlers.on_shard_end = [this](ShardNumber shard) { on_end(shard); };
  handlers.on_problem = [this](ShardNumber shard, const Error& error) { on_problem(shard, error); };
  engine_ = std::make_unique<client::native::ConsumerEngine>(node_->link(), node_->maps(),
                                                             settings_, handlers, now);
}

void NativeSubscriber::die(Nanos now) {
  engine_.reset();
  node_.reset();
  ++deaths_;
  next_ = now + random_.between(0, 2 * kNanosPerSecond);
}

// --- What it is handed ----------------------------------------------------------------------------

void NativeSubscriber::find(const std::string& text) {
  // What the disk has lost leaves gaps, and is numbered again where it was the last.
  if (stage_.model.loss_forgiven()) return;
  stage_.findings.push_back(fmt::format("subscriber {}: {}", id_, text));
}

NativeSubscriber::Progress& NativeSubscriber::move_to(ShardNumber shard, std::uint64_t first) {
  const auto [at, is_new] = progress_.try_emplace(shard);
  Progress& progress = at->second;
  if (is_new) progress.begun = ++events_;
  if (first < progress.next) {
    find(fmt::format("shard {}: {} comes again, {} was next", shard.raw(), first, progress.next));
  } else if (first > progress.next) {
    missed_.push_back({shard, progress.next, first});
  }
  progress.next = first;
  return progress;
}

void NativeSubscriber::on_records(const Records& records) {
  Progress& progress = move_to(records.shard, records.records.front().index.raw());
  if (progress.is_ended) find(fmt::format("shard {} goes on behind its end", records.shard.raw()));
  for (const Record& record : records.records) {
    static_cast<void>(move_to(records.shard, record.index.raw()));
    ++progress.next;
    stage_.model.seen(
        proto::shard_id(records.shard),
        {records.sequence_number(record), std::string(record.key),
         std::string(reinterpret_cast<const char*>(record.data.data()), record.data.size())});
  }
}

void NativeSubscriber::on_progress(ShardNumber shard, const Checkpoints::Point& point) {
  Progress& progress = move_to(shard, point.next.raw());
  if (point.ended && !std::exchange(progress.is_ended, true)) progress.ended = ++events_;
  points_.shards[shard] = point;
}

void NativeSubscriber::on_end(ShardNumber shard) {
  if (!progress_[shard].is_ended) find(fmt::format("shard {} ends twice", shard.raw()));
}

void NativeSubscriber::on_problem(ShardNumber shard, const Error& error) {
  // A disk that twice failed to read them: named, and passed over.
  const bool named = error.code == ErrorCode::kDataLoss && !missed_.empty();
  if (named && missed_.back().shard == shard) missed_.pop_back();
  const bool expired = error.code == ErrorCode::kNotFound && stage_.was_off;
  // It may begin before the stream is there.
  const bool early =
      error.code == ErrorCode::kNotFound && shard == route::kNoShard && progress_.empty();
  if (stage_.strict && !expired && !early) {
    find(fmt::format("shard {}: {}", shard.raw(), name(error.code)));
  }
}

// --- In the end -----------------------------------------------------------------------------------

bool NativeSubscriber::caught_up(const std::vector<SeenShard>& shards) const {
  return std::ranges::all_of(shards, [this](const SeenShard& shard) {
    const auto next = next_of(shard);
    const auto at = progress_.find(*proto::parse_shard_id(shard.id));
    return !next || (at != progress_.end() && at->second.next == *next);
  });
}

void NativeSubscriber::check_missed(const SeenShard& shard, ShardNumber number) {
  for (const Missed& missed : missed_) {
    if (missed.shard != number) continue;
    for (const SeenRecord& record : shard.records) {
      const auto sequence = proto::SequenceNumber::parse(record.sequence);
      if (!sequence || sequence->index <= missed.from || sequence->index > missed.to) continue;
      return find(fmt::format("{}: it was not given {} to {}, and {} is there", shard.id,
                              missed.from, missed.to - 1, sequence->index - 1));
    }
  }
}

void NativeSubscriber::check(const std::vector<SeenShard>& shards) {
  for (const SeenShard& shard : shards) {
    const ShardNumber number = *proto::parse_shard_id(shard.id);
    check_missed(shard, number);
    const auto at = progress_.find(number);
    const auto next = next_of(shard);
    if (next && (at == progress_.end() || at->second.next != *next)) {
      find(fmt::format("{} has {} records, and it is at {}", shard.id, *next,
                       at == progress_.end() ? "nothing" : fmt::to_string(at->second.next)));
    }
    if (at == progress_.end() || at->second.begun == 0) continue;
    for (const std::string& name : {shard.parent, shard.adjacent_parent}) {
      const bool listed = std::ranges::find(shards, name, &SeenShard::id) != shards.end();
      if (!listed) continue;  // none, or expired
      const auto parent = progress_.find(*proto::parse_shard_id(name));
      if (parent == progress_.end()) continue;  // expired before it was read
      if (!parent->second.is_ended || parent->second.ended > at->second.begun) {
        find(fmt::format("{} was begun before {} had ended", shard.id, name));
      }
    }
  }
}

}  // namespace penstock::sim
