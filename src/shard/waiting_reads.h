// Reads that wait for a record that is not there yet, by when they have waited long enough.
//
// A wheel: joining, leaving and ending cost the same for one and for a hundred thousand, and a deadline is
// kept to kStep.
//
// Units      nanoseconds of the turn's `now`
// Shape      a wait is cut to kLongest
// Owner      one cell. Borrows the requests, from `add` to `remove` or `due`
// Allocates  never
#pragma once

#include "base/intrusive_list.h"
#include "penstock/units.h"
#include "shard/requests.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::shard {

class WaitingReads {
 public:
  static constexpr std::int64_t kStep = 100 * kNanosPerMilli;
  static constexpr std::int64_t kLongest = 5 * kNanosPerSecond;

  void add(ReadRequest& request, Nanos now);
  void remove(ReadRequest& request);
  // The next one that has waited long enough, removed; null when there is none. REQUIRES: `now` not
  // before that of an earlier call.
  [[nodiscard]] ReadRequest* due(Nanos now);
  [[nodiscard]] bool empty() const { return count_ == 0; }

 private:
  static constexpr std::size_t kSlots = 64;
  static_assert(static_cast<std::int64_t>(kSlots) * kStep > kLongest + 2 * kStep);

  [[nodiscard]] static std::int64_t step_of(Nanos at) { return at.raw() / kStep; }
  [[nodiscard]] auto& slot_of(std::int64_t step) {
    return slots_[static_cast<std::size_t>(step) % kSlots];
  }

  std::array<base::IntrusiveList<ReadRequest, &ReadRequest::timed>, kSlots> slots_;
  std::int64_t looked_at_ = 0;  // all steps up to this are empty
  std::size_t count_ = 0;
};

}  // namespace penstock::shard
