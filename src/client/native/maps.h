// The shard maps of the streams that somebody works with, kept as new as the server says they are.
//
// Shape      a map is asked for 512 shards at a time, and again from the start when it changes meanwhile
// Owner      one thread, that of its link. Maps are constant and shared
// Allocates  a map for each epoch of a stream that is watched
// Errors     to the users: kNotFound, or what else the server answered; asked again while somebody watches
// States     of a stream: Asking ─► Known ─► Asking (it changed, or somebody needs a newer one)
// Source     src/proto/PROTOCOL.md §4, Session
#pragma once

#include "client/native/link.h"
#include "penstock/result.h"
#include "route/map.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock::client::native {

struct StreamMap {
  std::uint64_t epoch = 0;
  route::StreamRoute route;
};

class MapUser {
 public:
  virtual ~MapUser() = default;
  // A newer one than any before, or the first of a connection.
  virtual void on_map(const std::shared_ptr<const StreamMap>& map, Nanos now) = 0;
  virtual void on_no_map(ErrorCode why, Nanos now) = 0;
};

class Maps final : public LinkUser, public RequestUser {
 public:
  explicit Maps(Link& link);
  ~Maps() override;

  void watch(const std::string& stream, MapUser& user, Nanos now);
  void unwatch(const std::string& stream, MapUser& user);
  // Null: not known yet.
  [[nodiscard]] std::shared_ptr<const StreamMap> find(const std::string& stream) const;
  // Somebody has heard of an epoch: asks until the map has it.
  void need(const std::string& stream, std::uint64_t epoch, Nanos now);
  void tick(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;

  void on_open(Nanos now) override;
  void on_map_changed(std::string_view stream, Nanos now) override;
  void on_answer(std::uint64_t request, const proto::DecodedMessage& answer, Nanos now) override;
  void on_unanswered(std::uint64_t request, Nanos now) override;

 private:
  static constexpr std::int64_t kRetryNanos = 100 * kNanosPerMilli;

  struct Stream {
    std::string name;
    std::shared_ptr<const StreamMap> newest;
    std::shared_ptr<StreamMap> partial;
    std::vector<MapUser*> users;
    std::uint64_t request = 0;  // 0: not asking
    std::uint64_t needed = 0;   // epoch
    bool stale = true;          // a newer one may exist
    bool reconnected = false;   // epochs of another server's life mean nothing
    Nanos ask_at;
  };

  void ask(Stream& stream, std::uint32_t from);
  void ask_if_due(Stream& stream, Nanos now);
  void take(Stream& stream, const proto::DecodedMessage& answer, Nanos now);
  void finish(Stream& stream, Nanos now);

  Link& link_;
  std::map<std::string, Stream, std::less<>> streams_;
};

}  // namespace penstock::client::native
