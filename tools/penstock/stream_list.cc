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

Ended list(const GlobalOptions& globals) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  client::KinesisClient client = session->client();
  auto streams = client::list_streams(client);
  if (!streams) return std::unexpected(problem_of(streams.error(), "the streams cannot be listed"));
  if (globals.json()) {
    client::JsonWriter writer;
    writer.begin_object().key("streams").begin_array();
    for (const auto& stream : *streams) {
      writer.begin_object().field("stream", stream.name).field("status", stream.status);
      writer.field("mode", stream.mode).field("arn", stream.arn);
      writer.field("created", stream.created > 0 ? format_time(stream.created) : "").end_object();
    }
    fmt::print("{}\n", writer.end_array().end_object().text());
    return Exit::kDone;
  }
  if (streams->empty()) {
    fmt::print("no streams; make one with: penstock stream create NAME\n");
    return Exit::kDone;
  }
  Table table({"STREAM", "STATUS", "MODE", "CREATED"});
  for (const auto& stream : *streams) {
    table.add({stream.name, stream.status, stream.mode,
               stream.created > 0 ? format_time(stream.created) : ""});
  }
  fmt::print("{}", table.text());
  return Exit::kDone;
}

}  // namespace

void add_stream_list(CLI::App& stream, Context& context) {
  CLI::App* command = stream.add_subcommand("list", "name the streams");
  command->alias("ls");
  command->footer("\nExample:\n  penstock stream list -o json");
  command->callback([&context] { context.action = [&context] { return list(context.globals); }; });
}

}  // namespace penstock::tools
