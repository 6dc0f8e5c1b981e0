#include "bench/options.h"

#include "bench/compare.h"
#include "bench/interruption.h"
#include "bench/manifest.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr std::uint64_t kRecordBytesMax = 10 * kMiB;
constexpr std::uint64_t kBatchBytesMax = 16 * kMiB - 128;

Attempt<std::uint32_t> size_of(const char* option, const std::string& text, std::uint64_t least,
                               std::uint64_t most) {
  const auto size = parse_bytes(text);
  if (size && *size >= least && *size <= most) return static_cast<std::uint32_t>(*size);
  return std::unexpected(usage_problem(fmt::format("{} cannot be used", option))
                             .found(text)
                             .needed(fmt::format("{} to {} bytes: 512, 64k, 1MiB", least, most)));
}

}  // namespace

void add_target_options(CLI::App& command, Options& options) {
  command.add_option("--target", options.target,
                     "http://…, https://…: a Kinesis endpoint; redis://HOST:PORT; without it, the "
                     "native protocol of --endpoint");
  command.add_option(
      "--admin", options.admin,
      "administration of the Penstock that is measured (default: http, beside its API)");
  command
      .add_option("--durability", options.durability,
                  "what an acknowledgement of a service means that does not tell")
      ->check(CLI::IsMember({"media", "1 s", "none", "unknown"}));
  command.add_option("--rounds", options.rounds, "rounds; under seven nothing is conclusive")
      ->check(CLI::Range(1U, 1'000U))
      ->capture_default_str();
  command.add_option("--hdr", options.hdr,
                     "write the latencies of each round to this HdrHistogram log");
}

void add_record_options(CLI::App& command, Options& options) {
  command.add_option("--record", options.record, "bytes of a record's data, 16 at least")
      ->capture_default_str();
  command.add_option("--batch", options.batch, "bytes of a batch, where the target has batches")
      ->capture_default_str();
  command.add_option("--producers", options.producers, "producers, a thread and a connection each")
      ->check(CLI::Range(1U, kProducersMax))
      ->capture_default_str();
  command
      .add_option("--connections", options.connections,
                  "connections of a producer, over Kinesis and to Redis")
      ->check(CLI::Range(1U, 1'024U))
      ->capture_default_str();
  command.add_option("--keys", options.keys, "partition keys of each producer, used in turn")
      ->check(CLI::Range(1U, kKeysMax))
      ->capture_default_str();
  command.add_flag("--explicit-hash", options.explicit_hash,
                   "records say where in the hash keys they go");
  command
      .add_option("--shards", options.shards, "shards of the stream that is made for each round")
      ->check(CLI::Range(1U, 100'000U))
      ->capture_default_str();
}

void add_load_options(CLI::App& command, Options& options) {
  add_record_options(command, options);
  command.add_option("--seconds", options.seconds, "how long one arm of a round is measured")
      ->check(CLI::Range(0.1, 3'600.0))
      ->capture_default_str();
  command.add_option("--warmup", options.warmup, "seconds before that which do not count")
      ->check(CLI::Range(0.0, 3'600.0))
      ->capture_default_str();
  command.add_option("--linger", options.linger, "microseconds that a batch waits to become full")
      ->check(CLI::Range(0U, 10'000'000U))
      ->capture_default_str();
  command
      .add_option("--in-flight", options.in_flight,
                  "closed loop: so many records without a result, of all producers together "
                  "(default: 16 MiB of them, at most 16384)")
      ->check(CLI::Range(1U, 100'000'000U));
  command.add_option("--rate", options.rate,
                     "open loop: records a second, at times set before; latency counts from there");
}

void add_verify_option(CLI::App& command, Options& options) {
  command.add_flag("--verify,!--no-verify", options.verify,
                   "read back what was acknowledged, and judge it (default)");
}

void add_stream_options(CLI::App& command, Options& options) {
  command.add_option(
      "--stream", options.stream,
      "a stream that is there, instead of one for each round; read from its horizon");
  add_verify_option(command, options);
}

void add_against_option(CLI::App& command, Options& options) {
  command.add_option("--against", options.against,
                     "a second target, as --target: rounds alternate, A-B then B-A");
}

Attempt<PutPlan> put_plan(const Options& options) {
  PutPlan plan;
  const auto record = size_of("--record", options.record, kStampBytes, kRecordBytesMax);
  if (!record) return std::unexpected(record.error());
  const auto batch = size_of("--batch", options.batch, 1, kBatchBytesMax);
  if (!batch) return std::unexpected(batch.error());
  if (!options.rate.empty()) {
    const auto rate = parse_bytes(options.rate);
    if (!rate || *rate == 0) {
      return std::unexpected(usage_problem("--rate is none")
                                 .found(options.rate)
                                 .needed("records a second: 5000, 50k/s"));
    }
    plan.load.rate = static_cast<double>(*rate);
  }
  const auto in_flight_default =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(16 * kMiB / *record, 1, 16'384));
  plan.load.in_flight = options.in_flight == 0 ? in_flight_default : options.in_flight;
  plan.load.producers = options.producers;
  plan.load.keys = options.keys;
  plan.load.record_bytes = *record;
  plan.load.explicit_hash = options.explicit_hash;
  plan.load.warmup_seconds = options.warmup;
  plan.load.seconds = options.seconds;
  plan.shape.batch_bytes = *batch;
  plan.shape.linger_micros = options.linger;
  plan.shape.connections = options.connections;
  // A closed loop is to wait for results, not for room.
  const std::uint64_t in_flight =
      std::uint64_t{plan.load.in_flight} * (*record + Keys::kBytes) / options.producers;
  plan.shape.buffered_bytes = std::max(plan.shape.buffered_bytes, in_flight * 2);
  plan.shards = options.shards;
  plan.stream = options.stream;
  plan.verify = options.verify;
  return plan;
}

RoundsPlan rounds_plan(const Options& options, std::string scenario) {
  return {std::move(scenario), options.rounds, options.hdr};
}

Attempt<Targets> open_targets(const Session& session, const Options& options, bool over_kinesis) {
  watch_for_interruption();  // before anybody's thread
  // --admin is of the first: what it says of durability must not be believed of another.
  std::vector<TargetChoice> choices = {
      {options.target, options.admin, options.durability, options.idempotent}};
  if (options.target.empty() && over_kinesis) {
    choices.front().name = session.client_options().endpoint.url();
  }
  if (!options.against.empty()) {
    choices.push_back({options.against, "", options.durability, options.idempotent});
  }
  Targets targets;
  for (const TargetChoice& choice : choices) {
    auto target = open_target(session, choice);
    if (!target) return std::unexpected(std::move(target.error()));
    targets.push_back(std::move(*target));
  }
  const Target& first = *targets.front();
  const Target& last = *targets.back();
  if (first.durability() == last.durability()) return targets;
  return std::unexpected(
      durability_problem(first.name(), first.durability(), last.name(), last.durability()));
}

Ended finish(const GlobalOptions& globals, RoundsEnded ended, const Targets& targets, Facts load) {
  Result& result = ended.result;
  result.manifest = manifest_of_machine(globals.dir);
  result.manifest.durability = targets.front()->durability();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const std::string number = targets.size() > 1 ? fmt::format(" {}", i + 1) : "";
    result.manifest.set("target" + number, targets[i]->name());
    for (auto& [name, value] : targets[i]->facts()) {
      result.manifest.set(name + number, std::move(value));
    }
  }
  for (auto& fact : targets.front()->load_facts()) load.push_back(std::move(fact));
  result.load = std::move(load);
  fmt::print("{}", globals.json() ? result.as_json() : result.as_text());
  if (ended.clean) return Exit::kDone;
  Problem problem{Exit::kChecksFailed,
                  kNumberVerification,
                  "what was read back is not what was acknowledged",
                  {}};
  problem.found(result.verification);
  problem.needed("every acknowledged record, those of a key in order, unchanged");
  return std::unexpected(std::move(problem));
}

}  // namespace penstock::tools::bench
