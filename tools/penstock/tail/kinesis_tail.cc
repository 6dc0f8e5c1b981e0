#include "client/shard_walk.h"
#include "client/streams.h"
#include "reshard.h"
#include "tail/tail.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::tools {
namespace {

using client::PageEnd;
using client::Position;
using client::RecordView;

// A shard answers five reads a second; an empty one is asked again after this.
constexpr std::chrono::milliseconds kPollInterval{210};
constexpr std::uint64_t kPageLimit = 10'000;
constexpr const char* kEveryShard = "~";  // behind every id

class KinesisTail {
 public:
  KinesisTail(const Session& session, const TailOptions& options, TailPrinter& printer)
      : options_(options), printer_(printer), client_(session.client()) {}

  Ended run();

 private:
  struct Reader {
    std::string shard;
    Position from;  // where to go on if the iterator has expired
    std::string iterator;
    client::Clock::time_point due;
    bool caught_up = false;
  };

  Ended add_shards(const Position& from);
  Ended start_ready();
  Ended step(Reader& reader);
  Attempt<PageEnd> page_of(Reader& reader);
  Ended finish(const Reader& reader, const PageEnd& page);

  const TailOptions& options_;
  TailPrinter& printer_;
  client::KinesisClient client_;
  client::RecordPages pages_;
  client::ShardWalk walk_;
  std::vector<Reader> readers_;
};

Ended KinesisTail::add_shards(const Position& from) {
  const auto shards = client::list_shards(client_, options_.stream);
  if (!shards) return std::unexpected(problem_of(shards.error(), tail_failing(options_)));
  const auto only = tail_shard(options_, from);
  if (!only) return std::unexpected(only.error());
  bool known = only->empty();
  for (const auto& shard : *shards) {
    if (!only->empty() && shard.id != *only) continue;
    known = true;
    if (from.kind == Position::Kind::kLatest && !shard.open()) continue;
    walk_.add(shard.id, {shard.parent, shard.adjacent_parent}, from);
  }
  for (const auto& shard : *shards) walk_.know_up_to(shard.id);
  if (!only->empty()) walk_.know_up_to(kEveryShard);  // other parents are not asked for
  if (!known) return std::unexpected(tail_has_no_shard(options_, *only));
  return Exit::kDone;
}

Ended KinesisTail::start_ready() {
  while (auto start = walk_.take()) {
    readers_.push_back({start->id, start->from, {}, {}, false});
    // LATEST is a place in time: it must be taken now, before anything else is waited for.
    auto iterator = client::shard_iterator(client_, options_.stream, start->id, start->from);
    if (!iterator) return std::unexpected(problem_of(iterator.error(), tail_failing(options_)));
    Reader& reader = readers_.back();
    reader.iterator = std::move(*iterator);
    // Should it expire before there was a record, LATEST would be a later place. The service's clock:
    // by one that runs ahead, records would be passed over.
    if (reader.from.kind == Position::Kind::kLatest) {
      reader.from.kind = Position::Kind::kTime;
      reader.from.seconds = static_cast<double>(client_.service_time());
    }
  }
  return Exit::kDone;
}

Attempt<PageEnd> KinesisTail::page_of(Reader& reader) {
  const auto visit = [&](const RecordView& record) {
    if (printer_.done()) return;
    printer_.print(reader.shard, record);
    reader.from.kind = Position::Kind::kAfterSequence;
    reader.from.sequence = record.sequence;
  };
  const auto limit = static_cast<std::uint32_t>(std::min(printer_.left(), kPageLimit));
  auto page = pages_.next(client_, reader.iterator, limit, visit);
  if (!page && page.error().is("ExpiredIteratorException")) {
    auto iterator = client::shard_iterator(client_, options_.stream, reader.shard, reader.from);
    if (!iterator) return std::unexpected(problem_of(iterator.error(), tail_failing(options_)));
    reader.iterator = std::move(*iterator);
    page = pages_.next(client_, reader.iterator, limit, visit);
  }
  if (!page) return std::unexpected(problem_of(page.error(), tail_failing(options_)));
  return std::move(*page);
}

Ended KinesisTail::step(Reader& reader) {
  auto page = page_of(reader);
  if (!page) return std::unexpected(std::move(page.error()));
  reader.iterator = page->next_iterator;
  reader.caught_up = page->records == 0 && page->millis_behind == 0;
  if (reader.iterator.empty()) return finish(reader, *page);
  reader.due = client::Clock::now() + (page->records == 0 ? kPollInterval : kPollInterval / 10);
  return Exit::kDone;
}

Ended KinesisTail::finish(const Reader& reader, const PageEnd& page) {
  walk_.finish(reader.shard);
  for (const auto& child : page.children) walk_.add(child.id, child.parents, Position{});
  if (!page.children.empty() && !walk_.wants_listing()) return Exit::kDone;
  // A service that does not name the children: they are those that name this parent. Or one of them has
  // another parent that came after the last listing.
  const auto shards = client::list_shards(client_, options_.stream);
  if (!shards) return std::unexpected(problem_of(shards.error(), tail_failing(options_)));
  for (const auto& shard : *shards) {
    const bool child = shard.parent == reader.shard || shard.adjacent_parent == reader.shard;
    if (!child && !walk_.is_news(shard.id)) continue;
    walk_.add(shard.id, {shard.parent, shard.adjacent_parent}, Position{});
  }
  for (const auto& shard : *shards) walk_.know_up_to(shard.id);
  for (const auto& child : page.children) walk_.know_up_to(child.id);
  return Exit::kDone;
}

Ended KinesisTail::run() {
  const auto from = tail_begins_at(options_);
  if (!from) return std::unexpected(from.error());
  const bool follow = options_.follow || from->kind == Position::Kind::kLatest;
  if (auto added = add_shards(*from); !added) return added;
  for (;;) {
    if (auto started = start_ready(); !started) return started;
    bool all_caught_up = true;
    auto due = client::Clock::time_point::max();
    for (Reader& reader : readers_) {
      if (reader.due <= client::Clock::now()) {
        if (auto stepped = step(reader); !stepped) return stepped;
        if (printer_.done()) return Exit::kDone;
      }
      all_caught_up = all_caught_up && reader.caught_up && !reader.iterator.empty();
      due = std::min(due, reader.due);
    }
    std::erase_if(readers_, [](const Reader& reader) { return reader.iterator.empty(); });
    if (readers_.empty() && walk_.waiting() == 0) return Exit::kDone;
    if (all_caught_up && walk_.waiting() == 0 && !follow) return Exit::kDone;
    std::fflush(stdout);
    if (!readers_.empty()) std::this_thread::sleep_until(due);
  }
}

}  // namespace

Ended tail_kinesis(const Session& session, const TailOptions& options, TailPrinter& printer) {
  return KinesisTail(session, options, printer).run();
}

}  // namespace penstock::tools
