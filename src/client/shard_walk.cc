#include "client/shard_walk.h"

#include <algorithm>
#include <utility>

namespace penstock::client {

void ShardWalk::add(const std::string& id, std::vector<std::string> parents, Position from) {
  if (shards_.try_emplace(id, Shard{std::move(parents), std::move(from)}).second) ++waiting_;
}

void ShardWalk::know_up_to(const std::string& id) { newest_ = std::max(newest_, id); }

bool ShardWalk::wants_listing() const {
  return std::ranges::any_of(shards_, [this](const auto& entry) {
    const Shard& shard = entry.second;
    return shard.state == State::kKnown &&
           std::ranges::any_of(shard.parents, [this](const std::string& parent) {
             return is_news(parent) && !shards_.contains(parent);
           });
  });
}

std::optional<ShardWalk::Start> ShardWalk::take() {
  for (auto& [id, shard] : shards_) {
    if (shard.state != State::kKnown) continue;
    const bool held = std::ranges::any_of(shard.parents, [&](const std::string& parent) {
      const auto known = shards_.find(parent);
      return known == shards_.end() ? is_news(parent) : known->second.state != State::kFinished;
    });
    if (held) continue;
    shard.state = State::kTaken;
    --waiting_;
    ++reading_;
    return Start{id, shard.from};
  }
  return std::nullopt;
}

void ShardWalk::finish(const std::string& id) {
  const auto found = shards_.find(id);
  if (found == shards_.end() || found->second.state != State::kTaken) return;
  found->second.state = State::kFinished;
  --reading_;
}

}  // namespace penstock::client
