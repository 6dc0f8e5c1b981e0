#include "tests/sim/life.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace penstock::sim {

Life::Life(drivers::SimTime& time, drivers::SimStorage& storage, drivers::SimNetwork& network,
           std::uint32_t data_cores, std::uint64_t entropy_seed)
    : time_(time), clock_(time), volume_(storage), entropy_(entropy_seed) {
  for (std::uint32_t i = 0; i <= data_cores; ++i) {
    disks_.push_back(std::make_unique<drivers::SimDisk>(storage));
    disks_.push_back(std::make_unique<drivers::SimDisk>(storage));
    sockets_.push_back(std::make_unique<drivers::SimSocket>(network));
    native_.push_back(std::make_unique<drivers::SimSocket>(network));
    waiters_.push_back(std::make_unique<drivers::SimWaiter>());
  }
}

bool Life::boot(const server::Config& config, const server::Secrets& secrets, std::string& why) {
  server::Drivers drivers{volume_, clock_, entropy_, {}, nullptr};
  for (std::size_t i = 0; i < config.data_cpus.size(); ++i) {
    drivers.data.push_back({disks_[2 * i].get(), disks_[2 * i + 1].get(), sockets_[i].get()});
    if (config.native.port != 0) drivers.data.back().native = native_[i].get();
  }
  auto made = server::Server::assemble(
      config, drivers,
      [&]() -> std::expected<server::Secrets, server::StartError> { return secrets; });
  if (!made) {
    why = made.error().text();
    return false;
  }
  server_ = std::move(*made);
  for (std::size_t i = 0; i < waiters_.size(); ++i) {
    server_->post_office().set_waiter(CoreId(static_cast<std::uint16_t>(i)), waiters_[i].get());
  }
  if (auto listening = server_->listen(); !listening) {
    why = listening.error().text();
    return false;
  }
  for (std::size_t i = 0; i < server_->data_cores(); ++i) {
    agents_.push_back(&server_->data_core(i));
  }
  agents_.push_back(&server_->service_core());
  return true;
}

runtime::WorkCount Life::turn(drivers::SimRandom& random) {
  std::vector<std::size_t> order(agents_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  runtime::WorkCount work = 0;
  for (const std::size_t i : order) {
    const runtime::WorkCount found = agents_[i]->poll(clock_.now(), clock_.wall());
    if (found == 0) waiters_[i]->wait(agents_[i]->next_deadline());
    work += found;
  }
  for (const auto& waiter : waiters_) work += waiter->woken() ? 1 : 0;
  return work;
}

Nanos Life::next_deadline() const {
  Nanos deadline(INT64_MAX);
  for (const runtime::Agent* agent : agents_) {
    deadline = std::min(deadline, time_.from_monotonic(agent->next_deadline()));
  }
  return deadline;
}

bool Life::any_cell_fenced() const {
  for (std::size_t i = 0; i < server_->data_cores(); ++i) {
    for (const auto& cell : server_->data_core(i).core().cells()) {
      if (cell->fenced()) return true;
    }
  }
  return false;
}

std::string Life::describe_cells(std::size_t core) const {
  std::string text;
  for (const auto& cell : server_->data_core(core).core().cells()) {
    const auto& journal = cell->journal_metrics();
    text += fmt::format("cell {}{}{}: {} segments, {} slots free, ", cell->id().raw(),
                        cell->quiet() ? "" : " not quiet", cell->fenced() ? " fenced" : "",
                        journal.segments, journal.slots_free);
  }
  return text;
}

}  // namespace penstock::sim
