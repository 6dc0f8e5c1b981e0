// Redis Streams: the peer that many have already.
#include "bench/redis_link.h"
#include "bench/redis_writer.h"
#include "bench/target.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <charconv>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::tools::bench {
namespace {

constexpr std::string_view kPage = "1000";
constexpr std::string_view kBlockMillis = "100";

// "redis_version:7.0.15\r\n": what stands behind the colon.
std::string info_field(std::string_view page, std::string_view name) {
  const std::string begin = fmt::format("{}:", name);
  for (std::size_t at = page.find(begin); at != std::string_view::npos;
       at = page.find(begin, at + 1)) {
    if (at > 0 && page[at - 1] != '\n') continue;
    const std::string_view rest = page.substr(at + begin.size());
    return std::string(rest.substr(0, rest.find('\r')));
  }
  return {};
}

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// Entries of XRANGE and XREAD: [id, [key, data]]. Gives the last one's id.
std::string hand_on(const redisReply& entries, const OnIncoming& on_records) {
  std::vector<Incoming> incoming;
  std::string last;
  for (std::size_t i = 0; i < entries.elements; ++i) {
    const redisReply& entry = *entries.element[i];
    if (entry.elements != 2 || entry.element[1]->elements < 2) continue;
    last = text_of(*entry.element[0]);
    const redisReply& fields = *entry.element[1];
    incoming.push_back(
        {text_of(*fields.element[0]), std::as_bytes(std::span(text_of(*fields.element[1])))});
  }
  if (!incoming.empty()) on_records(incoming);
  return last;
}

class RedisReader final : public Reader {
 public:
  explicit RedisReader(OnIncoming on_records) : on_records_(std::move(on_records)) {}
  ~RedisReader() override {
    for (std::jthread& thread : threads_) thread.request_stop();
  }
  void start(RedisLink link, std::string shard, std::string after) {
    threads_.emplace_back([this, link = std::move(link), shard = std::move(shard),
                           after = std::move(after)](const std::stop_token& stop) mutable {
      read(stop, link, shard, std::move(after));
    });
  }
  std::optional<Problem> problem() const override {
    const std::lock_guard lock(mutex_);
    return problem_;
  }

 private:
  void read(const std::stop_token& stop, RedisLink& link, const std::string& shard,
            std::string after) {
    while (!stop.stop_requested()) {
      auto reply =
          link.command({"XREAD", "COUNT", kPage, "BLOCK", kBlockMillis, "STREAMS", shard, after});
      if (!reply) {
        const std::lock_guard lock(mutex_);
        if (!problem_) problem_ = std::move(reply.error());
        return;
      }
      // [[key, entries]], or nil when none came in time.
      if ((*reply)->elements != 1 || (*reply)->element[0]->elements != 2) continue;
      std::string last = hand_on(*(*reply)->element[0]->element[1], on_records_);
      if (!last.empty()) after = std::move(last);
    }
  }

  OnIncoming on_records_;
  mutable std::mutex mutex_;
  std::optional<Problem> problem_;
  std::vector<std::jthread> threads_;  // last: they use all of the others
};

class RedisTarget final : public Target {
 public:
  RedisTarget(RedisAddress address, RedisLink link)
      : address_(std::move(address)), link_(std::move(link)) {
    durability_ = find_durability();
    rewrites_ = info_field(info("persistence"), "aof_rewrites");
  }

  std::string name() const override { return address_.url(); }
  std::string durability() const override { return durability_; }
  Facts facts() const override { return facts_; }
  Facts load_facts() const override { return {{"carrier", "TCP"}}; }
  bool exactly_once() const override { return false; }
  std::vector<pid_t> processes() const override {
    return local_listeners(address_.host, address_.port);
  }

  Ended make_stream(const std::string& stream, std::uint32_t shards) override {
    shards_[stream] = shards;  // XADD makes it
    return Exit::kDone;
  }
  Ended remove_stream(const std::string& stream) override {
    auto link = RedisLink::connect(address_);
    if (!link) return std::unexpected(std::move(link.error()));
    for (std::uint32_t shard = 0; shard < shards_of(stream); ++shard) {
      auto done = link->command({"UNLINK", redis_shard(stream, shard)});
      if (!done) return std::unexpected(std::move(done.error()));
    }
    return Exit::kDone;
  }
  Attempt<std::unique_ptr<Writer>> writer(const std::string& stream, const WriterShape& shape,
                                          Track& track) override {
    return redis_writer(address_, stream, shards_of(stream), shape, track);
  }
  Ended read_all(const std::string& stream, const OnIncoming& on_records) override;
  Attempt<std::unique_ptr<Reader>> reader(const std::string& stream, const ReaderShape& shape,
                                          OnIncoming on_records) override;
  ServerCost cost() override;

