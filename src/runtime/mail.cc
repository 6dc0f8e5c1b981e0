#include "runtime/mail.h"

#include "base/assert.h"

namespace penstock::runtime {

PostOffice::PostOffice(std::size_t cores) : posts_(cores), waiters_(cores, nullptr) {
  rings_.reserve(cores * cores);
  for (std::size_t i = 0; i < cores * cores; ++i) rings_.push_back(std::make_unique<Ring>());
  for (std::size_t i = 0; i < cores; ++i) {
    Post& post = posts_[i];
    post.office_ = this;
    post.self_ = CoreId(static_cast<std::uint16_t>(i));
    post.outbox_.resize(cores);
    post.to_wake_.assign(cores, false);
  }
}

void PostOffice::Post::send(CoreId to, Mail mail) {
  PENSTOCK_ASSERT(mail.deliver != nullptr);
  PENSTOCK_ASSERT(to.raw() < outbox_.size());
  std::vector<Mail>& waiting = outbox_[to.raw()];
  // Behind what waits already, or the receiver would see mails out of order.
  if (waiting.empty() && office_->ring(self_, to).push(mail)) {
    if (to == self_) ++own_;
    to_wake_[to.raw()] = true;
    return;
  }
  waiting.push_back(mail);
  ++outbox_count_;
}

WorkCount PostOffice::Post::deliver(Nanos now) {
  const std::size_t cores = outbox_.size();
  std::uint32_t left = kMailPerTurn;
  // Mails that deliveries send to ourselves wait for the next turn, or two mails that answer each
  // other would never let a turn end.
  std::size_t own = own_;
  // A turn that runs out of its share begins the next one with another sender.
  for (std::size_t i = 0; i < cores && left > 0; ++i) {
    const std::size_t sender = (first_sender_ + i) % cores;
    const CoreId from(static_cast<std::uint16_t>(sender));
    Ring& ring = office_->ring(from, self_);
    Mail mail;
    while (left > 0 && (from != self_ || own > 0) && ring.pop(mail)) {
      if (from == self_) {
        --own;
        --own_;
      }
      --left;
      mail.deliver(mail.target, mail.item, now);
    }
  }
  first_sender_ = (first_sender_ + 1) % cores;
  retry_outbox();
  return kMailPerTurn - left;
}

void PostOffice::Post::retry_outbox() {
  for (std::size_t to = 0; outbox_count_ > 0 && to < outbox_.size(); ++to) {
    std::vector<Mail>& waiting = outbox_[to];
    if (waiting.empty()) continue;
    const CoreId receiver(static_cast<std::uint16_t>(to));
    Ring& ring = office_->ring(self_, receiver);
    std::size_t sent = 0;
    while (sent < waiting.size() && ring.push(waiting[sent])) ++sent;
    if (sent == 0) continue;
    if (receiver == self_) own_ += sent;
    to_wake_[to] = true;
    outbox_count_ -= sent;
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(sent));
  }
}

void PostOffice::Post::wake_receivers() {
  for (std::size_t to = 0; to < to_wake_.size(); ++to) {
    if (!to_wake_[to]) continue;
    to_wake_[to] = false;
    if (env::Waiter* waiter = office_->waiters_[to]; waiter != nullptr) waiter->wake();
  }
}

}  // namespace penstock::runtime
