#include "native.h"
#include "penstock/admin.h"
#include "penstock/consumer.h"
#include "proto/kinesis.h"
#include "tail/tail.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace penstock::tools {
namespace {

using client::Position;

class NativeTail {
 public:
  NativeTail(const TailOptions& options, TailPrinter& printer)
      : options_(options), printer_(printer) {}

  Ended run(const Session& session);

 private:
  Attempt<ConsumerOptions> begin(Client& client) const;
  void wait(const Client& client, std::chrono::milliseconds patience);
  void on_records(const Records& records);
  void on_problem(ShardNumber shard, const Error& error);
  // REQUIRES: locked.
  void end() {
    over_ = true;
    changed_.notify_one();
  }

  const TailOptions& options_;
  TailPrinter& printer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::optional<Problem> problem_;
};

// Where the shards begin, and with which of them.
Attempt<ConsumerOptions> NativeTail::begin(Client& client) const {
  const auto from = tail_begins_at(options_);
  if (!from) return std::unexpected(from.error());
  const auto only = tail_shard(options_, *from);
  if (!only) return std::unexpected(only.error());
  // A consumer would wait for a stream that is to come; a name that is wrong is told at once.
  const auto stream = client.admin().describe(options_.stream);
  if (!stream) {
    return std::unexpected(
        problem_of(stream.error().code, tail_failing(options_)).mend("penstock stream list"));
  }
  ConsumerOptions consumer;
  if (!only->empty()) {
    const auto number = proto::parse_shard_id(*only);
    const bool known =
        number && std::ranges::find(stream->shards, *number, &ShardDescription::number) !=
                      stream->shards.end();
    if (!known) return std::unexpected(tail_has_no_shard(options_, *only));
    consumer.shards = {*number};
  }
  StartAt& start = consumer.start;
  switch (from->kind) {
    case Position::Kind::kLatest:
      start.kind = StartAt::Kind::kLatest;
      break;
    case Position::Kind::kTime:
      start = {.kind = StartAt::Kind::kTime,
               .index = {},
               .time = WallMillis(static_cast<std::int64_t>(from->seconds * 1000))};
      break;
    case Position::Kind::kAtSequence: {
      const auto parsed = proto::SequenceNumber::parse(from->sequence);
      if (!parsed)
        return std::unexpected(usage_problem("--from is no sequence number").found(from->sequence));
      // Records are numbered from 1.
      start = {.kind = StartAt::Kind::kIndex,
               .index = RecordIndex(std::max<std::uint64_t>(parsed->index, 1) - 1),
               .time = {}};
      break;
    }
    default:
      break;
  }
  return consumer;
}

Ended NativeTail::run(const Session& session) {
  const auto client = connect_native(session);
  if (!client) return std::unexpected(client.error());
  auto options = begin(**client);
  if (!options) return std::unexpected(std::move(options.error()));
  const bool follow = options_.follow || options->start.kind == StartAt::Kind::kLatest;
  options->on_records = [this](const Records& records) { on_records(records); };
  options->on_problem = [this](ShardNumber shard, const Error& error) { on_problem(shard, error); };
  if (!follow) {
    options->on_caught_up = [this] {
      const std::lock_guard lock(mutex_);
      end();
    };
  }
  const auto consumer = (*client)->consumer(options_.stream, std::move(*options));
  wait(**client, session.client_options().timeout);
  consumer->stop();
  if (problem_) return std::unexpected(std::move(*problem_));
  return Exit::kDone;
}

// The library connects again for ever; a command says that there is nobody.
void NativeTail::wait(const Client& client, std::chrono::milliseconds patience) {
  bool was_connected = true;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, patience, [this] { return over_; })) {
    const bool connected = client.connected();
    if (!connected && !was_connected) {
      problem_ = Problem{Exit::kUnreachable, kNumberUnreachable, tail_failing(options_), {}};
      problem_->found(client.problem());
      return;
    }
    was_connected = connected;
  }
}

void NativeTail::on_records(const Records& records) {
  const std::string shard = proto::shard_id(records.shard);
  for (const Record& record : records.records) {
    if (printer_.done()) break;
    const std::string sequence = records.sequence_number(record);
    const std::string_view data(reinterpret_cast<const char*>(record.data.data()),
                                record.data.size());
    printer_.print(shard, {.key = record.key,
                           .data = data,
                           .sequence = sequence,
                           .arrival = static_cast<double>(record.arrival.raw()) / 1e3});
  }
  std::fflush(stdout);
  if (!printer_.done()) return;
  const std::lock_guard lock(mutex_);
  end();
}

// What is lost is told, and reading goes on behind it; who has no lane waits for one; anything else ends it.
void NativeTail::on_problem(ShardNumber shard, const Error& error) {
  if (error.code == ErrorCode::kOverloaded) {
    fmt::print(stderr, "{} waits: the server has no lane for it at present\n",
               proto::shard_id(shard));
    return;
  }
  const std::lock_guard lock(mutex_);
  if (!problem_) {
    problem_ = problem_of(error.code, tail_failing(options_));
    if (shard.raw() != UINT32_MAX) problem_->line("shard", proto::shard_id(shard));
  }
  if (error.code != ErrorCode::kDataLoss) end();
}

}  // namespace

Ended tail_native(const Session& session, const TailOptions& options, TailPrinter& printer) {
  return NativeTail(options, printer).run(session);
}

}  // namespace penstock::tools
