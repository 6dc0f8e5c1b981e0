// Puts the commands together, reads the command line, runs one, prints what went wrong.
#include "base/nearest.h"
#include "command.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::tools {
namespace {

constexpr const char* kFooter = R"(
Examples:
  penstockd --dev ./data &                        a server to try things on
  penstock --dir ./data stream create fleet --shards 4 --wait
  echo hello | penstock --dir ./data put fleet --key bus-1
  penstock --dir ./data tail fleet --from horizon
  penstock --dir ./data fleet fleet --seconds 10  load, and proof that all of it came through
  penstock doctor --data-dir ./data               is this machine fit for it?

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unreachable or time-out, 5 denied,
6 conflict, 7 throttled, 8 checks found problems.)";

void add_globals(CLI::App& app, GlobalOptions& globals) {
  app.add_option("--endpoint", globals.endpoint,
                 "service to talk to (default https://localhost:4567, or AWS_ENDPOINT_URL)");
  app.add_option("--native-endpoint", globals.native_endpoint,
                 "for --via native: tls://HOST:PORT (default: beside the endpoint)");
  app.add_option("--dir", globals.dir,
                 "data directory of penstockd --dev: takes address, keys and CA from it");
  app.add_option("--ca", globals.ca, "CA bundle that the server's certificate must chain to");
  app.add_option("--credentials", globals.credentials,
                 "AWS credentials file (default AWS_SHARED_CREDENTIALS_FILE, ~/.aws/credentials)");
  app.add_option("--profile", globals.profile,
                 "section of that file (default AWS_PROFILE, default)");
  app.add_option("--region", globals.region, "region to sign for (default AWS_REGION, us-east-1)");
  app.add_option("--timeout", globals.timeout, "longest wait for one answer: 500ms, 10s, 2m")
      ->capture_default_str();
  app.add_option("-o,--output", globals.output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

void add_commands(CLI::App& app, Context& context) {
  CLI::App* stream = app.add_subcommand("stream", "create, list, describe, delete, split, merge");
  stream->require_subcommand(1);
  stream->footer("\nExample:\n  penstock --dir ./data stream create fleet --shards 4 --wait");
  add_stream_create(*stream, context);
  add_stream_list(*stream, context);
  add_stream_describe(*stream, context);
  add_stream_delete(*stream, context);
  add_stream_split(*stream, context);
  add_stream_merge(*stream, context);
  add_put(app, context);
  add_tail(app, context);
  add_fleet(app, context);
  add_bench(app, context);
  CLI::App* cell = app.add_subcommand("cell", "clear a cell's fence");
  cell->require_subcommand(1);
  cell->footer("\nExample:\n  penstock cell clear --data-dir /var/lib/penstock --cell 2");
  add_cell_clear(*cell, context);
  CLI::App* clock = app.add_subcommand("clock", "accept the wall clock");
  clock->require_subcommand(1);
  clock->footer("\nExample:\n  penstock clock accept --data-dir /var/lib/penstock");
  add_clock_accept(*clock, context);
  add_doctor(app, context);
  add_version(app, context);
}

// The command that was named last, or the program.
const CLI::App& deepest(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : deepest(*chosen.front());
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

// The command's own and, because they may follow it, the program's.
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

// What was not understood, with the nearest thing that is.
Problem usage_of(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& at = deepest(app);
  std::string path;
  for (const CLI::App* level = &at; level != nullptr; level = level->get_parent()) {
    path = level->get_name() + (path.empty() ? "" : " ") + path;
  }
  Problem problem = usage_problem(error.what());
  const auto left = app.remaining(true);
  if (!left.empty()) {
    const std::string word = left.front().substr(0, left.front().find('='));
    const bool option = word.starts_with('-');
    const auto names = option ? option_names(at) : command_names(at);
    const std::vector<std::string_view> candidates(names.begin(), names.end());
    const std::string_view near = base::nearest(word, candidates);
    if (option || !names.empty()) {
      problem.what =
          fmt::format("there is no {} '{}' in {}", option ? "option" : "command", word, path);
      if (!near.empty()) problem.needed(fmt::format("did you mean '{}'?", near));
    }
  }
  return std::move(problem.mend(path + " --help"));
}

int report(const Problem& problem, bool json) {
  const std::string text = json ? problem.as_json() : problem.as_text();
  std::fputs(text.c_str(), stderr);
  return static_cast<int>(problem.exit);
}

}  // namespace

int run(int argc, const char* const* argv) {
  // A peer or a pager that goes away is an error of the write, not our end.
  std::signal(SIGPIPE, SIG_IGN);
  Context context;
  CLI::App app("Penstock: a durable, ordered, replayable buffer that speaks Amazon Kinesis.",
               "penstock");
  app.set_version_flag("--version", "penstock " PENSTOCK_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  add_globals(app, context.globals);
  add_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    return report(usage_of(app, error), context.globals.json());
  }
  const Ended ended = context.action();
  std::fflush(stdout);
  if (!ended) return report(ended.error(), context.globals.json());
  return static_cast<int>(*ended);
}

}  // namespace penstock::tools
