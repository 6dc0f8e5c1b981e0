// One core's disk with completions delivered to whoever asked: each operation names the `DiskCall`
// that receives its result. What the device cannot take yet waits here in order.
//
// Owner      one core
// Allocates  never: what waits is linked through the calls
#pragma once

#include "env/disk.h"
#include "penstock/units.h"
#include "runtime/work.h"

#include <cstddef>
#include <cstdint>

namespace penstock::runtime {

// Embed one in every operation that is in flight; it stays put until `complete` is called.
struct DiskCall {
  using Complete = void (*)(DiskCall& call, std::int32_t result, Nanos now);
  Complete complete = nullptr;
  DiskCall* next = nullptr;  // while waiting for room
  env::DiskOp op;
};

class DiskQueue {
 public:
  explicit DiskQueue(env::Disk& disk) : disk_(disk) {}
  // Completions come later, from `poll`, never from inside `start`.
  void start(DiskCall& call);
  // What was started goes to the device now instead of at the end of the turn: for a caller who
  // has much to do before that.
  void hand_over() { disk_.hand_over(); }
  [[nodiscard]] WorkCount poll(Nanos now);
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  void flush();

  env::Disk& disk_;
  DiskCall* waiting_head_ = nullptr;
  DiskCall* waiting_tail_ = nullptr;
  std::size_t pending_ = 0;
};

}  // namespace penstock::runtime
