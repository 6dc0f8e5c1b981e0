// The service core's way to the data cores: commands to cells, new maps to everyone.
//
// Owner      the service core
// Allocates  for each publication
#pragma once

#include "ingest/data_core.h"
#include "runtime/mail.h"
#include "shard/commands.h"

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace penstock::ingest {

class ServicePost final : public shard::CellPlane {
 public:
  // `cell_cores[c]` is the core that owns cell c.
  ServicePost(runtime::PostOffice::Post& post, std::vector<DataCore*> cores,
              std::vector<CoreId> cell_cores);

  [[nodiscard]] std::uint16_t cells() const override {
    return static_cast<std::uint16_t>(cell_cores_.size());
  }
  [[nodiscard]] CoreId core_of(CellId cell) const override { return cell_cores_[cell.raw()]; }
  void start(shard::CellCommand& command, Nanos now) override;
  void publish(std::shared_ptr<const route::RouteMap> map, void (*done)(void*, Nanos),
               void* context, Nanos now) override;

  // The time that expiry goes by, for the blocks' stamps. Not acknowledged.
  void tell_retention(RetentionMillis retention);

 private:
  struct Publication;
  // One map on its way to one core and back.
  struct Copy {
    Publication* publication;
    DataCore* core;
  };
  struct Publication {
    ServicePost* owner = nullptr;
    std::shared_ptr<const route::RouteMap> map;
    void (*done)(void*, Nanos) = nullptr;
    void* context = nullptr;
    std::size_t awaited = 0;
    std::vector<Copy> copies;
  };
  static void on_arrival(void* target, void* item, Nanos now);
  static void on_acknowledged(void* target, void* item, Nanos now);

  runtime::PostOffice::Post& post_;
  std::vector<DataCore*> cores_;
  std::vector<CoreId> cell_cores_;
  std::deque<std::unique_ptr<Publication>> publications_;  // oldest first
  std::atomic<RetentionMillis> retention_now_{};           // the cores read it when told to
};

}  // namespace penstock::ingest
