// When a connection's patience ends. Every kind has one constant duration, so its list is in order by
// itself and costs the same for one connection and for thousands.
//
// Units      nanoseconds of the turn's `now`
// Shape      kWriteHeld has two durations: while `contended`, one that began so long ago that the short
//            one is over has passed
// Owner      one core
// Allocates  never
#pragma once

#include "base/intrusive_list.h"
#include "http/options.h"
#include "penstock/units.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock::http {

class Connection;

enum class DeadlineKind : std::uint8_t {
  kFirstByte,
  kHead,
  kIdle,
  kBody,
  kMemory,
  kWrite,      // of an answer in the connection's own memory
  kWriteHeld,  // of one in the budget's
  kLinger,
};
inline constexpr std::size_t kDeadlineKinds = 8;

// Embedded in a connection; armed for one kind at a time.
struct Deadline {
  Connection* owner = nullptr;
  DeadlineKind kind = DeadlineKind::kIdle;
  Nanos at;  // on the clock of its kind
  base::ListLink<Deadline> link;
};

class Deadlines {
 public:
  explicit Deadlines(const FrontDoorOptions& options);

  // Moves `deadline` to this kind, its full duration from `now`.
  void arm(Deadline& deadline, DeadlineKind kind, Nanos now);
  void disarm(Deadline& deadline);
  // The next one that has passed, disarmed; null when there is none.
  [[nodiscard]] Deadline* expired(Nanos now);
  [[nodiscard]] Nanos next() const;

  // While nothing is received, the time that peers have for sending stands still.
  void hold(Nanos now);
  void release(Nanos now);

  // Whether somebody waits for what those in kWriteHeld have.
  void contend(bool on) { contended_ = on; }
  [[nodiscard]] bool contended() const { return contended_; }

 private:
  using List = base::IntrusiveList<Deadline, &Deadline::link>;

  [[nodiscard]] static bool holds(DeadlineKind kind);
  // `now` on the clock of `kind`.
  [[nodiscard]] Nanos clock(DeadlineKind kind, Nanos now) const;
  // When the deadline passes as things are now, on the clock of its kind.
  [[nodiscard]] Nanos due(const Deadline& deadline) const;

  std::array<std::int64_t, kDeadlineKinds> durations_;
  std::array<List, kDeadlineKinds> lists_;
  std::int64_t held_ = 0;  // how long in all
  bool holding_ = false;
  Nanos held_since_;
  std::int64_t haste_;  // by how much the short duration of kWriteHeld is shorter
  bool contended_ = false;
};

}  // namespace penstock::http
