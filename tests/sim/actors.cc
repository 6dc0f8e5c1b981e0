#include "tests/sim/actors.h"

#include "base/hash_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace penstock::sim {

std::string filler(drivers::SimRandom& random) {
  // Mostly small, some that need a block of their own.
  const std::uint64_t kind = random.below(2'000);
  const std::size_t bytes = kind == 0 ? 300'000 : kind < 100 ? 9'000 : random.below(300);
  return std::string(bytes, static_cast<char>('a' + random.below(26)));
}

// --- Writer ---------------------------------------------------------------------------------------

Writer::Writer(Stage& stage, WireClient client, std::uint64_t id, std::uint64_t seed)
    : stage_(stage),
      client_(std::move(client)),
      id_(id),
      random_(seed, fmt::format("writer {}", id)) {}

void Writer::poll(Nanos now, WallMillis wall) {
  if (client_.busy()) {
    if (const std::optional<WireAnswer> answer = client_.poll()) {
      finish(*answer);
      next_ = now + random_.between(0, 60 * kNanosPerMilli);
    }
    return;
  }
  if (!stage_.quiet && now >= next_) start(now, wall);
}

void Writer::start(Nanos now, WallMillis wall) {
  single_ = random_.chance(0.2);
  const std::size_t count = single_ ? 1 : 1 + random_.below(12);
  std::string body = fmt::format(R"({{"StreamName":"{}",)", stage_.stream);
  if (!single_) body += R"("Records":[)";
  for (std::size_t i = 0; i < count; ++i) {
    Sent sent;
    sent.key = fmt::format("k{}-{}", id_, random_.below(7));
    sent.data = fmt::format("w{}:{}:{}", id_, counter_++, filler(random_));
    const std::string members =
        fmt::format(R"("PartitionKey":"{}","Data":"{}")", sent.key, base64(sent.data));
    if (single_) {
      body += members;
    } else {
      body += fmt::format("{}{{{}}}", i == 0 ? "" : ",", members);
    }
    stage_.model.sending(sent.data, sent.key, id_);
    sent_.push_back(std::move(sent));
  }
  body += single_ ? "}" : "]}";
  client_.call(single_ ? "PutRecord" : "PutRecords", body, wall);
  next_ = now + kNanosPerSecond;
}

void Writer::finish(const WireAnswer& answer) {
  const std::vector<Sent> sent = std::exchange(sent_, {});
  if (answer.status != 200) {
    stage_.refusal = fmt::format("{} {}", answer.status, answer.body);
    // 400 certainly stored nothing; anything else may have.
    if (answer.status == 400) {
      for (const Sent& record : sent) stage_.model.refused(record.data);
    }
    return;
  }
  std::size_t at = 0;
  for (const Sent& record : sent) {
    // Each entry has a SequenceNumber and a ShardId, or an ErrorCode and an ErrorMessage.
    const std::size_t open = single_ ? 0 : answer.body.find('{', at == 0 ? 1 : at);
    const std::size_t close = answer.body.find('}', open);
    if (open == std::string::npos || close == std::string::npos) return;
    const std::string_view entry = std::string_view(answer.body).substr(open, close - open + 1);
    at = close + 1;
    std::size_t from = 0;
    const auto sequence = json_member(entry, "SequenceNumber", from);
    from = 0;
    const auto shard = json_member(entry, "ShardId", from);
    from = 0;
    const auto code = json_member(entry, "ErrorCode", from);
    if (sequence && shard) {
      stage_.model.acknowledged(record.data, *shard, *sequence, stage_.retention_ms);
      ++acknowledged_;
      continue;
    }
    stage_.refusal = std::string(entry);
    if (code == "ProvisionedThroughputExceededException") {
      stage_.model.refused(record.data);
    }
  }
}

void Writer::lose_server() {
  client_.drop();
  sent_.clear();
  next_ = Nanos(0);
}

// --- Reader ---------------------------------------------------------------------------------------

Reader::Reader(Stage& stage, WireClient client, std::uint64_t seed)
    : stage_(stage), client_(std::move(client)), random_(seed, "reader") {}

void Reader::poll(Nanos now, WallMillis wall) {
  if (client_.busy()) {
    const std::optional<WireAnswer> answer = client_.poll();
    if (!answer) return;
    next_ = now + random_.between(0, 100 * kNanosPerMilli);
    if (answer->status != 200) {
      step_ = Step::kList;
      return;
    }
    std::size_t from = 0;
    switch (step_) {
      case Step::kList: {
        std::vector<std::string> ids;
        while (auto id = json_member(answer->body, "ShardId", from)) ids.push_back(*id);
        if (ids.empty()) return;
        shard_ = ids[random_.below(ids.size())];
        step_ = Step::kIterator;
        return;
      }
      case Step::kIterator: {
        const auto iterator = json_member(answer->body, "ShardIterator", from);
        if (!iterator) return;
        iterator_ = *iterator;
        step_ = Step::kRecords;
        return;
      }
      case Step::kRecords: {
        const auto after = json_member(answer->body, "NextShardIterator", from);
        for (const SeenRecord& record : parse_records(answer->body)) {
          stage_.model.seen(shard_, record);
        }
        iterator_ = after.value_or("");
        step_ = iterator_.empty() || random_.chance(0.05) ? Step::kList : Step::kRecords;
        return;
      }
    }
    return;
  }
  if (stage_.quiet || now < next_) return;
  switch (step_) {
    case Step::kList:
      client_.call("ListShards", fmt::format(R"({{"StreamName":"{}"}})", stage_.stream), wall);
      break;
    case Step::kIterator:
      client_.call(
          "GetShardIterator",
          fmt::format(R"({{"StreamName":"{}","ShardId":"{}","ShardIteratorType":"{}"}})",
                      stage_.stream, shard_, random_.chance(0.8) ? "TRIM_HORIZON" : "LATEST"),
          wall);
      break;
    case Step::kRecords:
      client_.call(
          "GetRecords",
          fmt::format(R"({{"ShardIterator":"{}","Limit":{}}})", iterator_, 1 + random_.below(200)),
          wall);
      break;
  }
}

void Reader::lose_server() {
  client_.drop();
  step_ = Step::kList;
  next_ = Nanos(0);
}

// --- Administrator --------------------------------------------------------------------------------

Administrator::Administrator(Stage& stage, WireClient client, std::uint64_t seed)
    : stage_(stage), client_(std::move(client)), random_(seed, "administrator") {}

void Administrator::poll(Nanos now, WallMillis wall) {
  if (client_.busy()) {
    const std::optional<WireAnswer> answer = client_.poll();
    if (!answer) return;
    next_ = now + random_.between(50 * kNanosPerMilli, 2 * kNanosPerSecond);
    shards_ = listing_ && answer->status == 200 ? answer->body : "";
    listing_ = false;
    return;
  }
  if (!stage_.quiet && now >= next_) act(wall);
}

void Administrator::act(WallMillis wall) {
  if (!shards_.empty()) {
    split_or_merge(wall);
    return;
  }
  switch (random_.below(6)) {
    case 0:
      client_.call("CreateStream",
                   fmt::format(R"({{"StreamName":"other-{}","ShardCount":{}}})", others_++,
                               1 + random_.below(3)),
                   wall);
      return;
    case 1:
      client_.call("DeleteStream",
                   fmt::format(R"({{"StreamName":"other-{}"}})", others_ == 0 ? 0 : others_ - 1),
                   wall);
      return;
    case 2:
      client_.call("IncreaseStreamRetentionPeriod",
                   fmt::format(R"({{"StreamName":"{}","RetentionPeriodHours":{}}})", stage_.stream,
                               24 + random_.below(3)),
                   wall);
      return;
    default:
      listing_ = true;
      client_.call("ListShards",
                   fmt::format(R"({{"StreamName":"{}","ShardFilter":{{"Type":"AT_LATEST"}}}})",
                               stage_.stream),
                   wall);
      return;
  }
}

void Administrator::split_or_merge(WallMillis wall) {
  struct Open {
    std::string id;
    base::HashKey begin;
    base::HashKey end;
  };
  std::vector<Open> open;
  const std::string shards = std::exchange(shards_, {});
  for (const SeenShard& shard : parse_shards(shards)) {
    const auto begin = base::HashKey::parse(shard.begin);
    const auto end = base::HashKey::parse(shard.end);
    if (begin && end) open.push_back({shard.id, *begin, *end});
  }
  if (open.empty()) return;
  std::ranges::sort(open, {}, &Open::begin);
  const std::size_t at = random_.below(open.size());
  if (open.size() > 1 && (open.size() >= 5 || random_.chance(0.4))) {
    const std::size_t first = std::min(at, open.size() - 2);
    client_.call(
        "MergeShards",
        fmt::format(R"({{"StreamName":"{}","ShardToMerge":"{}","AdjacentShardToMerge":"{}"}})",
                    stage_.stream, open[first].id, open[first + 1].id),
        wall);
    return;
  }
  const base::HashKey middle{open[at].begin.high / 2 + open[at].end.high / 2, 12345};
  client_.call("SplitShard",
               fmt::format(R"({{"StreamName":"{}","ShardToSplit":"{}","NewStartingHashKey":"{}"}})",
                           stage_.stream, open[at].id, middle.decimal()),
               wall);
}

void Administrator::lose_server() {
  client_.drop();
  shards_.clear();
  listing_ = false;
  next_ = Nanos(0);
}

}  // namespace penstock::sim
