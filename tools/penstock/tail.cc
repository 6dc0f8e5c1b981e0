#include "tail/tail.h"

#include "command.h"

#include <memory>
#include <utility>

namespace penstock::tools {
namespace {

Ended tail(const GlobalOptions& globals, const TailOptions& options) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  TailPrinter printer(options.count, globals.json());
  return options.via == "native" ? tail_native(*session, options, printer)
                                 : tail_kinesis(*session, options, printer);
}

}  // namespace

void add_tail(CLI::App& app, Context& context) {
  auto options = std::make_shared<TailOptions>();
  CLI::App* command = app.add_subcommand("tail", "print a stream's records");
  command->add_option("stream", options->stream, "the stream")->required();
  command
      ->add_option("--from", options->from,
                   "horizon, latest, a time (2026-11-23T08:00:00Z, -15m) or a sequence number")
      ->capture_default_str();
  command->add_option("--shard", options->shard, "begin with this shard alone");
  command->add_flag("-f,--follow", options->follow, "go on when caught up (latest always does)");
  command->add_option("--via", options->via, "kinesis, or native: records are pushed as they come")
      ->check(CLI::IsMember({"kinesis", "native"}))
      ->capture_default_str();
  command->add_option("--count", options->count, "stop after so many records");
  command->footer(R"(
A record of a split or merged shard always comes before those of its children, so what has one key
comes in its order. Text shows arrival, shard, key, data; -o json gives an object a line.

Examples:
  penstock tail fleet --from horizon --count 10
  penstock tail fleet --from -15m --follow --via native
  penstock tail fleet --from horizon -o json | jq -r .data)");
  command->callback([&context, options] {
    context.action = [&context, options] { return tail(context.globals, *options); };
  });
}

}  // namespace penstock::tools
