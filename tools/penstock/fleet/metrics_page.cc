#include "fleet/metrics_page.h"

#include <charconv>

namespace penstock::tools {
namespace {

// Calls `visit(labels, value)` for every series of that name until it gives false.
template <class Visit>
void each_series(std::string_view page, std::string_view name, Visit visit) {
  while (!page.empty()) {
    const auto newline = page.find('\n');
    std::string_view line = page.substr(0, newline);
    page.remove_prefix(newline == std::string_view::npos ? page.size() : newline + 1);
    if (!line.starts_with(name)) continue;
    line.remove_prefix(name.size());
    std::string_view labels;
    if (line.starts_with('{')) {
      const auto end = line.find('}');
      if (end == std::string_view::npos) continue;
      labels = line.substr(1, end - 1);
      line.remove_prefix(end + 1);
    }
    if (!line.starts_with(' ')) continue;
    line.remove_prefix(1);
    double value = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), value).ec != std::errc()) continue;
    if (!visit(labels, value)) return;
  }
}

}  // namespace

std::optional<double> metric_sum(std::string_view page, std::string_view name) {
  std::optional<double> sum;
  each_series(page, name, [&](std::string_view, double value) {
    sum = sum.value_or(0) + value;
    return true;
  });
  return sum;
}

std::optional<std::string> metric_label(std::string_view page, std::string_view name,
                                        std::string_view label) {
  std::optional<std::string> found;
  each_series(page, name, [&](std::string_view labels, double value) {
    if (value == 0) return true;
    const std::string key = std::string(label) + "=\"";
    const auto at = labels.find(key);
    if (at == std::string_view::npos) return true;
    const std::string_view rest = labels.substr(at + key.size());
    found = rest.substr(0, rest.find('"'));
    return false;
  });
  return found;
}

}  // namespace penstock::tools
