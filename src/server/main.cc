// penstockd: the daemon.
#include "server/config.h"
#include "server/daemon.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#ifndef PENSTOCK_VERSION
#define PENSTOCK_VERSION "0"
#endif

namespace {

constexpr int kExitUsage = 64;   // sysexits: EX_USAGE
constexpr int kExitConfig = 78;  // EX_CONFIG

constexpr const char* kFooter = R"(
Examples
  penstockd --dev ./data                      try it: loopback only, no configuration needed
  penstockd --dev ./data --limits none        the same without the per-shard limits
  penstockd --config /etc/penstock/penstock.toml --check
  penstockd --config /etc/penstock/penstock.toml

Exit status: 0 stopped, every request answered; 70 internal, 71 system, 74 I/O, 75 try again, or stopped
with a request unanswered; 77 no permission, 78 configuration.)";

int load(const std::string& path, penstock::server::Config& config) {
  std::ifstream in(path);
  if (!in) {
    fmt::print(stderr,
               "error PS-4003: cannot read the configuration\n  found  no readable file {}\n"
               "  mend   penstockd --config <file>, or penstockd --dev <directory>\n",
               path);
    return kExitConfig;
  }
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  auto parsed = penstock::server::parse_config(text, path);
  if (parsed) {
    config = std::move(*parsed);
    return 0;
  }
  for (const penstock::server::ConfigError& error : parsed.error()) {
    fmt::print(stderr, "{}", error.text());
  }
  return kExitConfig;
}

}  // namespace

// NOLINTNEXTLINE(bugprone-exception-escape): out of memory before anything is served ends the program
int main(int argc, char** argv) {
  CLI::App app("Penstock: Kinesis Data Streams on one's own metal.", "penstockd");
  app.footer(kFooter);
  app.set_version_flag("--version", PENSTOCK_VERSION);
  std::string config_path = "/etc/penstock/penstock.toml";
  std::string dev_directory;
  std::string limits = "kinesis";
  std::uint16_t port_base = 4567;
  bool check = false;
  bool accept_not_durable = false;
  auto* config_option = app.add_option("--config", config_path, "configuration file (TOML)");
  auto* dev_option =
      app.add_option("--dev", dev_directory,
                     "serve this directory on loopback with no configuration; formats it if empty");
  config_option->excludes(dev_option);
  app.add_option("--port-base", port_base,
                 "with --dev: Kinesis HTTPS here, HTTP at +1, native at +2, administration at +3")
      ->needs(dev_option)
      ->check(CLI::Range(1, 65532));
  app.add_option("--limits", limits, "with --dev: per-shard limits of new streams")
      ->needs(dev_option)
      ->check(CLI::IsMember({"kinesis", "none"}));
  app.add_flag("--accept-not-durable", accept_not_durable,
               "start though the file system keeps nothing over a power cut (class `none`)");
  app.add_flag("--check", check, "check the configuration, print the memory plan, and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : kExitUsage;
  }

  penstock::server::Config config;
  if (!dev_directory.empty()) {
    config = penstock::server::dev_config(dev_directory, port_base, limits == "none",
                                          std::thread::hardware_concurrency());
  } else if (const int failed = load(config_path, config); failed != 0) {
    return failed;
  }
  config.accept_not_durable = config.accept_not_durable || accept_not_durable;
  if (check) return penstock::server::check_daemon(config);
  return penstock::server::run_daemon(config, !dev_directory.empty());
}
