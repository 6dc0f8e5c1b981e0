// A lane of a session, both directions, and the table that finds it by its number.
//
// Owner      a session
// Allocates  when more lanes are open than ever before
// States     Open (in the table) ─► Ended (kept while a piece of it is under way) ─► in the pool
#pragma once

#include "base/buffer_pool.h"
#include "base/intrusive_list.h"
#include "transport/session.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock::transport {

struct Lane {
  using Queue = base::IntrusiveList<OutgoingMessage, &OutgoingMessage::link>;

  std::uint32_t number = 0;
  bool ended = false;
  bool announced = true;  // the peer knows it

  // What comes in.
  base::PoolBuffer buffer;  // half a message
  std::uint32_t message_bytes = 0;
  std::uint32_t received = 0;
  std::uint32_t next_in = 0;  // number of the message
  std::uint32_t marked = 0;   // `received` at `mark`
  Nanos mark;                 // from here on patience counts
  bool half = false;          // between a message's first piece and its last
  bool in_piece = false;      // bytes of its piece are still to come
  bool own_account = false;
  std::uint64_t granted_in = 0;  // client, with own_account
  std::uint64_t begun_in = 0;

  // What goes out. `queue`: not done yet; from `current` on, not all in hand.
  Queue queue;
  OutgoingMessage* current = nullptr;
  std::uint32_t current_bytes = 0;
  std::uint32_t offset = 0;  // in `current`
  std::size_t part = 0;      // that `offset` lies in
  std::size_t part_offset = 0;
  std::uint32_t next_out = 0;   // number of `current`
  std::uint32_t in_gather = 0;  // pieces that `sent` has to come for
  std::uint64_t credit = 0;     // of its own account
  std::uint64_t begun = 0;
  std::uint64_t asked = 0;
  Priority priority = Priority::kControl;
  bool debited = false;  // `current` is in the session's account

  // Control frames that it waits to send, while `due` is linked.
  bool credit_due = false;
  bool blocked_due = false;
  bool reset_due = false;
  CloseCode reset_code = CloseCode::kDone;
  std::string reset_reason;

  base::ListLink<Lane> ready;     // may send a piece; one list for each priority
  base::ListLink<Lane> waiting;   // for credit of the session's
  base::ListLink<Lane> opening;   // a client's, not announced
  base::ListLink<Lane> stalling;  // half, by mark
  base::ListLink<Lane> due;
  base::ListLink<Lane> writable;  // has an event to give
};

// Lanes by number: linear probing, never more than half full.
class LaneTable {
 public:
  LaneTable() : slots_(kSmallest) {}
  [[nodiscard]] Lane* find(std::uint32_t number) const;
  // A fresh one. REQUIRES: the number is not there.
  [[nodiscard]] Lane& open(std::uint32_t number);
  // Out of the table; it stays as it is until `recycle`.
  void remove(Lane& lane);
  void recycle(Lane& lane);
  [[nodiscard]] std::size_t size() const { return size_; }
  // All that ever were.
  [[nodiscard]] const std::vector<std::unique_ptr<Lane>>& all() const { return all_; }

 private:
  static constexpr std::size_t kSmallest = 8;
  [[nodiscard]] std::size_t home(std::uint32_t number) const {
    return ((number * 2'654'435'769U) >> 7) & (slots_.size() - 1);
  }
  void place(Lane& lane);

  std::vector<Lane*> slots_;
  std::size_t size_ = 0;
  std::vector<std::unique_ptr<Lane>> all_;
  std::vector<Lane*> free_;  // as large as `all_`
};

}  // namespace penstock::transport
