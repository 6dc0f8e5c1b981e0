#include "client/json_writer.h"
#include "client/streams.h"
#include "command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

namespace penstock::tools {
namespace {

struct Options {
  std::string name;
  bool yes = false;
  bool wait = false;
};

// Destruction is asked for once more, unless --yes; without a terminal nobody can be asked.
Ended agreed(const std::string& name) {
  if (isatty(STDIN_FILENO) == 0) {
    return std::unexpected(usage_problem(fmt::format("stream '{}' was not deleted", name))
                               .needed("--yes, because there is no terminal to ask at")
                               .mend(fmt::format("penstock stream delete {} --yes", name)));
  }
  fmt::print(stderr, "Stream {} and every record in it will be deleted for good.\n", name);
  fmt::print(stderr, "Write its name to go on: ");
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == name) return Exit::kDone;
  return std::unexpected(usage_problem(fmt::format("stream '{}' was not deleted", name))
                             .found("another answer than its name"));
}

Ended remove(const GlobalOptions& globals, const Options& options) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  client::KinesisClient client = session->client();
  const std::string failing = fmt::format("stream '{}' cannot be deleted", options.name);
  if (!options.yes) {
    const auto info = client::describe_stream(client, options.name);
    if (!info) return std::unexpected(problem_of(info.error(), failing));
    if (auto answer = agreed(options.name); !answer) return answer;
  }
  auto done = client::delete_stream(client, options.name);
  if (done && options.wait) {
    done = client::wait_gone(client, options.name, session->client_options().timeout);
  }
  if (!done) return std::unexpected(problem_of(done.error(), failing));
  if (globals.json()) {
    client::JsonWriter writer;
    writer.begin_object().field("stream", options.name).field("deleted", true).end_object();
    fmt::print("{}\n", writer.text());
  } else {
    fmt::print("stream {} {}\n", options.name, options.wait ? "is deleted" : "is being deleted");
  }
  return Exit::kDone;
}

}  // namespace

void add_stream_delete(CLI::App& stream, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = stream.add_subcommand("delete", "delete a stream and all its records");
  command->alias("rm");
  command->add_option("name", options->name, "the stream")->required();
  command->add_flag("--yes", options->yes, "do not ask");
  command->add_flag("--wait", options->wait, "return when it is gone");
  command->footer("\nExample:\n  penstock stream delete fleet --yes --wait");
  command->callback([&context, options] {
    context.action = [&context, options] { return remove(context.globals, *options); };
  });
}

}  // namespace penstock::tools
