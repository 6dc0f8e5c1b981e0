// The order in which shards of one stream may be read so that no record of a child comes before the
// last of its parents.
//
// Shape      a shard is known, then taken (once), then finished. It may be taken when every parent that
//            is known is finished. Parents nobody knows (expired, or not asked for) do not hold it up, but those
//            that came after the last listing do
// Owner      whoever locks it; no I/O
#pragma once

#include "client/records.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace penstock::client {

class ShardWalk {
 public:
  struct Start {
    std::string id;
    Position from;
  };

  // A shard known already stays as it is.
  void add(const std::string& id, std::vector<std::string> parents, Position from);
  // Of shards up to this one, those that are there and asked for have been added.
  void know_up_to(const std::string& id);
  [[nodiscard]] bool is_news(const std::string& id) const { return id > newest_; }
  // A shard waits for a parent that only another listing can tell of.
  [[nodiscard]] bool wants_listing() const;
  // The next shard that may be read from now on, in order of ids.
  [[nodiscard]] std::optional<Start> take();
  // Everything of it was read.
  void finish(const std::string& id);
  // Taken and not finished.
  [[nodiscard]] std::size_t reading() const { return reading_; }
  // Known and not taken.
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  enum class State : std::uint8_t { kKnown, kTaken, kFinished };
  struct Shard {
    std::vector<std::string> parents;
    Position from;
    State state = State::kKnown;
  };
  std::map<std::string, Shard> shards_;
  std::string newest_;
  std::size_t reading_ = 0;
  std::size_t waiting_ = 0;
};

}  // namespace penstock::client
