#include "client/json_writer.h"
#include "command.h"
#include "doctor/checks.h"
#include "penstock/units.h"
#include "server/config.h"
#include "table.h"
#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace penstock::tools {
namespace {

struct Options {
  std::string data_dir;
  std::string config;
  std::string rate;
  std::string retention = "24h";
};

// A directory that is to be made lies where its nearest parent lies.
std::string nearest_existing(const std::string& given) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path path = fs::absolute(given, error).lexically_normal();
  while (!fs::exists(path, error) && path.has_relative_path()) path = path.parent_path();
  return path.string();
}

Attempt<DoctorPlan> plan_of(const GlobalOptions& globals, const Options& options) {
  DoctorPlan plan;
  std::string wanted = !options.data_dir.empty() ? options.data_dir : globals.dir;
  if (!options.config.empty()) {
    std::ifstream in(options.config);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    auto config = in ? server::parse_config(text, options.config)
                     : std::unexpected(std::vector<server::ConfigError>());
    if (!config) {
      return std::unexpected(usage_problem("--config is no configuration of penstockd")
                                 .found(options.config)
                                 .mend("penstockd --check --config " + options.config));
    }
    plan.size_max = config->journal_size_max;
    if (wanted.empty()) wanted = config->directory;
  }
  plan.data_dir = nearest_existing(wanted.empty() ? "." : wanted);
  if (!options.rate.empty()) {
    const auto rate = parse_bytes(options.rate);
    if (!rate || *rate == 0) {
      return std::unexpected(usage_problem("--rate is none")
                                 .found(options.rate)
                                 .needed("bytes a second: 5MB/s, 10MiB/s"));
    }
    plan.rate = *rate;
  }
  const auto retention = parse_duration(options.retention);
  if (!retention || retention->count() < kMillisPerHour) {
    return std::unexpected(usage_problem("--retention is none")
                               .found(options.retention)
                               .needed("an hour or more: 24h, 7d"));
  }
  plan.retention_hours = static_cast<std::uint32_t>(retention->count() / kMillisPerHour);
  return plan;
}

void print_json(const std::vector<Check>& checks, bool healthy) {
  client::JsonWriter writer;
  writer.begin_object().field("healthy", healthy).key("checks").begin_array();
  for (const Check& check : checks) {
    writer.begin_object().field("check", check.name).field("health", word(check.health));
    writer.field("found", check.found).field("needed", check.needed);
    if (!check.mend.empty()) writer.field("mend", check.mend);
    writer.end_object();
  }
  fmt::print("{}\n", writer.end_array().end_object().text());
}

void print_text(const std::vector<Check>& checks, const DoctorPlan& plan, std::size_t failures) {
  Table table({"CHECK", "HEALTH", "FOUND", "NEEDED", "MEND"});
  for (const Check& check : checks) {
    table.add({check.name, std::string(word(check.health)), check.found, check.needed, check.mend});
  }
  fmt::print("{}\ndata directory looked at: {}\n", table.text(), plan.data_dir);
  if (failures == 0) {
    fmt::print("ready\n");
  } else {
    fmt::print("not ready: {} check{} failed\n", failures, failures == 1 ? "" : "s");
  }
}

Ended doctor(const GlobalOptions& globals, const Options& options) {
  const auto plan = plan_of(globals, options);
  if (!plan) return std::unexpected(plan.error());
  const std::vector<Check> checks = run_checks(*plan);
  const auto failures = static_cast<std::size_t>(std::ranges::count_if(
      checks, [](const Check& check) { return check.health == Health::kFailed; }));
  if (globals.json()) {
    print_json(checks, failures == 0);
  } else {
    print_text(checks, *plan, failures);
  }
  return failures == 0 ? Exit::kDone : Exit::kChecksFailed;
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor", "check that this machine is fit for penstockd");
  command->add_option("--data-dir", options->data_dir,
                      "where data is or is to be (default --dir, or the current directory)");
  command->add_option(
      "--config", options->config,
      "penstockd's configuration: its directory, and its [journal] size_max instead of "
      "the default of 64 GiB");
  command->add_option("--rate", options->rate,
                      "bytes a second that will come, to tell what space lasts");
  command->add_option("--retention", options->retention, "how long they are to be kept")
      ->capture_default_str();
  command->footer(R"(
Exit code 8 when a check failed; warnings do not count.

Examples:
  penstock doctor --data-dir /var/lib/penstock
  penstock doctor --config /etc/penstock/penstock.toml --rate 10MB/s
  penstock doctor --data-dir /var/lib/penstock --rate 10MB/s --retention 7d -o json)");
  command->callback([&context, options] {
    context.action = [&context, options] { return doctor(context.globals, *options); };
  });
}

}  // namespace penstock::tools
