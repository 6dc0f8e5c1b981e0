#include "client/streams.h"
#include "command.h"
#include "fleet/metrics_page.h"
#include "fleet/readback.h"
#include "fleet/report.h"
#include "fleet/sender.h"
#include "progress_line.h"
#include "words.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>

namespace penstock::tools {
namespace {

using client::Clock;

constexpr std::chrono::milliseconds kProgressInterval{200};
constexpr std::uint32_t kReadThreadsMax = 8;

struct Options {
  std::string stream;
  double seconds = 10;
  std::uint32_t vehicles = 10'000;
  std::string rate = "max";
  std::uint32_t connections = 8;
  std::uint64_t seed = 1;
  bool verify = true;
  std::string admin;
  std::string via = "kinesis";
};

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// "12000", "12000/s" or "max".
Attempt<double> parse_rate(const std::string& text) {
  if (text == "max") return 0.0;
  const auto rate = parse_bytes(text);
  if (rate && *rate > 0) return static_cast<double>(*rate);
  return std::unexpected(
      usage_problem("--rate is none").found(text).needed("records a second, 5000/s, or max"));
}

class Fleet {
 public:
  Fleet(const Session& session, const Options& options, double rate)
      : options_(options), session_(session), routes_(options.seed) {
    plan_.stream = options.stream;
    plan_.vehicles = options.vehicles;
    plan_.connections = std::min(options.connections, options.vehicles);
    plan_.run = std::random_device{}();
    plan_.seed = options.seed;
    plan_.rate = rate;
    plan_.start_ms = wall_ms();
    plan_.length = std::chrono::milliseconds(static_cast<std::int64_t>(options.seconds * 1000));
  }

  Attempt<FleetReport> run();

 private:
  void drive();
  void gather(Clock::time_point start);
  std::optional<Problem> failed() const;
  Attempt<Verdict> read_back();
  void ask_administration();

  const Options& options_;
  const Session& session_;
  FleetPlan plan_;
  Routes routes_;
  FleetProgress progress_;
  ProgressLine line_;
  std::unique_ptr<Ledger> ledger_;
  std::vector<std::unique_ptr<Sender>> senders_;
  FleetReport report_;
};

Attempt<FleetReport> Fleet::run() {
  client::KinesisClient client = session_.client();
  const auto info = client::describe_stream(client, plan_.stream);
  if (!info) {
    Problem problem =
        problem_of(info.error(), fmt::format("the fleet cannot use stream '{}'", plan_.stream));
    if (info.error().is("ResourceNotFoundException")) {
      problem.lines.pop_back();  // the general advice
      problem.mend(fmt::format("penstock stream create {} --shards 4 --wait", plan_.stream));
    }
    return std::unexpected(std::move(problem));
  }
  report_.shards = info->open_shards;
  ledger_ = std::make_unique<Ledger>(plan_.vehicles, plan_.run);
  drive();
  if (auto problem = failed()) return std::unexpected(std::move(*problem));
  ask_administration();
  if (!options_.verify) return std::move(report_);
  auto verdict = read_back();
  if (!verdict) return std::unexpected(std::move(verdict.error()));
  report_.verdict = std::move(*verdict);
  return std::move(report_);
}

void Fleet::drive() {
  const FleetSite site{plan_, routes_, session_, *ledger_, progress_};
  for (std::uint32_t i = 0; i < plan_.connections; ++i) {
    senders_.push_back(options_.via == "native" ? native_sender(site, i) : kinesis_sender(site, i));
  }
  const auto start = Clock::now();
  std::atomic<std::uint32_t> running{plan_.connections};
  std::vector<std::jthread> threads;
  for (auto& sender : senders_) {
    threads.emplace_back([&running, &sender, start] {
      sender->run(start);
      --running;
    });
  }
  for (std::uint64_t before = 0; running > 0;) {
    std::this_thread::sleep_for(kProgressInterval);
    const std::uint64_t records = progress_.records;
    const double per_second = static_cast<double>(records - before) * 1000.0 /
                              static_cast<double>(kProgressInterval.count());
    line_.show(fmt::format("{:5.1f} s  {} records in, {}/s", seconds_between(start, Clock::now()),
                           format_count(records),
                           format_count(static_cast<std::uint64_t>(per_second))));
    before = records;
  }
  threads.clear();
  line_.clear();
  gather(start);
}

void Fleet::gather(Clock::time_point start) {
  auto last = start;
  for (const auto& sender : senders_) {
    const SenderOutcome& outcome = sender->outcome();
    report_.latencies.merge(outcome.latencies);
    report_.calls += outcome.calls;
    last = std::max(last, outcome.last_acknowledgement);
    if (!outcome.last_refusal.empty()) report_.last_refusal = outcome.last_refusal;
  }
  report_.stream = plan_.stream;
  report_.via = options_.via;
  report_.vehicles = plan_.vehicles;
  report_.connections = plan_.connections;
  report_.run = plan_.run;
  report_.seed = plan_.seed;
  report_.rate_wanted = plan_.rate;
  report_.records = progress_.records;
  report_.bytes = progress_.bytes;
  report_.refused = progress_.refused;
  report_.seconds = seconds_between(start, last);
}

// Whether the run says nothing about the service but that it did not work.
std::optional<Problem> Fleet::failed() const {
  for (const auto& sender : senders_) {
    if (sender->outcome().failure) return sender->outcome().failure;
  }
  if (report_.records > 0) return std::nullopt;
  Problem problem{
      Exit::kThrottled, number(ErrorCode::kThrottled), "no record of the fleet was taken", {}};
  problem.found(report_.last_refusal.empty() ? "no answer in time" : report_.last_refusal)
      .cause("the journal is full, a cell is read-only, or the server is gone")
      .mend("GET /readyz of the server's administration says which");
  return problem;
}

Attempt<Verdict> Fleet::read_back() {
  const auto visit = [this](std::string_view key, std::string_view data) {
    ledger_->read(key, data);
  };
  const std::unique_ptr<Readback> reader =
      options_.via == "native"
          ? native_readback(session_, plan_.stream, visit)
          : std::make_unique<KinesisReadback>(plan_.stream, session_.client_options(), visit);
  const auto start = Clock::now();
  Ended outcome = Exit::kDone;
  {
    std::atomic<bool> done{false};
    const auto threads =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(report_.shards, 1, kReadThreadsMax));
    std::jthread worker([&] {
      outcome = reader->run(threads);
      done = true;
    });
    while (!done) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      line_.show(fmt::format("{:5.1f} s  {} records read back",
                             seconds_between(start, Clock::now()),
                             format_count(reader->records())));
    }
  }
  line_.clear();
  if (!outcome) return std::unexpected(std::move(outcome.error()));
  report_.read_seconds = seconds_between(start, Clock::now());
  report_.read_back = reader->records();
  return ledger_->judge();
}

