// The options that the scenarios share, and what they become.
//
// Errors     usage problems that name the option
#pragma once

#include "bench/puts.h"
#include "bench/rounds.h"
#include "bench/target.h"
#include "command.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock::tools::bench {

struct Options {
  std::string target;
  std::string against;
  std::string admin;
  std::string durability;
  double seconds = 5;
  double warmup = 1;
  std::uint32_t rounds = 7;
  std::string record = "1024";
  std::string batch = "64KiB";
  std::uint32_t linger = 2'000;
  std::uint32_t in_flight = 0;  // 0: 16 MiB of records, at most 16,384
  std::uint32_t producers = 1;
  std::uint32_t connections = 8;
  std::uint32_t keys = 1'000;
  std::uint32_t shards = 1;
  std::string stream;
  std::string rate;
  bool explicit_hash = false;
  bool idempotent = true;
  std::string hdr;
  bool verify = true;
};

// What most have: --target, --admin, --durability, --rounds, --hdr.
void add_target_options(CLI::App& command, Options& options);
// How records are put.
void add_load_options(CLI::App& command, Options& options);
// Of these, what the records and their stream are.
void add_record_options(CLI::App& command, Options& options);
void add_verify_option(CLI::App& command, Options& options);
// --stream, --verify.
void add_stream_options(CLI::App& command, Options& options);
void add_against_option(CLI::App& command, Options& options);

[[nodiscard]] Attempt<PutPlan> put_plan(const Options& options);
[[nodiscard]] RoundsPlan rounds_plan(const Options& options, std::string scenario);
// --target and, where it is given, --against. Where their durability classes differ, figures would say nothing about
// each other: a problem that names both. From then on an interrupted run removes what it has made.
using Targets = std::vector<std::unique_ptr<Target>>;
[[nodiscard]] Attempt<Targets> open_targets(const Session& session, const Options& options,
                                            bool over_kinesis = false);

// Completes a result with the machine, the targets (by arm) and the load, and prints it. Exit 8 where verification
// found something.
[[nodiscard]] Ended finish(const GlobalOptions& globals, RoundsEnded ended, const Targets& targets,
                           Facts load);

}  // namespace penstock::tools::bench
