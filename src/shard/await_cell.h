// Asking others from a coroutine of the service core: `co_await` goes on when every command of a
// batch has its outcome, when every data core has a published map, or when the catalogue is held.
//
// Owner      the coroutine that awaits; the commands stay where they are meanwhile
// Allocates  never
#pragma once

#include "runtime/task_loop.h"
#include "shard/commands.h"
#include "shard/service.h"

#include <coroutine>
#include <deque>
#include <memory>
#include <utility>

namespace penstock::shard {

// Starts all commands together; each then has its `outcome`.
class CellCalls {
 public:
  CellCalls(CellPlane& cells, runtime::TaskLoop& loop, std::deque<CellCommand>& commands)
      : cells_(cells), loop_(loop), commands_(commands) {}
  CellCalls(const CellCalls&) = delete;
  CellCalls& operator=(const CellCalls&) = delete;

  [[nodiscard]] bool await_ready() const noexcept { return commands_.empty(); }
  void await_suspend(std::coroutine_handle<> awaiter) {
    awaiter_ = awaiter;
    open_ = commands_.size();
    for (CellCommand& command : commands_) {
      command.context = this;
      command.done = [](CellCommand& done, Nanos) {
        auto& self = *static_cast<CellCalls*>(done.context);
        if (--self.open_ == 0) self.loop_.ready(self.awaiter_);
      };
      cells_.start(command, loop_.now());
    }
  }
  void await_resume() const noexcept {}

 private:
  CellPlane& cells_;
  runtime::TaskLoop& loop_;
  std::deque<CellCommand>& commands_;
  std::coroutine_handle<> awaiter_;
  std::size_t open_ = 0;
};

class MapPublication {
 public:
  MapPublication(CellPlane& cells, runtime::TaskLoop& loop,
                 std::shared_ptr<const route::RouteMap> map)
      : cells_(cells), loop_(loop), map_(std::move(map)) {}
  MapPublication(const MapPublication&) = delete;
  MapPublication& operator=(const MapPublication&) = delete;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiter) {
    awaiter_ = awaiter;
    cells_.publish(
        std::move(map_),
        [](void* context, Nanos) {
          auto& self = *static_cast<MapPublication*>(context);
          self.loop_.ready(self.awaiter_);
        },
        this, loop_.now());
  }
  void await_resume() const noexcept {}

 private:
  CellPlane& cells_;
  runtime::TaskLoop& loop_;
  std::shared_ptr<const route::RouteMap> map_;
  std::coroutine_handle<> awaiter_;
};

// Goes on holding the catalogue; who awaited it releases it.
class CatalogueHold {
 public:
  CatalogueHold(CatalogueSource& catalogue, runtime::TaskLoop& loop)
      : catalogue_(catalogue), loop_(loop) {}
  CatalogueHold(const CatalogueHold&) = delete;
  CatalogueHold& operator=(const CatalogueHold&) = delete;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiter) {
    awaiter_ = awaiter;
    catalogue_.hold(
        [](void* context) {
          auto& self = *static_cast<CatalogueHold*>(context);
          self.loop_.ready(self.awaiter_);
        },
        this);
  }
  void await_resume() const noexcept {}

 private:
  CatalogueSource& catalogue_;
  runtime::TaskLoop& loop_;
  std::coroutine_handle<> awaiter_;
};

}  // namespace penstock::shard