 private:
  std::uint32_t shards_of(const std::string& stream) const {
    const auto known = shards_.find(stream);
    return known == shards_.end() ? 1 : known->second;
  }
  std::string info(std::string_view section) {
    const auto reply = link_.command({"INFO", section});
    return reply ? std::string(text_of(**reply)) : std::string();
  }
  std::string setting(std::string_view name);
  std::string find_durability();

  RedisAddress address_;
  RedisLink link_;
  std::string durability_;
  Facts facts_;
  std::string rewrites_;  // of the append-only file, so far
  std::map<std::string, std::uint32_t> shards_;
};

std::string RedisTarget::setting(std::string_view name) {
  const auto reply = link_.command({"CONFIG", "GET", name});
  if (!reply || (*reply)->elements != 2) return {};
  std::string value(text_of(*(*reply)->element[1]));
  facts_.emplace_back(name, value);
  return value;
}

// Whether what is answered is on the disk by then.
std::string RedisTarget::find_durability() {
  facts_.emplace_back("server", "redis " + info_field(info("server"), "redis_version"));
  const std::string kept = setting("appendonly");
  const std::string synced = setting("appendfsync");
  const std::string lax = setting("no-appendfsync-on-rewrite");
  setting("save");
  if (kept.empty() || synced.empty()) return std::string(kDurableUnknown);
  if (kept != "yes" || lax == "yes") return std::string(kDurableNone);
  if (synced == "always") return std::string(kDurableMedia);
  return std::string(synced == "everysec" ? kDurableSecond : kDurableNone);
}

ServerCost RedisTarget::cost() {
  ServerCost cost;
  const std::string cpu = info("cpu");
  const auto user = number_of(info_field(cpu, "used_cpu_user"));
  const auto system = number_of(info_field(cpu, "used_cpu_sys"));
  if (user && system) cost.cpu_seconds = *user + *system;
  // A rewrite makes the file another one: its length then says nothing of what was written.
  const std::string page = info("persistence");
  const std::string rewrites = info_field(page, "aof_rewrites");
  if (rewrites == rewrites_ && info_field(page, "aof_rewrite_in_progress") == "0") {
    cost.written_bytes = number_of(info_field(page, "aof_current_size"));
  }
  rewrites_ = rewrites;
  return cost;
}

Ended RedisTarget::read_all(const std::string& stream, const OnIncoming& on_records) {
  for (std::uint32_t shard = 0; shard < shards_of(stream); ++shard) {
    std::string from = "-";
    for (;;) {
      auto reply = link_.command({"XRANGE", redis_shard(stream, shard), from, "+", "COUNT", kPage});
      if (!reply) return std::unexpected(std::move(reply.error()));
      const std::string last = hand_on(**reply, on_records);
      if (last.empty()) break;
      from = "(" + last;
    }
  }
  return Exit::kDone;
}

Attempt<std::unique_ptr<Reader>> RedisTarget::reader(const std::string& stream,
                                                     const ReaderShape& shape,
                                                     OnIncoming on_records) {
  auto reader = std::make_unique<RedisReader>(std::move(on_records));
  for (std::uint32_t shard = 0; shard < shards_of(stream); ++shard) {
    const std::string name = redis_shard(stream, shard);
    std::string after = "0-0";
    if (shape.from == From::kLatest) {
      auto reply = link_.command({"XREVRANGE", name, "+", "-", "COUNT", "1"});
      if (!reply) return std::unexpected(std::move(reply.error()));
      const std::string last = hand_on(**reply, [](std::span<const Incoming>) {});
      if (!last.empty()) after = last;
    }
    auto link = RedisLink::connect(address_);
    if (!link) return std::unexpected(std::move(link.error()));
    reader->start(std::move(*link), name, std::move(after));
  }
  return reader;
}

}  // namespace

Attempt<std::unique_ptr<Target>> redis_target(const std::string& url) {
  auto address = RedisAddress::parse(url);
  if (!address) return std::unexpected(std::move(address.error()));
  auto link = RedisLink::connect(*address);
  if (!link) return std::unexpected(std::move(link.error()));
  return std::make_unique<RedisTarget>(std::move(*address), std::move(*link));
}

}  // namespace penstock::tools::bench
