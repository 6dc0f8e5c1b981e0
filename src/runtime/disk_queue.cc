#include "runtime/disk_queue.h"

#include "base/assert.h"

#include <array>

namespace penstock::runtime {
namespace {

constexpr std::size_t kReapPerPoll = 64;

[[nodiscard]] std::uint64_t tag_of(DiskCall& call) {
  return reinterpret_cast<std::uintptr_t>(&call);
}
[[nodiscard]] DiskCall& call_of(std::uint64_t tag) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel carries the tag as a number
  return *reinterpret_cast<DiskCall*>(static_cast<std::uintptr_t>(tag));
}

}  // namespace

void DiskQueue::start(DiskCall& call) {
  PENSTOCK_ASSERT(call.complete != nullptr);
  PENSTOCK_ASSERT(call.op.length > 0);
  call.op.tag = tag_of(call);
  call.next = nullptr;
  ++pending_;
  // Order is kept behind others that wait.
  if (waiting_head_ == nullptr && disk_.submit(std::span(&call.op, 1)) == 1) return;
  if (waiting_head_ == nullptr) {
    waiting_head_ = &call;
  } else {
    waiting_tail_->next = &call;
  }
  waiting_tail_ = &call;
}

void DiskQueue::flush() {
  while (waiting_head_ != nullptr) {
    DiskCall& call = *waiting_head_;
    if (disk_.submit(std::span(&call.op, 1)) == 0) return;
    waiting_head_ = call.next;
    if (waiting_head_ == nullptr) waiting_tail_ = nullptr;
  }
}

WorkCount DiskQueue::poll(Nanos now) {
  std::array<env::DiskDone, kReapPerPoll> done;
  const std::size_t count = disk_.reap(done);
  flush();  // before the completions, which may start more: first come, first served
  for (std::size_t i = 0; i < count; ++i) {
    PENSTOCK_ASSERT(pending_ > 0);
    --pending_;
    DiskCall& call = call_of(done[i].tag);
    call.complete(call, done[i].result, now);
  }
  return static_cast<WorkCount>(count);
}

}  // namespace penstock::runtime
