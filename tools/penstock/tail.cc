#include "client/base64.h"
#include "client/json_writer.h"
#include "client/records.h"
#include "client/shard_walk.h"
#include "client/streams.h"
#include "command.h"
#include "proto/kinesis.h"
#include "reshard.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

namespace penstock::tools {
namespace {

using client::PageEnd;
using client::Position;
using client::RecordView;

// A shard answers five reads a second; an empty one is asked again after this.
constexpr std::chrono::milliseconds kPollInterval{210};
constexpr std::uint32_t kPageLimit = 10'000;
constexpr const char* kEveryShard = "~";  // behind every id

struct Options {
  std::string stream;
  std::string from = "latest";
  std::string shard;
  bool follow = false;
  std::uint64_t count = 0;  // 0: no end
};

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Attempt<Position> parse_from(const std::string& text) {
  Position from;
  if (text == "horizon") return from;
  if (text == "latest") {
    from.kind = Position::Kind::kLatest;
    return from;
  }
  if (const auto time = parse_time(text, now_seconds())) {
    from.kind = Position::Kind::kTime;
    from.seconds = *time;
    return from;
  }
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
    from.kind = Position::Kind::kAtSequence;
    from.sequence = text;
    return from;
  }
  return std::unexpected(usage_problem("--from is no place to begin at")
                             .found(text)
                             .needed("horizon, latest, a time (2026-11-23T08:00:00Z or -15m), or a "
                                     "sequence number"));
}

class Tail {
 public:
  Tail(const Session& session, const Options& options, bool json)
      : options_(options), json_(json), client_(session.client()) {}

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
  void print(const std::string& shard, const RecordView& record);
  [[nodiscard]] bool done() const {
    return broken_pipe_ || (options_.count > 0 && printed_ >= options_.count);
  }
  [[nodiscard]] std::string failing() const {
    return fmt::format("stream '{}' cannot be read", options_.stream);
  }

