// One core's memory for messages that come in, and who may have how much of it: the sum of what was
// granted and is not free again stays within the budget.
//
// A session has its first credit as long as it is open. One that says BLOCKED is granted more, in turn, and keeps
// that as its window: what it releases it is granted again. While others wait, windows shrink with what is
// released; and one that has not used for kPatience what it was granted beyond its first credit is
// closed, for credit cannot be taken back.
//
// Units      bytes, messages rounded up to 8; `granted`, `begun`, `released` are absolute and only rise
// Shape      no session has more than max(budget / 8, session_share_min)
// Owner      one core. Sessions, which have the accounts, end before it
// Allocates  when `memory` does
// States     account: Closed ─► Open ─► Closed; open, it may be queued (wants more than the budget has room for)
// Source     src/proto/PROTOCOL.md §2, Credit
#pragma once

#include "base/intrusive_list.h"
#include "penstock/units.h"
#include "transport/message_memory.h"

#include <cstddef>
#include <cstdint>

namespace penstock::transport {

class Session;

class Staging {
 public:
  static constexpr std::int64_t kPatience = 10 * kNanosPerSecond;

  // One session's part of it. Written by Staging alone; `granted` is what the session tells its peer.
  struct Account {
    Session* session = nullptr;
    std::uint64_t granted = 0;
    std::uint64_t begun = 0;
    std::uint64_t released = 0;
    std::uint64_t first = 0;
    std::uint64_t window = 0;  // what it has once all is released
    std::uint64_t wish = 0;    // what it asked to be granted
    std::uint64_t marked = 0;  // `granted` at `mark`: by mark + kPatience it is to be used
    Nanos mark;
    bool open = false;
    bool overdue = false;  // closed by `tick`: the session has to close
    base::ListLink<Account> queued;
    base::ListLink<Account> wide;
    base::ListLink<Account> woken;
    // What the budget has to keep for it.
    [[nodiscard]] std::uint64_t outstanding() const { return granted - released; }
    [[nodiscard]] std::uint64_t held() const { return begun - released; }
    [[nodiscard]] bool unused_beyond_first() const { return granted - begun > first; }
  };

  // `session_share_min`: one largest message. REQUIRES: it is within the budget.
  Staging(std::uint64_t budget, std::uint64_t session_share_min);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // False when the budget has no room for another session.
  [[nodiscard]] bool open(Account& account, Session& session, std::uint64_t first_credit);
  // What is granted and unused is free at once, what is held when it is released.
  void close(Account& account, Nanos now);
  // A message's size is debited; false when that goes beyond what was granted.
  [[nodiscard]] bool begin(Account& account, std::uint64_t bytes, Nanos now);
  void release(Account& account, std::uint64_t bytes, Nanos now);
  // BLOCKED: it wants to be granted so much.
  void want(Account& account, std::uint64_t absolute, Nanos now);

  // Sessions that were granted more, or have to close, on account of what others did: give each a
  // `next_event` and a `gather`. Null: no more.
  [[nodiscard]] Session* next_woken();
  // Closes the accounts of those who keep what others wait for.
  void tick(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;

  [[nodiscard]] std::uint64_t budget() const { return budget_; }
  [[nodiscard]] std::uint64_t outstanding() const { return outstanding_; }
  [[nodiscard]] std::uint64_t session_share() const { return share_; }
  [[nodiscard]] MessageMemory& memory() { return memory_; }

 private:
  void grant(Account& account, std::uint64_t absolute, Nanos now);
  void serve(Nanos now);
  void enqueue(Account& account, Nanos now);
  void remark(Account& account, Nanos now);
  void wake(Account& account);
  // Whose patience of others ends first: the oldest mark, but not of the one who waits alone.
  [[nodiscard]] Account* overdue_first() const;
  [[nodiscard]] bool others_wait(const Account& account) const;
  // As far as its wish may be granted at present.
  [[nodiscard]] std::uint64_t target(const Account& account) const;

  std::uint64_t budget_;
  std::uint64_t share_;
  std::uint64_t outstanding_ = 0;
  Nanos queue_since_;
  base::IntrusiveList<Account, &Account::queued> queue_;
  base::IntrusiveList<Account, &Account::wide> wide_;  // unused_beyond_first(), oldest mark first
  base::IntrusiveList<Account, &Account::woken> woken_;
  MessageMemory memory_;
};

}  // namespace penstock::transport
