#include "client/json_writer.h"
#include "client/streams.h"
#include "command.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

namespace penstock::tools {
namespace {

struct Options {
  std::string name;
  std::uint32_t shards = 1;
  bool if_not_exists = false;
  bool wait = false;
};

void print(const client::StreamInfo& info, bool created, bool json) {
  if (json) {
    client::JsonWriter writer;
    writer.begin_object().field("stream", info.name).field("created", created);
    writer.field("status", info.status).field("shards", info.open_shards).end_object();
    fmt::print("{}\n", writer.text());
  } else {
    fmt::print("stream {} {}: {}, {} shard{}\n", info.name,
               created ? "created" : "is there already", info.status, info.open_shards,
               info.open_shards == 1 ? "" : "s");
  }
}

Ended create(const GlobalOptions& globals, const Options& options) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  client::KinesisClient client = session->client();
  const std::string failing = fmt::format("stream '{}' cannot be created", options.name);
  const auto made = client::create_stream(client, options.name, options.shards);
  const bool there = !made && made.error().is("ResourceInUseException");
  if (!made && !(there && options.if_not_exists)) {
    Problem problem = problem_of(made.error(), failing);
    if (there) {
      problem.lines.pop_back();  // the general advice
      problem.mend("--if-not-exists makes that no error");
    }
    return std::unexpected(std::move(problem));
  }
  auto info = options.wait
                  ? client::wait_active(client, options.name, session->client_options().timeout)
                  : client::describe_stream(client, options.name);
  if (!info) {
    return std::unexpected(problem_of(
        info.error(), fmt::format("stream '{}' was created but is not ready", options.name)));
  }
  print(*info, !there, globals.json());
  return Exit::kDone;
}

}  // namespace

void add_stream_create(CLI::App& stream, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = stream.add_subcommand("create", "make a stream");
  command->add_option("name", options->name, "its name")->required();
  command->add_option("--shards", options->shards, "how many shards it begins with")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
  command->add_flag("--if-not-exists", options->if_not_exists, "a stream of that name is no error");
  command->add_flag("--wait", options->wait, "return when it takes records");
  command->footer("\nExample:\n  penstock stream create fleet --shards 4 --if-not-exists --wait");
  command->callback([&context, options] {
    context.action = [&context, options] { return create(context.globals, *options); };
  });
}

}  // namespace penstock::tools
