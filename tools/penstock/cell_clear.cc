#include "client/json_writer.h"
#include "command.h"
#include "data_directory.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace penstock::tools {
namespace {

struct Options {
  std::string data_dir;
  std::uint16_t cell = 0;
};

Ended clear(const GlobalOptions& globals, const Options& options) {
  auto directory = DataDirectory::open(options.data_dir.empty() ? globals.dir : options.data_dir);
  if (!directory) return std::unexpected(std::move(directory.error()));
  const std::vector<storage::RecoveredCell> cells = directory->store().take_cells();
  if (options.cell >= cells.size()) {
    Problem problem{Exit::kNotFound,
                    number(ErrorCode::kNotFound),
                    fmt::format("there is no cell {} in {}", options.cell, directory->path()),
                    {}};
    return std::unexpected(
        std::move(problem.needed(fmt::format("--cell 0 to {}", cells.size() - 1))));
  }
  const bool fenced = cells[options.cell].fenced;
  if (const Result<> done = directory->store().clear_fence(CellId(options.cell)); !done) {
    return std::unexpected(storage_problem(
        done.error(), fmt::format("the fence of cell {} cannot be cleared", options.cell)));
  }
  if (globals.json()) {
    client::JsonWriter writer;
    writer.begin_object().field("cell", options.cell).field("was_fenced", fenced).end_object();
    fmt::print("{}\n", writer.text());
  } else if (fenced) {
    fmt::print("cell {} takes records again when penstockd starts\n", options.cell);
  } else {
    fmt::print("cell {} was not fenced: nothing is changed\n", options.cell);
  }
  return Exit::kDone;
}

}  // namespace

void add_cell_clear(CLI::App& cell, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      cell.add_subcommand("clear", "let a cell that a failed write fenced take records again");
  command->add_option("--data-dir", options->data_dir,
                      "data directory of a stopped penstockd (default --dir)");
  command->add_option("--cell", options->cell, "the cell, as /readyz names it")->required();
  command->footer(R"(
A write that fails leaves the cell read-only, over restarts too: its device may have lost what it
called stored. Look at the device first (dmesg, smartctl); this says that it may be trusted again.

Example:
  systemctl stop penstockd
  penstock cell clear --data-dir /var/lib/penstock --cell 2
  systemctl start penstockd)");
  command->callback([&context, options] {
    context.action = [&context, options] { return clear(context.globals, *options); };
  });
}

}  // namespace penstock::tools