// The administration listens beside the API, on a port of its own.
void Fleet::ask_administration() {
  const client::Endpoint& api = session_.client_options().endpoint;
  client::Endpoint admin{false, api.host, static_cast<std::uint16_t>(api.port + (api.tls ? 3 : 2))};
  if (!options_.admin.empty()) {
    const auto given = client::Endpoint::parse(options_.admin);
    if (!given) return;
    admin = *given;
  }
  const auto page = client::http_get(admin, "/metrics", std::chrono::milliseconds(2'000));
  if (!page) return;
  report_.storage_used = metric_sum(*page, "penstock_storage_used_bytes");
  report_.durability = metric_label(*page, "penstock_durability_class", "class");
}

Ended fleet(const GlobalOptions& globals, const Options& options) {
  const auto rate = parse_rate(options.rate);
  if (!rate) return std::unexpected(rate.error());
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  const auto report = Fleet(*session, options, *rate).run();
  if (!report) return std::unexpected(report.error());
  fmt::print("{}", globals.json() ? report->as_json() : report->as_text());
  if (!report->verdict || report->verdict->clean()) return Exit::kDone;
  Problem problem{Exit::kChecksFailed,
                  kNumberVerification,
                  "what was read back is not what was acknowledged",
                  {}};
  problem.needed("every acknowledged record once, in order, unchanged");
  return std::unexpected(std::move(problem));
}

}  // namespace

void add_fleet(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("fleet", "simulate a fleet of vehicles, and verify what was stored");
  command->add_option("stream", options->stream, "the stream")->required();
  command->add_option("--seconds", options->seconds, "how long it sends")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  command->add_option("--vehicles", options->vehicles, "how many devices, each a partition key")
      ->check(CLI::Range(1U, kVehiclesMax))
      ->capture_default_str();
  command
      ->add_option("--rate", options->rate, "records a second, or max: the next call on the answer")
      ->capture_default_str();
  command
      ->add_option("--connections,--threads", options->connections,
                   "connections, a thread and a share of the vehicles each")
      ->check(CLI::Range(1U, 1'024U))
      ->capture_default_str();
  command->add_option("--seed", options->seed, "what the vehicles do")->capture_default_str();
  command->add_option("--via", options->via, "kinesis, or native: each record is stored once")
      ->check(CLI::IsMember({"kinesis", "native"}))
      ->capture_default_str();
  command->add_flag("--verify,!--no-verify", options->verify,
                    "read everything back and prove it (default)");
  command->add_option("--admin", options->admin,
                      "administration of the server (default: http, port of the API + 3)");
  command->footer(R"(
Each vehicle sends JSON telemetry with a number and a checksum, over one connection, so that its
order is defined. Afterwards the stream is read from its horizon: every acknowledged message must be
there once, in the vehicle's order, unchanged. Exit code 8 when it is not.

Examples:
  penstock --dir ./data fleet fleet --seconds 10
  penstock --dir ./data fleet fleet --rate 2000/s --vehicles 500 -o json
  penstock --dir ./data fleet fleet --via native --connections 1)");
  command->callback([&context, options] {
    context.action = [&context, options] { return fleet(context.globals, *options); };
  });
}

}  // namespace penstock::tools
