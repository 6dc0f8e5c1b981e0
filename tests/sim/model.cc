#include "tests/sim/model.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::sim {
namespace {

constexpr std::size_t kFindingsMax = 20;

// Shards in an order in which parents come before children.
std::vector<const SeenShard*> lineage(const std::vector<SeenShard>& shards) {
  std::vector<const SeenShard*> order;
  for (const SeenShard& shard : shards) order.push_back(&shard);
  // Ids rise in order of creation, and a child is created after its parents.
  std::ranges::sort(order, {}, &SeenShard::id);
  return order;
}

}  // namespace

bool sequence_less(std::string_view a, std::string_view b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

void Model::sending(const std::string& data, const std::string& key, std::uint64_t writer,
                    bool pipelined) {
  Attempt attempt;
  if (pipelined) attempt.put = next_put_++;
  attempt.key = key;
  attempt.writer = writer;
  attempts_.emplace(data, std::move(attempt));
}

void Model::acknowledged(const std::string& data, const std::string& shard,
                         const std::string& sequence, std::int64_t wall_ms) {
  Attempt& attempt = attempts_.at(data);
  attempt.outcome = Outcome::kAcknowledged;
  attempt.shard = shard;
  attempt.sequence = sequence;
  attempt.order = next_order_++;
  attempt.at = wall_ms;
  ++acknowledged_count_;
}

void Model::refused(const std::string& data) { attempts_.at(data).outcome = Outcome::kRefused; }

Model::Leeway Model::leeway(std::uint64_t writer) const {
  const auto at = leeways_.find(writer);
  return at == leeways_.end() ? Leeway() : at->second;
}

void Model::seen(const std::string& shard, const SeenRecord& record) {
  seen_[{shard, record.sequence}] = record.data;
}

std::vector<std::string> Model::check(const std::vector<SeenShard>& shards) const {
  std::vector<std::string> findings;
  const auto find = [&findings](std::string text) {
    if (findings.size() < kFindingsMax) findings.push_back(std::move(text));
  };
  struct Place {
    const SeenShard* shard;
    const SeenRecord* record;
    std::size_t position;
  };
  std::unordered_map<std::string_view, std::vector<Place>> by_data;
  std::map<std::pair<std::string_view, std::string_view>, std::string_view> by_number;
  std::size_t position = 0;
  for (const SeenShard* shard : lineage(shards)) {
    const SeenRecord* previous = nullptr;
    for (const SeenRecord& record : shard->records) {
      if (previous != nullptr && !sequence_less(previous->sequence, record.sequence)) {
        find(fmt::format("{}: number {} does not rise above {}", shard->id, record.sequence,
                         previous->sequence));
      }
      previous = &record;
      by_data[record.data].push_back({shard, &record, position++});
      by_number[{shard->id, record.sequence}] = record.data;
    }
  }
  for (const auto& [data, places] : by_data) {
    const auto attempt = attempts_.find(std::string(data));
    if (attempt == attempts_.end()) {
      find(fmt::format("{} holds a record that nobody sent: '{}'", places[0].shard->id,
                       data.substr(0, 60)));
      continue;
    }
    if (places.size() > 1 + leeway(attempt->second.writer).copies)
      find(fmt::format("'{}' is stored {} times", data.substr(0, 40), places.size()));
    if (attempt->second.outcome == Outcome::kRefused) {
      find(fmt::format("'{}' was refused, and is stored all the same", data.substr(0, 40)));
    }
    if (attempt->second.key != places[0].record->key) {
      find(fmt::format("'{}' came back under another key", data.substr(0, 40)));
    }
  }
  // Order of acknowledgement, by key: one writer has one call in flight at a time.
  std::map<std::pair<std::uint64_t, std::string_view>, std::vector<const Attempt*>> by_key;
  for (const auto& [data, attempt] : attempts_) {
    if (attempt.outcome != Outcome::kAcknowledged) continue;
    const auto places = by_data.find(data);
    const bool may_be_gone = attempt.at < expired_before_ || loss_forgiven_;
    if (places == by_data.end()) {
      if (!may_be_gone) {
        find(fmt::format("acknowledged and lost: '{}' at {} of {}", data.substr(0, 40),
                         attempt.sequence, attempt.shard));
      }
      continue;
    }
    const auto told = std::ranges::find_if(places->second, [&](const Place& one) {
      return one.shard->id == attempt.shard && one.record->sequence == attempt.sequence;
    });
    const Place& place = told == places->second.end() ? places->second.front() : *told;
    // Where the disk lost what it called good, the opening of a shard may be lost, and a later one be
    // of another second, which is a part of the number.
    const bool renumbered = loss_forgiven_ && place.shard->id == attempt.shard;
    if (place.shard->id != attempt.shard ||
        (place.record->sequence != attempt.sequence && !renumbered)) {
      find(fmt::format("'{}' was acknowledged as {} of {}, and is {} of {}", data.substr(0, 40),
                       attempt.sequence, attempt.shard, place.record->sequence, place.shard->id));
    }
    if (place.record->sequence == attempt.sequence && attempt.put == 0) {
      by_key[{attempt.writer, attempt.key}].push_back(&attempt);
    }
  }
  std::unordered_map<const Attempt*, std::size_t> positions;
  for (const auto& [data, attempt] : attempts_) {
    if (const auto places = by_data.find(data); places != by_data.end()) {
      positions[&attempt] = places->second.front().position;
    }
  }
  for (auto& [key, attempts] : by_key) {
    std::ranges::sort(attempts, {}, &Attempt::order);
    for (std::size_t i = 1; i < attempts.size(); ++i) {
      if (positions[attempts[i - 1]] > positions[attempts[i]]) {
        find(fmt::format("key {} of writer {}: {} was acknowledged before {} and stands behind it",
                         key.second, key.first, attempts[i - 1]->sequence, attempts[i]->sequence));
      }
    }
  }
  // What is stored of a pipelining writer stands in the order of its calls, acknowledged or not.
  std::map<std::pair<std::uint64_t, std::string_view>, std::vector<const Attempt*>> by_put;
  for (const auto& [attempt, position_] : positions) {
    if (attempt->put != 0 && !leeway(attempt->writer).any_order)
      by_put[{attempt->writer, attempt->key}].push_back(attempt);
  }
  for (auto& [key, attempts] : by_put) {
    std::ranges::sort(attempts, {}, &Attempt::put);
    for (std::size_t i = 1; i < attempts.size(); ++i) {
      if (positions[attempts[i - 1]] > positions[attempts[i]]) {
        find(fmt::format("key {} of producer {}: put {} was called before {} and stands behind it",
                         key.second, key.first, attempts[i - 1]->put, attempts[i]->put));
      }
    }
  }
  for (const auto& [where, data] : seen_) {
    const auto attempt = attempts_.find(data);
    if (attempt == attempts_.end()) {
      find(fmt::format("a reader got what nobody sent: '{}'", data.substr(0, 60)));
      continue;
    }
    const bool may_be_gone = expired_before_ != INT64_MIN || loss_forgiven_;
    const auto now = by_number.find({where.first, where.second});
    if (now == by_number.end()) {
      if (!may_be_gone) {
        find(fmt::format("a reader got {} of {}, and it is gone", where.second, where.first));
      }
    } else if (now->second != data && !loss_forgiven_) {
      // What the disk loses at the end is numbered again, in the same second even.
      find(fmt::format("{} of {} has changed since a reader got it", where.second, where.first));
    }
  }
  return findings;
}

}  // namespace penstock::sim
