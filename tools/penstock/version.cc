#include "build_info.h"
#include "client/json_writer.h"
#include "command.h"

#include <fmt/format.h>

#include <cstdio>

namespace penstock::tools {
namespace {

Ended version(const GlobalOptions& globals) {
  if (globals.json()) {
    client::JsonWriter writer;
    writer.begin_object().field("version", PENSTOCK_VERSION).field("compiler", kCompiler);
    fmt::print("{}\n", writer.field("checks", kChecks).end_object().text());
  } else {
    fmt::print("penstock {} ({}, checks {})\n", PENSTOCK_VERSION, kCompiler, kChecks);
  }
  return Exit::kDone;
}

}  // namespace

void add_version(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("version", "say which build this is");
  command->footer("\nExample:\n  penstock version -o json");
  command->callback(
      [&context] { context.action = [&context] { return version(context.globals); }; });
}

}  // namespace penstock::tools
