#include "client/json_writer.h"
#include "command.h"
#include "data_directory.h"
#include "drivers/clock/system/system_clock.h"
#include "retention/clock.h"
#include "words.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace penstock::tools {
namespace {

struct Options {
  std::string data_dir;
};

struct Acceptance {
  WallMillis wall;
  bool needed = false;
  std::int64_t ahead_ms = 0;  // of the retention clock; negative: behind
};

// Plays the daemon's next start up to its first look at the clock, which is taken to be synchronised.
Attempt<Acceptance> accept(storage::Store& store, env::Clock& clock) {
  const Nanos now = clock.now();
  Acceptance acceptance{.wall = clock.wall()};
  retention::Clock retention(store.retention_clock());
  retention.observe(now, acceptance.wall, true);
  acceptance.needed = !retention.sure();
  if (!acceptance.needed) return acceptance;
  acceptance.ahead_ms = retention.wall_ahead_ms();
  retention.accept();
  if (const Result<> done = store.record_clock(retention.state(now)); !done) {
    return std::unexpected(storage_problem(done.error(), "the clock cannot be recorded"));
  }
  return acceptance;
}

std::string days(std::int64_t millis) {
  return fmt::format("{:.1f} days", static_cast<double>(millis) / (24.0 * kMillisPerHour));
}

void print_text(const Acceptance& acceptance) {
  const std::string wall = format_time(static_cast<double>(acceptance.wall.raw()) / 1000);
  if (!acceptance.needed) {
    fmt::print("{} is within bounds: penstockd takes it by itself, nothing is changed\n", wall);
  } else if (acceptance.ahead_ms > 0) {
    fmt::print(
        "accepted {}: {} are counted as passed, and what they bring to the end of its retention "
        "expires when penstockd starts\n",
        wall, days(acceptance.ahead_ms));
  } else {
    fmt::print("accepted {}, {} back: what is stored expires by the time that passes from now on\n",
               wall, days(-acceptance.ahead_ms));
  }
}

Ended run_accept(const GlobalOptions& globals, const Options& options) {
  auto directory = DataDirectory::open(options.data_dir.empty() ? globals.dir : options.data_dir);
  if (!directory) return std::unexpected(std::move(directory.error()));
  drivers::SystemClock clock;
  const auto acceptance = accept(directory->store(), clock);
  if (!acceptance) return std::unexpected(acceptance.error());
  if (globals.json()) {
    client::JsonWriter writer;
    writer.begin_object().field("wall_ms", acceptance->wall.raw());
    writer.field("was_unsure", acceptance->needed).field("ahead_ms", acceptance->ahead_ms);
    fmt::print("{}\n", writer.end_object().text());
  } else {
    print_text(*acceptance);
  }
  return Exit::kDone;
}

}  // namespace

void add_clock_accept(CLI::App& clock, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = clock.add_subcommand("accept", "say that this machine's wall clock is right");
  command->add_option("--data-dir", options->data_dir,
                      "data directory of a stopped penstockd (default --dir)");
  command->footer(R"(
Nothing expires while the wall clock is more than a week from what penstockd counted: either may be
wrong. Correct the wall clock if it is; otherwise this takes it as it stands. If it is ahead, records
whose retention ended meanwhile expire for good.

Example:
  date; systemctl stop penstockd
  penstock clock accept --data-dir /var/lib/penstock
  systemctl start penstockd)");
  command->callback([&context, options] {
    context.action = [&context, options] { return run_accept(context.globals, *options); };
  });
}

}  // namespace penstock::tools
