#include "shard/waiting_reads.h"

#include <algorithm>

namespace penstock::shard {

void WaitingReads::add(ReadRequest& request, Nanos now) {
  if (count_ == 0) looked_at_ = step_of(now);
  const Nanos until = std::min(request.wait_until, now + kLongest);
  // In the step behind its own, which is over when that begins.
  request.wait_step = std::max(step_of(until), looked_at_) + 1;
  slot_of(request.wait_step).push_back(request);
  ++count_;
}

void WaitingReads::remove(ReadRequest& request) {
  slot_of(request.wait_step).remove(request);
  --count_;
}

ReadRequest* WaitingReads::due(Nanos now) {
  const std::int64_t step = step_of(now);
  looked_at_ =
      std::max(looked_at_, step - static_cast<std::int64_t>(kSlots));  // once round at most
  for (; count_ > 0; ++looked_at_) {
    // A slot's are in order: whoever came later waits until the same step or whole turns longer.
    ReadRequest* const request = slot_of(looked_at_).front();
    if (request != nullptr && request->wait_step <= step) {
      remove(*request);
      return request;
    }
    if (looked_at_ >= step) return nullptr;
  }
  return nullptr;
}

}  // namespace penstock::shard