  const Options& options_;
  bool json_;
  client::KinesisClient client_;
  client::RecordPages pages_;
  client::ShardWalk walk_;
  std::vector<Reader> readers_;
  std::uint64_t printed_ = 0;
  bool broken_pipe_ = false;
};

Ended Tail::add_shards(const Position& from) {
  const auto shards = client::list_shards(client_, options_.stream);
  if (!shards) return std::unexpected(problem_of(shards.error(), failing()));
  std::string only = options_.shard.empty() ? std::string() : full_shard_id(options_.shard);
  // A sequence number says which shard it is of; reading goes on in that shard's children.
  if (from.kind == Position::Kind::kAtSequence && only.empty()) {
    if (const auto parsed = proto::SequenceNumber::parse(from.sequence)) {
      only = proto::shard_id(parsed->shard);
    } else {
      return std::unexpected(usage_problem("the sequence number does not say which shard it is of")
                                 .found(from.sequence)
                                 .mend("--shard SHARD"));
    }
  }
  bool known = only.empty();
  for (const auto& shard : *shards) {
    if (!only.empty() && shard.id != only) continue;
    known = true;
    if (from.kind == Position::Kind::kLatest && !shard.open()) continue;
    walk_.add(shard.id, {shard.parent, shard.adjacent_parent}, from);
  }
  for (const auto& shard : *shards) walk_.know_up_to(shard.id);
  if (!only.empty()) walk_.know_up_to(kEveryShard);  // other parents are not asked for
  if (known) return Exit::kDone;
  Problem problem{Exit::kNotFound, number(ErrorCode::kNotFound), failing(), {}};
  problem.found("no shard " + only).mend("penstock stream describe " + options_.stream);
  return std::unexpected(std::move(problem));
}

Ended Tail::start_ready() {
  while (auto start = walk_.take()) {
    readers_.push_back({start->id, start->from, {}, {}, false});
    // LATEST is a place in time: it must be taken now, before anything else is waited for.
    auto iterator = client::shard_iterator(client_, options_.stream, start->id, start->from);
    if (!iterator) return std::unexpected(problem_of(iterator.error(), failing()));
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

Attempt<PageEnd> Tail::page_of(Reader& reader) {
  const auto visit = [&](const RecordView& record) {
    if (done()) return;
    print(reader.shard, record);
    reader.from.kind = Position::Kind::kAfterSequence;
    reader.from.sequence = record.sequence;
  };
  const std::uint64_t left = options_.count == 0 ? kPageLimit : options_.count - printed_;
  const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, kPageLimit));
  auto page = pages_.next(client_, reader.iterator, limit, visit);
  if (!page && page.error().is("ExpiredIteratorException")) {
    auto iterator = client::shard_iterator(client_, options_.stream, reader.shard, reader.from);
    if (!iterator) return std::unexpected(problem_of(iterator.error(), failing()));
    reader.iterator = std::move(*iterator);
    page = pages_.next(client_, reader.iterator, limit, visit);
  }
  if (!page) return std::unexpected(problem_of(page.error(), failing()));
  return std::move(*page);
}

Ended Tail::step(Reader& reader) {
  auto page = page_of(reader);
  if (!page) return std::unexpected(std::move(page.error()));
  reader.iterator = page->next_iterator;
  reader.caught_up = page->records == 0 && page->millis_behind == 0;
  if (reader.iterator.empty()) return finish(reader, *page);
  reader.due = client::Clock::now() + (page->records == 0 ? kPollInterval : kPollInterval / 10);
  return Exit::kDone;
}

Ended Tail::finish(const Reader& reader, const PageEnd& page) {
  walk_.finish(reader.shard);
  for (const auto& child : page.children) walk_.add(child.id, child.parents, Position{});
  if (!page.children.empty() && !walk_.wants_listing()) return Exit::kDone;
  // A service that does not name the children: they are those that name this parent. Or one of them has
  // another parent that came after the last listing.
  const auto shards = client::list_shards(client_, options_.stream);
  if (!shards) return std::unexpected(problem_of(shards.error(), failing()));
  for (const auto& shard : *shards) {
    const bool child = shard.parent == reader.shard || shard.adjacent_parent == reader.shard;
    if (!child && !walk_.is_news(shard.id)) continue;
    walk_.add(shard.id, {shard.parent, shard.adjacent_parent}, Position{});
  }
  for (const auto& shard : *shards) walk_.know_up_to(shard.id);
  for (const auto& child : page.children) walk_.know_up_to(child.id);
  return Exit::kDone;
}

Ended Tail::run() {
  const auto from = parse_from(options_.from);
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
        if (done()) return Exit::kDone;
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

void Tail::print(const std::string& shard, const RecordView& record) {
  std::string line;
  if (json_) {
    client::JsonWriter writer;
    writer.begin_object().field("shard", shard).field("sequence", record.sequence);
    writer.field("arrival", format_time(record.arrival)).field("key", record.key);
    if (is_utf8(record.data)) {
      writer.field("data", record.data);
    } else {
      std::string encoded;
      client::base64_append(record.data, encoded);
      writer.field("data_base64", encoded);
    }
    line = writer.end_object().text();
  } else {
    line = fmt::format("{}  {}  {}  {}", format_time(record.arrival), shard, printable(record.key),
                       printable(record.data));
  }
  line += '\n';
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) broken_pipe_ = true;
  ++printed_;
}

Ended tail(const GlobalOptions& globals, const Options& options) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  return Tail(*session, options, globals.json()).run();
}

}  // namespace

void add_tail(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("tail", "print a stream's records");
  command->add_option("stream", options->stream, "the stream")->required();
  command
      ->add_option("--from", options->from,
                   "horizon, latest, a time (2026-11-23T08:00:00Z, -15m) or a sequence number")
      ->capture_default_str();
  command->add_option("--shard", options->shard, "begin with this shard alone");
  command->add_flag("-f,--follow", options->follow, "go on when caught up (latest always does)");
  command->add_option("--count", options->count, "stop after so many records");
  command->footer(R"(
A record of a split or merged shard always comes before those of its children, so what has one key
comes in its order. Text shows arrival, shard, key, data; -o json gives an object a line.

Examples:
  penstock tail fleet --from horizon --count 10
  penstock tail fleet --from -15m --follow
  penstock tail fleet --from horizon -o json | jq -r .data)");
  command->callback([&context, options] {
    context.action = [&context, options] { return tail(context.globals, *options); };
  });
}

}  // namespace penstock::tools
