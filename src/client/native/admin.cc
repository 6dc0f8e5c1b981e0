// Administrative calls as threads see them: each waits for its answer.
#include "penstock/admin.h"

#include "client/native/client_impl.h"

#include <algorithm>
#include <future>
#include <utility>

namespace penstock {

using client::native::AdminAnswer;
using client::native::AdminCall;
using client::native::AdminOperation;
using client::native::Agent;
using client::native::Maps;
using client::native::MapUser;
using client::native::StreamMap;

namespace {

constexpr std::int64_t kPatienceNanos = Admin::kPatience.count() * kNanosPerMilli;

StreamDescription described(const StreamMap& map) {
  StreamDescription stream;
  stream.name = map.route.name;
  stream.uid = map.route.uid;
  stream.state = static_cast<StreamState>(map.route.status);
  stream.retention_hours = map.route.retention_hours;
  stream.record_bytes_max = map.route.record_bytes_max;
  for (const route::ShardRoute& route : map.route.shards) {
    ShardDescription& shard = stream.shards.emplace_back();
    shard.number = route.number;
    shard.begin_high = route.begin.high;
    shard.begin_low = route.begin.low;
    shard.end_high = route.end.high;
    shard.end_low = route.end.low;
    shard.open = route.open;
    shard.created_second = route.created_second;
    for (const ShardNumber parent : {route.parent, route.adjacent_parent}) {
      if (parent != route::kNoShard) shard.parents.push_back(parent);
    }
  }
  return stream;
}

// Asks for a map of its own, since one that is there may be of before the last call.
class Describing final : public Agent, public MapUser {
 public:
  Describing(client::native::Link& link, const std::string& name, Nanos now)
      : name_(name), deadline_(now + kPatienceNanos), maps_(std::make_unique<Maps>(link)) {
    maps_->watch(name, *this, now);
  }
  ~Describing() override {
    if (maps_ != nullptr) maps_->unwatch(name_, *this);
  }
  std::future<Result<StreamDescription>> answer() { return answer_.get_future(); }

  void on_map(const std::shared_ptr<const StreamMap>& map, Nanos) override {
    finish(described(*map));
  }
  void on_no_map(ErrorCode why, Nanos) override { finish(fail(why)); }
  void tick(Nanos now) override {
    if (now >= deadline_) finish(fail(ErrorCode::kDeadline));
    if (!done_) maps_->tick(now);
  }
  [[nodiscard]] Nanos next_deadline() const override {
    return done_ ? Nanos(INT64_MAX) : deadline_;
  }
  void stop() override {
    finish(fail(ErrorCode::kStopping));
    maps_->unwatch(name_, *this);
    maps_.reset();
  }

 private:
  void finish(Result<StreamDescription> result) {
    if (!std::exchange(done_, true)) answer_.set_value(std::move(result));
  }
  std::string name_;
  Nanos deadline_;
  bool done_ = false;
  std::promise<Result<StreamDescription>> answer_;
  std::unique_ptr<Maps> maps_;
};

static_assert(static_cast<int>(StreamState::kDeleting) ==
              static_cast<int>(route::StreamStatus::kDeleting));

}  // namespace

struct Admin::Impl {
  std::shared_ptr<Client> client;
  std::shared_ptr<Client::Impl> thread;

  Result<AdminAnswer> call(AdminCall asked) {
    if (thread->on_thread()) return fail(ErrorCode::kOverloaded);
    std::promise<Result<AdminAnswer>> promise;
    std::future<Result<AdminAnswer>> answer = promise.get_future();
    const bool posted = thread->post(
        [this, asked = std::move(asked), promise = std::move(promise)](Nanos now) mutable {
          thread->admin.start(
              std::move(asked),
              [promise = std::move(promise)](Result<AdminAnswer> result) mutable {
                promise.set_value(std::move(result));
              },
              now + kPatienceNanos, now);
        });
    if (!posted) return fail(ErrorCode::kStopping);
    return answer.get();
  }
  Result<> change(AdminCall asked) {
    const auto answer = call(std::move(asked));
    return answer ? Result<>() : std::unexpected(answer.error());
  }
};

Admin::Admin(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Admin Client::admin() { return Admin(std::make_shared<Admin::Impl>(shared_from_this(), impl_)); }

Result<> Admin::create_stream(const std::string& name, std::uint32_t shards) {
  return impl_->change(
      {.operation = AdminOperation::kCreateStream, .stream = name, .shard_count = shards});
}

Result<> Admin::delete_stream(const std::string& name) {
  return impl_->change({.operation = AdminOperation::kDeleteStream, .stream = name});
}

Result<std::vector<std::string>> Admin::list_streams() {
  std::vector<std::string> names;
  while (true) {
    const auto answer = impl_->call({.operation = AdminOperation::kListStreams,
                                     .after = names.empty() ? std::string() : names.back()});
    if (!answer) return std::unexpected(answer.error());
    names.insert(names.end(), answer->streams.begin(), answer->streams.end());
    if (!answer->more || answer->streams.empty()) return names;
  }
}

Result<StreamDescription> Admin::describe(const std::string& name) {
  Client::Impl& thread = *impl_->thread;
  if (thread.on_thread()) return fail(ErrorCode::kOverloaded);
  std::shared_ptr<Describing> describing;
  std::future<Result<StreamDescription>> answer;
  thread.run([&](Nanos now) {
    describing = std::make_shared<Describing>(thread.link, name, now);
    answer = describing->answer();
    thread.agents.push_back(describing);
  });
  if (describing == nullptr) return fail(ErrorCode::kStopping);
  Result<StreamDescription> result = answer.get();
  thread.run([&](Nanos) {
    std::erase(thread.agents, describing);
    describing.reset();  // here, where its maps are used
  });
  return result;
}

Result<> Admin::split_shard(const std::string& name, ShardNumber shard, std::uint64_t hash_high,
                            std::uint64_t hash_low) {
  return impl_->change({.operation = AdminOperation::kSplitShard,
                        .stream = name,
                        .shard = shard.raw(),
                        .hash = {hash_high, hash_low}});
}

Result<> Admin::merge_shards(const std::string& name, ShardNumber shard, ShardNumber adjacent) {
  return impl_->change({.operation = AdminOperation::kMergeShards,
                        .stream = name,
                        .shard = shard.raw(),
                        .adjacent = adjacent.raw()});
}

Result<> Admin::increase_retention(const std::string& name, std::uint32_t hours) {
  return impl_->change(
      {.operation = AdminOperation::kIncreaseRetention, .stream = name, .hours = hours});
}

Result<> Admin::decrease_retention(const std::string& name, std::uint32_t hours) {
  return impl_->change(
      {.operation = AdminOperation::kDecreaseRetention, .stream = name, .hours = hours});
}

}  // namespace penstock
