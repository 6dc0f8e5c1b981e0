// How a command joins the program: it declares its options and leaves behind what is to be run once the
// whole command line was understood.
//
// Shape      one file per command, one `add_…` function in it; options live in a shared struct that the
//            action holds
#pragma once

#include "problem.h"
#include "session.h"

#include <CLI/CLI.hpp>

#include <functional>

namespace penstock::tools {

struct Context {
  GlobalOptions globals;
  std::function<Ended()> action;  // set by the command that was named
};

void add_stream_create(CLI::App& stream, Context& context);
void add_stream_list(CLI::App& stream, Context& context);
void add_stream_describe(CLI::App& stream, Context& context);
void add_stream_delete(CLI::App& stream, Context& context);
void add_stream_split(CLI::App& stream, Context& context);
void add_stream_merge(CLI::App& stream, Context& context);
void add_put(CLI::App& app, Context& context);
void add_tail(CLI::App& app, Context& context);
void add_fleet(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_cell_clear(CLI::App& cell, Context& context);
void add_clock_accept(CLI::App& clock, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_version(CLI::App& app, Context& context);

// The whole program but for `main`: gives the exit code.
int run(int argc, const char* const* argv);

}  // namespace penstock::tools
