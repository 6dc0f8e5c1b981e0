#include "fleet/readback.h"

#include <thread>
#include <utility>
#include <vector>

namespace penstock::tools {
namespace {

constexpr std::uint32_t kPageLimit = 10'000;
// A shard with the service's read limit refuses for up to five seconds after a large page.
constexpr int kAttemptsMax = 30;

}  // namespace

KinesisReadback::KinesisReadback(std::string stream, client::ClientOptions options, Visit visit)
    : stream_(std::move(stream)), options_(std::move(options)), visit_(std::move(visit)) {
  options_.attempts_max = kAttemptsMax;
}

Ended KinesisReadback::run(std::uint32_t threads) {
  client::KinesisClient client(options_);
  if (auto listed = list(client); !listed) failure_ = std::move(listed.error());
  std::vector<std::jthread> workers;
  for (std::uint32_t i = 0; i < threads; ++i) workers.emplace_back([this] { work(); });
  workers.clear();
  if (failure_) return std::unexpected(problem_of(*failure_, "the stream cannot be read back"));
  return Exit::kDone;
}

// All shards, from the horizon on: those that are known stay as they are.
client::Outcome<> KinesisReadback::list(client::KinesisClient& client) {
  const auto shards = client::list_shards(client, stream_);
  if (!shards) return std::unexpected(shards.error());
  for (const auto& shard : *shards) {
    walk_.add(shard.id, {shard.parent, shard.adjacent_parent}, {});
    walk_.know_up_to(shard.id);
  }
  return {};
}

// Those of a shard that was read. Where one has another parent that came after the last listing, that is
// asked for: rare enough to let the others wait.
client::Outcome<> KinesisReadback::add(client::KinesisClient& client,
                                       const std::vector<client::ChildShard>& children) {
  for (const auto& child : children) walk_.add(child.id, child.parents, {});
  if (!walk_.wants_listing()) return {};
  auto listed = list(client);
  for (const auto& child : children) walk_.know_up_to(child.id);
  return listed;
}

void KinesisReadback::work() {
  client::KinesisClient client(options_);
  std::unique_lock lock(mutex_);
  for (;;) {
    if (failure_) return;
    const auto start = walk_.take();
    if (!start) {
      if (walk_.reading() == 0) return;
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    auto children = read_shard(client, *start);
    lock.lock();
    auto added = children ? add(client, *children)
                          : client::Outcome<>(std::unexpected(std::move(children.error())));
    if (!added && !failure_) failure_ = std::move(added.error());
    walk_.finish(start->id);
    changed_.notify_all();
  }
}

client::Outcome<std::vector<client::ChildShard>> KinesisReadback::read_shard(
    client::KinesisClient& client, const client::ShardWalk::Start& start) {
  client::RecordPages pages;
  auto iterator = client::shard_iterator(client, stream_, start.id, start.from);
  if (!iterator) return std::unexpected(std::move(iterator.error()));
  for (;;) {
    auto page = pages.next(client, *iterator, kPageLimit, [this](const client::RecordView& record) {
      visit_(record.key, record.data);
    });
    if (!page) return std::unexpected(std::move(page.error()));
    records_ += page->records;
    if (page->next_iterator.empty()) return std::move(page->children);
    if (page->records == 0 && page->millis_behind == 0) return std::vector<client::ChildShard>();
    *iterator = std::move(page->next_iterator);
  }
}

}  // namespace penstock::tools
