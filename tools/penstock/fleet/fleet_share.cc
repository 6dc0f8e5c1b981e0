#include "fleet/sender.h"
#include "words.h"

#include <fmt/format.h>

namespace penstock::tools {

FleetShare::FleetShare(const FleetPlan& plan, std::uint32_t first) {
  for (std::uint32_t v = first; v < plan.vehicles; v += plan.connections) {
    vehicles_.emplace_back(v, plan.seed);
  }
}

FleetShare::Message FleetShare::next(const FleetPlan& plan, const Routes& routes) {
  Vehicle& vehicle = vehicles_[turn_];
  turn_ = turn_ + 1 == vehicles_.size() ? 0 : turn_ + 1;
  const std::uint32_t sequence = vehicle.messages();
  return {.vehicle = vehicle.number(),
          .sequence = sequence,
          .key = vehicle.name(),
          .text = vehicle.next(routes, plan.run, plan.start_ms, buffer_.data())};
}

double FleetShare::rate(const FleetPlan& plan) const {
  return plan.rate * static_cast<double>(vehicles_.size()) / static_cast<double>(plan.vehicles);
}

double FleetShare::phase(const FleetPlan& plan) const {
  return static_cast<double>(vehicles_.front().number()) / static_cast<double>(plan.connections);
}

std::string fleet_failing(const FleetSite& site) {
  return fmt::format("the fleet stopped after {} records", format_count(site.progress.records));
}

}  // namespace penstock::tools
