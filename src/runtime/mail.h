// Mailboxes: how cores talk. A mail names the function that its receiver runs on its own thread.
//
// Shape      one bounded SPSC ring per (sender, receiver); a full ring leaves the mail in the
//            sender's own outbox, and `outbox_empty()` false is back-pressure at the socket
// Owner      a Post belongs to one core; its rings are shared with exactly one other core each
// Allocates  at start-up; an outbox grows only when a ring is full
#pragma once

#include "base/spsc_ring.h"
#include "env/waiter.h"
#include "penstock/ids.h"
#include "runtime/work.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock::runtime {

// `target` is owned by the receiving core; `item` is handed over with the mail.
struct Mail {
  using Deliver = void (*)(void* target, void* item, Nanos now);
  Deliver deliver = nullptr;
  void* target = nullptr;
  void* item = nullptr;
};

inline constexpr std::size_t kMailboxSlots = 4096;
inline constexpr std::uint32_t kMailPerTurn = 1024;

// All rings of an assembly of cores. Core c sends and receives through `post(c)`.
class PostOffice {
 public:
  explicit PostOffice(std::size_t cores);
  class Post {
   public:
    // Own mail (to == self) is delivered by the next `deliver`, like any other.
    void send(CoreId to, Mail mail);
    // Runs up to kMailPerTurn mails, then retries what the outbox holds.
    [[nodiscard]] WorkCount deliver(Nanos now);
    // Wakes cores that were sent something since the last call. Once a turn, at its end.
    void wake_receivers();
    [[nodiscard]] bool outbox_empty() const { return outbox_count_ == 0; }
    [[nodiscard]] CoreId self() const { return self_; }

   private:
    friend class PostOffice;
    void retry_outbox();

    PostOffice* office_ = nullptr;
    CoreId self_;
    std::vector<std::vector<Mail>> outbox_;  // per receiver
    std::vector<bool> to_wake_;
    std::size_t outbox_count_ = 0;
    std::size_t own_ = 0;  // mails to ourselves in their ring
    std::size_t first_sender_ = 0;
  };
  [[nodiscard]] Post& post(CoreId core) { return posts_[core.raw()]; }
  void set_waiter(CoreId core, env::Waiter* waiter) { waiters_[core.raw()] = waiter; }
  [[nodiscard]] std::size_t cores() const { return posts_.size(); }

 private:
  using Ring = base::SpscRing<Mail, kMailboxSlots>;
  [[nodiscard]] Ring& ring(CoreId from, CoreId to) {
    return *rings_[from.raw() * posts_.size() + to.raw()];
  }
  std::vector<std::unique_ptr<Ring>> rings_;
  std::vector<Post> posts_;
  std::vector<env::Waiter*> waiters_;
};

}  // namespace penstock::runtime
