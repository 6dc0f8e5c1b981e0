#include "bench/put_scenario.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace penstock::tools::bench {

Ended run_put_scenario(const GlobalOptions& globals, const Options& options,
                       const PutScenario& scenario) {
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  const auto targets = open_targets(*session, options, scenario.over_kinesis);
  if (!targets) return std::unexpected(targets.error());
  std::vector<Arm> arms;
  for (const PutVariant& variant : scenario.variants) {
    for (const auto& target : *targets) {
      std::string name = variant.name.empty() ? target->name() : variant.name;
      if (!variant.name.empty() && targets->size() > 1) name += ", " + target->name();
      arms.push_back({std::move(name), [&variant, &target](const Live& live) {
                        return measure_put(*target, variant.plan, live);
                      }});
    }
  }
  auto ended = run_rounds(rounds_plan(options, scenario.name), arms);
  if (!ended) return std::unexpected(std::move(ended.error()));
  return finish(globals, std::move(*ended), *targets, scenario.load);
}

}  // namespace penstock::tools::bench
