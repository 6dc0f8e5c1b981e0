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
  std::string adjacent;
  bool wait = false;
};

// The open shard whose range follows, or else precedes.
Attempt<std::string> neighbour(const std::vector<client::ShardInfo>& shards,
                               const client::ShardInfo& shard, const std::string& failing) {
  const client::ShardInfo* found = nullptr;
  for (const auto& other : shards) {
    if (!other.open()) continue;
    if (shard.end != base::kHashKeyMax && other.begin == base::next(shard.end)) return other.id;
    if (other.end != base::kHashKeyMax && base::next(other.end) == shard.begin) found = &other;
  }
  if (found != nullptr) return found->id;
  Problem problem{Exit::kConflict, number(ErrorCode::kConflict), failing, {}};
  problem.found("it is the only open shard").needed("an open shard whose range touches it");
  return std::unexpected(std::move(problem));
}

Ended merge(const GlobalOptions& globals, const Options& options) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  client::KinesisClient client = session->client();
  const std::string id = full_shard_id(options.shard);
  const std::string failing = fmt::format("shard {} of '{}' cannot be merged", id, options.name);
  const auto shards = client::list_shards(client, options.name);
  if (!shards) return std::unexpected(problem_of(shards.error(), failing));
  const auto shard = open_shard(*shards, id, failing);
  if (!shard) return std::unexpected(shard.error());
  Attempt<std::string> adjacent = full_shard_id(options.adjacent);
  if (options.adjacent.empty()) adjacent = neighbour(*shards, *shard, failing);
  if (!adjacent) return std::unexpected(adjacent.error());
  // Some services take the pair in the order of its ranges alone.
  const auto other = open_shard(*shards, *adjacent, failing);
  if (!other) return std::unexpected(other.error());
  const bool ordered = shard->begin < other->begin;
  const auto done = client::merge_shards(client, options.name, ordered ? id : *adjacent,
                                         ordered ? *adjacent : id);
  if (!done) return std::unexpected(problem_of(done.error(), failing));
  const auto wait = options.wait ? std::optional(session->client_options().timeout) : std::nullopt;
  return show_outcome(client, options.name, *shards, failing, wait, globals.json());
}

}  // namespace

void add_stream_merge(CLI::App& stream, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = stream.add_subcommand("merge", "make one shard of two neighbours");
  command->add_option("name", options->name, "the stream")->required();
  command->add_option("shard", options->shard, "a shard: 3, or shardId-000000000003")->required();
  command->add_option("adjacent", options->adjacent,
                      "its neighbour (default: the one above, or else below)");
  command->add_flag("--wait", options->wait, "return when the child takes records, and show it");
  command->footer("\nExample:\n  penstock stream merge fleet 1 2 --wait");
  command->callback([&context, options] {
    context.action = [&context, options] { return merge(context.globals, *options); };
  });
}

}  // namespace penstock::tools
