#include "command.h"
#include "reshard.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

namespace penstock::tools {
namespace {

struct Options {
  std::string name;
  std::string shard;
  std::string at;
  bool wait = false;
};

Attempt<base::HashKey> split_point(const client::ShardInfo& shard, const std::string& at,
                                   const std::string& failing) {
  if (at.empty()) {
    if (shard.begin < shard.end) return client::middle(shard.begin, shard.end);
    Problem problem{Exit::kConflict, number(ErrorCode::kConflict), failing, {}};
    problem.found("the shard takes one hash key alone").needed("a range of at least two");
    return std::unexpected(std::move(problem));
  }
  const auto key = base::HashKey::parse(at);
  if (key && *key > shard.begin && *key <= shard.end) return *key;
  return std::unexpected(usage_problem(failing)
                             .found("--at " + at)
                             .needed(fmt::format("a decimal hash key above {} and up to {}",
                                                 shard.begin.decimal(), shard.end.decimal())));
}

Ended split(const GlobalOptions& globals, const Options& options) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  client::KinesisClient client = session->client();
  const std::string id = full_shard_id(options.shard);
  const std::string failing = fmt::format("shard {} of '{}' cannot be split", id, options.name);
  const auto shards = client::list_shards(client, options.name);
  if (!shards) return std::unexpected(problem_of(shards.error(), failing));
  const auto shard = open_shard(*shards, id, failing);
  if (!shard) return std::unexpected(shard.error());
  const auto at = split_point(*shard, options.at, failing);
  if (!at) return std::unexpected(at.error());
  const auto done = client::split_shard(client, options.name, id, *at);
  if (!done) return std::unexpected(problem_of(done.error(), failing));
  const auto wait = options.wait ? std::optional(session->client_options().timeout) : std::nullopt;
  return show_outcome(client, options.name, *shards, failing, wait, globals.json());
}

}  // namespace

void add_stream_split(CLI::App& stream, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = stream.add_subcommand("split", "make two shards of one");
  command->add_option("name", options->name, "the stream")->required();
  command->add_option("shard", options->shard, "the shard: 3, or shardId-000000000003")->required();
  command->add_option("--at", options->at,
                      "first hash key of the upper half (default: the middle)");
  command->add_flag("--wait", options->wait, "return when both halves take records, and show them");
  command->footer(
      "\nThe shard is closed, its records stay readable, and readers go on in the children.\n"
      "\nExample:\n  penstock stream split fleet 0 --wait");
  command->callback([&context, options] {
    context.action = [&context, options] { return split(context.globals, *options); };
  });
}

}  // namespace penstock::tools
