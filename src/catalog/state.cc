#include "catalog/state.h"

#include <algorithm>

namespace penstock::catalog {
namespace {

constexpr auto by_number = [](const ShardEntry& shard, ShardNumber wanted) {
  return shard.number < wanted;
};

std::unexpected<Error> impossible() { return fail(ErrorCode::kCorrupt); }

}  // namespace

const ShardEntry* StreamEntry::find(ShardNumber number) const {
  const auto at = std::lower_bound(shards.begin(), shards.end(), number, by_number);
  return at != shards.end() && at->number == number ? &*at : nullptr;
}

ShardEntry* StreamEntry::find(ShardNumber number) {
  const auto at = std::lower_bound(shards.begin(), shards.end(), number, by_number);
  return at != shards.end() && at->number == number ? &*at : nullptr;
}

bool operator==(const StreamEntry& a, const StreamEntry& b) {
  return a.uid == b.uid && a.name == b.name && a.mode == b.mode && a.created_ms == b.created_ms &&
         a.retention_hours == b.retention_hours && a.record_bytes_max == b.record_bytes_max &&
         a.limits.write_bytes == b.limits.write_bytes &&
         a.limits.write_records == b.limits.write_records &&
         a.limits.read_bytes == b.limits.read_bytes && a.limits.reads == b.limits.reads &&
         a.deleting == b.deleting && a.next_shard == b.next_shard && a.intent == b.intent &&
         a.shards == b.shards;
}

const StreamEntry* State::find(StreamUid uid) const {
  const auto at = streams.find(uid);
  return at == streams.end() ? nullptr : &at->second;
}

StreamEntry* State::find(StreamUid uid) {
  const auto at = streams.find(uid);
  return at == streams.end() ? nullptr : &at->second;
}

const StreamEntry* State::find(std::string_view name) const {
  for (const auto& [uid, stream] : streams) {
    if (stream.name == name) return &stream;
  }
  return nullptr;
}

Result<> State::apply(std::uint64_t change_version, const Change& change) {
  if (change_version <= version) return {};
  const Result<> applied =
      std::visit([&](const auto& one) { return apply_change(one, change_version); }, change);
  if (applied) version = change_version;
  return applied;
}

Result<> State::apply_change(const Create& change, std::uint64_t change_version) {
  if (change.stream.uid.raw() < next_uid || change.stream.uid.raw() == UINT64_MAX) {
    return impossible();
  }
  if (find(change.stream.name) != nullptr) return impossible();
  StreamEntry stream = change.stream;
  for (ShardEntry& shard : stream.shards) {
    shard.decided = change_version;
    shard.opened = false;
  }
  if (!tiles(stream)) return impossible();
  next_uid = stream.uid.raw() + 1;
  streams.emplace(stream.uid, std::move(stream));
  return {};
}

Result<> State::apply_change(const Opened& change, std::uint64_t) {
  StreamEntry* stream = find(change.stream);
  if (stream == nullptr) return impossible();
  for (const ShardNumber number : change.shards) {
    ShardEntry* shard = stream->find(number);
    if (shard == nullptr) return impossible();
    shard->opened = true;
  }
  return {};
}

Result<> State::apply_change(const Delete& change, std::uint64_t) {
  StreamEntry* stream = find(change.stream);
  if (stream == nullptr || stream->deleting) return impossible();
  stream->deleting = true;
  stream->intent.reset();
  return {};
}

Result<> State::apply_change(const Gone& change, std::uint64_t) {
  const auto at = streams.find(change.stream);
  if (at == streams.end() || !at->second.deleting) return impossible();
  streams.erase(at);
  std::erase_if(kept, [&](const ShardKey& key) { return key.stream == change.stream; });
  return {};
}

Result<> State::apply_change(const Announce& change, std::uint64_t change_version) {
  StreamEntry* stream = find(change.stream);
  if (stream == nullptr || stream->deleting) return impossible();
  const ShardEntry* parent = stream->find(change.intent.parent);
  if (parent == nullptr || !parent->open) return impossible();
  if (change.intent.is_merge()) {
    const ShardEntry* adjacent = stream->find(change.intent.adjacent_parent);
    if (adjacent == nullptr || !adjacent->open) return impossible();
    if (parent->end == base::kHashKeyMax || base::next(parent->end) != adjacent->begin) {
      return impossible();
    }
  } else if (change.intent.split_key <= parent->begin || change.intent.split_key > parent->end) {
    return impossible();
  }
  stream->intent = change.intent;
  stream->intent->version = change_version;
  return {};
}

Result<> State::apply_change(const Commit& change, std::uint64_t change_version) {
  const StreamEntry* before = find(change.stream);
  if (before == nullptr || before->deleting) return impossible();
  StreamEntry stream = *before;
  stream.intent.reset();
  for (const Commit::Parent& parent : change.parents) {
    ShardEntry* shard = stream.find(parent.number);
    if (shard == nullptr || !shard->open) return impossible();
    shard->open = false;
    shard->closed_ms = change.closed_ms;
    shard->closed_retention = change.closed_retention;
    shard->final_index = parent.final_index;
  }
  for (const ShardEntry& child : change.children) {
    if (child.number.raw() < stream.next_shard) return impossible();
    if (child.number == route::kNoShard) return impossible();
    stream.next_shard = child.number.raw() + 1;
    stream.shards.push_back(child);
    stream.shards.back().decided = change_version;
    stream.shards.back().opened = false;
  }
  if (!tiles(stream)) return impossible();
  *find(change.stream) = std::move(stream);
  return {};
}

Result<> State::apply_change(const Abort& change, std::uint64_t) {
  StreamEntry* stream = find(change.stream);
  if (stream == nullptr || !stream->intent) return impossible();
  stream->intent.reset();
  return {};
}

Result<> State::apply_change(const SetRetention& change, std::uint64_t) {
  StreamEntry* stream = find(change.stream);
  if (stream == nullptr) return impossible();
  stream->retention_hours = change.hours;
  return {};
}

Result<> State::apply_change(const Drop& change, std::uint64_t) {
  StreamEntry* stream = find(change.stream);
  if (stream == nullptr) return impossible();
  for (const ShardNumber number : change.shards) {
    const ShardEntry* shard = stream->find(number);
    if (shard == nullptr || shard->open) return impossible();
  }
  std::erase_if(stream->shards, [&](const ShardEntry& shard) {
    return std::ranges::find(change.shards, shard.number) != change.shards.end();
  });
  return {};
}

bool tiles(const StreamEntry& stream) {
  std::vector<const ShardEntry*> open;
  for (const ShardEntry& shard : stream.shards) {
    if (shard.open) open.push_back(&shard);
  }
  if (open.empty()) return false;
  std::ranges::sort(open, {}, [](const ShardEntry* shard) { return shard->begin; });
  if (open.front()->begin != base::HashKey{}) return false;
  if (open.back()->end != base::kHashKeyMax) return false;
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (open[i]->end < open[i]->begin) return false;
    if (i == 0) continue;
    if (open[i - 1]->end == base::kHashKeyMax) return false;
    if (base::next(open[i - 1]->end) != open[i]->begin) return false;
  }
  return true;
}

}  // namespace penstock::catalog
