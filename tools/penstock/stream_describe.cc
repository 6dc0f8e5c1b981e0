#include "client/json_writer.h"
#include "client/streams.h"
#include "command.h"
#include "table.h"
#include "words.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

namespace penstock::tools {
namespace {

using client::ShardInfo;
using client::StreamInfo;

void print_json(const StreamInfo& info, const std::vector<ShardInfo>& shards) {
  client::JsonWriter writer;
  writer.begin_object().field("stream", info.name).field("arn", info.arn);
  writer.field("status", info.status).field("mode", info.mode);
  writer.field("retention_hours", info.retention_hours).field("open_shards", info.open_shards);
  writer.field("created", format_time(info.created)).key("shards").begin_array();
  for (const ShardInfo& shard : shards) {
    writer.begin_object().field("shard", shard.id).field("open", shard.open());
    if (!shard.parent.empty()) writer.field("parent", shard.parent);
    if (!shard.adjacent_parent.empty()) writer.field("adjacent_parent", shard.adjacent_parent);
    writer.field("begin", shard.begin.decimal()).field("end", shard.end.decimal());
    writer.field("first_sequence", shard.first_sequence);
    if (!shard.open()) writer.field("last_sequence", shard.last_sequence);
    writer.end_object();
  }
  fmt::print("{}\n", writer.end_array().end_object().text());
}

void print_text(const StreamInfo& info, const std::vector<ShardInfo>& shards) {
  fmt::print("stream     {}\nstatus     {}\nmode       {}\nretention  {} h\ncreated    {}\n",
             info.name, info.status, info.mode, info.retention_hours, format_time(info.created));
  fmt::print("shards     {} open, {} closed\n\n", info.open_shards,
             static_cast<std::int64_t>(shards.size()) - info.open_shards);
  Table table({"SHARD", "STATE", "PARENTS", "FIRST HASH KEY", "LAST HASH KEY"});
  for (const ShardInfo& shard : shards) {
    std::string parents = shard.parent;
    if (!shard.adjacent_parent.empty()) parents += " " + shard.adjacent_parent;
    table.add({shard.id, shard.open() ? "open" : "closed", parents, shard.begin.decimal(),
               shard.end.decimal()});
  }
  fmt::print("{}", table.text());
}

Ended describe(const GlobalOptions& globals, const std::string& name) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  client::KinesisClient client = session->client();
  const std::string failing = fmt::format("stream '{}' cannot be described", name);
  const auto info = client::describe_stream(client, name);
  if (!info) return std::unexpected(problem_of(info.error(), failing));
  const auto shards = client::list_shards(client, name);
  if (!shards) return std::unexpected(problem_of(shards.error(), failing));
  globals.json() ? print_json(*info, *shards) : print_text(*info, *shards);
  return Exit::kDone;
}

}  // namespace

void add_stream_describe(CLI::App& stream, Context& context) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = stream.add_subcommand("describe", "show a stream and its shards");
  command->alias("info");
  command->add_option("name", *name, "the stream")->required();
  command->footer("\nExample:\n  penstock stream describe fleet");
  command->callback([&context, name] {
    context.action = [&context, name] { return describe(context.globals, *name); };
  });
}

}  // namespace penstock::tools
