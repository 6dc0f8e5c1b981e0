#include "bench/metrics.h"

#include "fleet/metrics_page.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr std::chrono::milliseconds kPatience{2'000};

// Series of that name.
std::size_t series_of(std::string_view page, std::string_view name) {
  std::size_t count = 0;
  const std::string begin = fmt::format("\n{}{{", name);
  for (std::size_t at = page.find(begin); at != std::string_view::npos;
       at = page.find(begin, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace

ServerMetrics::ServerMetrics(client::Endpoint admin) : admin_(std::move(admin)) {
  const std::string text = page();
  durability_ = metric_label(text, "penstock_durability_class", "class").value_or("");
  if (const auto version = metric_label(text, "penstock_build_info", "version")) {
    facts_.emplace_back("server", "penstock " + *version);
  }
  if (const auto cells = series_of(text, "penstock_cell_shards"); cells > 0) {
    load_facts_.emplace_back("cells", std::to_string(cells));
  }
  if (const auto cores = series_of(text, "penstock_http_connections_open"); cores > 0) {
    load_facts_.emplace_back("data cores", std::to_string(cores));
  }
}

Attempt<ServerMetrics> ServerMetrics::at(const client::Endpoint& api, const std::string& admin) {
  if (admin.empty()) {
    return ServerMetrics(
        {false, api.host, static_cast<std::uint16_t>(api.port + (api.tls ? 3 : 2))});
  }
  auto given = client::Endpoint::parse(admin);
  if (!given) return std::unexpected(problem_of(given.error(), "--admin is not usable"));
  return ServerMetrics(std::move(*given));
}

std::string ServerMetrics::page() const {
  return client::http_get(admin_, "/metrics", kPatience).value_or("");
}

ServerCost ServerMetrics::cost() const {
  const std::string text = page();
  return {metric_sum(text, "process_cpu_seconds_total"),
          metric_sum(text, "penstock_journal_written_bytes_total")};
}

}  // namespace penstock::tools::bench
