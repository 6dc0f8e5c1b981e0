#include "proto/kinesis.h"
#include "tests/sim/native_actors.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace penstock::sim {

using client::native::NewRecord;
using client::native::ProducerEngine;
using client::native::ProducerSettings;

NativeProducer::NativeProducer(Stage& stage, const NativeSite& site, std::uint64_t id,
                               std::uint64_t seed)
    : stage_(stage), site_(site), id_(id), random_(seed, fmt::format("native producer {}", id)) {}

void NativeProducer::poll(Nanos now, WallMillis) {
  now_ = now;
  if (node_ == nullptr) {
    if (!stage_.quiet && now >= next_) begin(now);
    return;
  }
  node_->receive(now);
  engine_->tick(now);
  if (!stage_.quiet && now >= next_ && open_ < kOpenMax) put_some(now);
  node_->send(now);
  note_leeway();
  if (dying_) die(now);
}

Nanos NativeProducer::next_turn(bool quiet) const {
  const bool may_put = !quiet && (node_ == nullptr || open_ < kOpenMax);
  const Nanos next = may_put ? next_ : Nanos(INT64_MAX);
  if (node_ == nullptr) return next;
  return std::min({next, node_->next_deadline(), engine_->next_deadline()});
}

void NativeProducer::begin(Nanos now) {
  ++life_;
  node_ = std::make_unique<NativeNode>(site_, random_.next());
  ProducerSettings settings;
  settings.stream = stage_.stream;
  settings.batch_records = static_cast<std::uint32_t>(1 + random_.below(40));
  settings.linger_nanos = random_.between(0, 5 * kNanosPerMilli);
  if (random_.chance(0.3)) settings.sequence_max = 20;  // a new epoch every so often
  patience_ = random_.chance(0.2) ? 2 * kNanosPerSecond : settings.deadline_nanos;
  settings.deadline_nanos = patience_;
  settings.idempotent = idempotent_ = !random_.chance(0.25);
  engine_ = std::make_unique<ProducerEngine>(node_->link(), node_->maps(), settings, nullptr, now);
}

void NativeProducer::put_some(Nanos now) {
  const std::size_t count = 1 + random_.below(12);
  std::vector<std::pair<std::string, std::string>> texts;
  for (std::size_t i = 0; i < count; ++i) {
    std::string key = fmt::format("n{}-{}", id_, random_.below(7));
    std::string data = fmt::format("n{}.{}:{}:{}", id_, life_, counter_++, filler(random_));
    texts.emplace_back(std::move(key), std::move(data));
  }
  std::vector<NewRecord> records;
  // Within seconds a segment may be late, and with it the answer.
  const bool calm = stage_.calm && patience_ > 10 * kNanosPerSecond;
  const Call call{now + patience_, stage_.retention_ms, calm};
  for (const auto& [key, data] : texts) {
    stage_.model.sending(data, key, writer(), true);
    records.push_back(
        {{.key = key, .data = std::as_bytes(std::span(data)), .hash = {}},
         call.deadline,
         [this, data, call](const Result<Stored>& result) { told(data, call, result); }});
  }
  open_ += count;
  put_ += count;
  engine_->put(records, now);
  next_ = now + random_.between(0, 60 * kNanosPerMilli);
  if (random_.chance(0.01)) node_->drop(now);
  dying_ = random_.chance(0.005);
}

void NativeProducer::told(const std::string& data, const Call& call, const Result<Stored>& result) {
  --open_;
  if (result) {
    ++stored_;
    // It may have arrived as early as that, and expire so.
    return stage_.model.acknowledged(data, proto::shard_id(result->shard),
                                     result->sequence_number(), call.retention_ms);
  }
  const ErrorCode code = result.error().code;
  const auto find = [&](std::string_view what) {
    stage_.findings.push_back(
        fmt::format("producer {} hears {} of '{}' {}; {} batches throttled, {} refused; {}", id_,
                    name(code), data.substr(0, 40), what, engine_->counters().batches_throttled,
                    engine_->counters().batches_refused,
                    node_->link().open() ? "connected" : node_->link().problem()));
  };
  if (code == ErrorCode::kSequenceOld) return;  // stored, and nobody knows where
  if (code != ErrorCode::kUnknownOutcome) stage_.model.refused(data);
  if (!stage_.strict || stopping_) return;
  if (now_ < call.deadline) find("before its deadline, and nothing but the power has failed");
  if (call.calm) find("after the faults have stopped");
}

void NativeProducer::note_leeway() {
  if (idempotent_) return;
  const ProducerCounters& counters = engine_->counters();
  const bool disordered = counters.batches_repeated + counters.batches_throttled +
                              counters.batches_refused + counters.records_unknown >
                          0;
  stage_.model.at_least_once(writer(), counters.batches_repeated, disordered);
}

// A process that is killed says nothing; one that is stopped gives every record its result.
void NativeProducer::die(Nanos now) {
  if (random_.chance(0.5)) {
    stopping_ = true;
    engine_->stop(ErrorCode::kStopping);
    stopping_ = false;
    if (open_ != 0) {
      stage_.findings.push_back(
          fmt::format("producer {} has stopped, and {} records have no result", id_, open_));
    }
  }
  note_leeway();
  (idempotent_ ? repeated_ : repeated_plainly_) += engine_->counters().batches_repeated;
  engine_.reset();
  node_.reset();
  open_ = 0;
  dying_ = false;
  ++deaths_;
  next_ = now + random_.between(0, 3 * kNanosPerSecond);
}

}  // namespace penstock::sim
