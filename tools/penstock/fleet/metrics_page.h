// Reads figures out of Prometheus' text format.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace penstock::tools {

// The sum over all series of that name; nothing if there is none.
[[nodiscard]] std::optional<double> metric_sum(std::string_view page, std::string_view name);
// The value of `label` in the first series of that name whose figure is not 0.
[[nodiscard]] std::optional<std::string> metric_label(std::string_view page, std::string_view name,
                                                      std::string_view label);

}  // namespace penstock::tools
