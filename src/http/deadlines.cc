#include "http/deadlines.h"

#include "runtime/work.h"

#include <algorithm>

namespace penstock::http {
namespace {

constexpr std::size_t index(DeadlineKind kind) { return static_cast<std::size_t>(kind); }

}  // namespace

Deadlines::Deadlines(const FrontDoorOptions& options)
    : durations_{options.first_byte_nanos, options.head_nanos,   options.idle_nanos,
                 options.body_nanos,       options.memory_nanos, options.write_nanos,
                 options.write_nanos,      options.linger_nanos},
      haste_(std::max<std::int64_t>(options.write_nanos - options.write_contended_nanos, 0)) {}

bool Deadlines::holds(DeadlineKind kind) {
  return kind == DeadlineKind::kFirstByte || kind == DeadlineKind::kHead ||
         kind == DeadlineKind::kIdle || kind == DeadlineKind::kBody;
}

Nanos Deadlines::clock(DeadlineKind kind, Nanos now) const {
  if (!holds(kind)) return now;
  return (holding_ ? held_since_ : now) - held_;
}

Nanos Deadlines::due(const Deadline& deadline) const {
  const bool hurried = contended_ && deadline.kind == DeadlineKind::kWriteHeld;
  return hurried ? deadline.at - haste_ : deadline.at;
}

void Deadlines::arm(Deadline& deadline, DeadlineKind kind, Nanos now) {
  disarm(deadline);
  deadline.kind = kind;
  deadline.at = clock(kind, now) + durations_[index(kind)];
  lists_[index(kind)].push_back(deadline);
}

void Deadlines::disarm(Deadline& deadline) {
  if (deadline.link.linked) lists_[index(deadline.kind)].remove(deadline);
}

Deadline* Deadlines::expired(Nanos now) {
  for (List& list : lists_) {
    Deadline* const first = list.front();
    if (first == nullptr || due(*first) > clock(first->kind, now)) continue;
    list.remove(*first);
    return first;
  }
  return nullptr;
}

Nanos Deadlines::next() const {
  Nanos earliest = runtime::kNever;
  for (const List& list : lists_) {
    const Deadline* const first = list.front();
    if (first == nullptr) continue;
    const bool held = holds(first->kind);
    if (held && holding_) continue;
    earliest = std::min(earliest, held ? first->at + held_ : due(*first));
  }
  return earliest;
}

void Deadlines::hold(Nanos now) {
  if (holding_) return;
  holding_ = true;
  held_since_ = now;
}

void Deadlines::release(Nanos now) {
  if (!holding_) return;
  holding_ = false;
  held_ += now - held_since_;
}

}  // namespace penstock::http
