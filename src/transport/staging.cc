#include "transport/staging.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::transport {

Staging::Staging(std::uint64_t budget, std::uint64_t session_share_min)
    : budget_(budget), share_(std::max(budget / 8, session_share_min)), memory_(budget) {
  PENSTOCK_ASSERT(session_share_min <= budget);
}

Staging::~Staging() { PENSTOCK_ASSERT(outstanding_ == 0); }

bool Staging::open(Account& account, Session& session, std::uint64_t first_credit) {
  PENSTOCK_ASSERT(!account.open);
  PENSTOCK_ASSERT(first_credit <= share_);
  if (first_credit > budget_ - outstanding_) return false;
  account.session = &session;
  account.first = account.window = account.granted = first_credit;
  account.open = true;
  outstanding_ += first_credit;
  return true;
}

void Staging::close(Account& account, Nanos now) {
  if (woken_.contains(account)) woken_.remove(account);
  if (!account.open) return;
  account.open = false;
  if (queue_.contains(account)) queue_.remove(account);
  if (wide_.contains(account)) wide_.remove(account);
  outstanding_ -= account.granted - account.begun;
  account.granted = account.begun;
  serve(now);
}

bool Staging::begin(Account& account, std::uint64_t bytes, Nanos now) {
  if (bytes > account.granted - account.begun) return false;
  account.begun += bytes;
  remark(account, now);
  return true;
}

void Staging::release(Account& account, std::uint64_t bytes, Nanos now) {
  PENSTOCK_ASSERT(bytes <= account.held());
  account.released += bytes;
  outstanding_ -= bytes;
  if (!account.open) {
    serve(now);
    return;
  }
  if (others_wait(account)) {
    account.window = std::max(account.first, account.window - std::min(account.window, bytes));
  }
  // No room is needed beyond what has just become free: the window is at most what it had.
  if (account.released + account.window > account.granted) {
    grant(account, account.released + account.window, now);
  }
  if (!queue_.contains(account) && target(account) > account.granted) enqueue(account, now);
  serve(now);
}

void Staging::want(Account& account, std::uint64_t absolute, Nanos now) {
  if (!account.open) return;
  account.wish = std::max(account.wish, absolute);
  if (queue_.contains(account) || target(account) <= account.granted) return;
  enqueue(account, now);
  serve(now);
}

std::uint64_t Staging::target(const Account& account) const {
  return std::min(account.wish, account.released + share_);
}

bool Staging::others_wait(const Account& account) const {
  const Account* first = queue_.front();
  return first != nullptr && (first != &account || first->queued.next != nullptr);
}

void Staging::enqueue(Account& account, Nanos now) {
  if (queue_.empty()) queue_since_ = now;
  queue_.push_back(account);
}

// In turn, one grant each: who comes first waits until the budget has room for all that it may have, and those
// behind it wait too, or a large message would never get through.
void Staging::serve(Nanos now) {
  while (Account* account = queue_.front()) {
    const std::uint64_t wanted = target(*account);
    if (wanted > account->granted) {
      if (wanted - account->granted > budget_ - outstanding_) return;
      grant(*account, wanted, now);
      account->window = std::max(account->window, account->outstanding());
      wake(*account);
    }
    queue_.remove(*account);
  }
}

void Staging::grant(Account& account, std::uint64_t absolute, Nanos now) {
  PENSTOCK_ASSERT(absolute > account.granted);
  outstanding_ += absolute - account.granted;
  PENSTOCK_ASSERT(outstanding_ <= budget_);
  account.granted = absolute;
  PENSTOCK_ASSERT(account.outstanding() <= share_);
  remark(account, now);
}

// A mark is met when what was granted by then has been used, but for the first credit.
void Staging::remark(Account& account, Nanos now) {
  if (!account.unused_beyond_first()) {
    if (wide_.contains(account)) wide_.remove(account);
    return;
  }
  if (wide_.contains(account)) {
    if (account.begun + account.first < account.marked) return;
    wide_.remove(account);
  }
  account.marked = account.granted;
  account.mark = now;
  wide_.push_back(account);
}

void Staging::wake(Account& account) {
  if (!woken_.contains(account)) woken_.push_back(account);
}

Session* Staging::next_woken() {
  Account* account = woken_.pop_front();
  return account != nullptr ? account->session : nullptr;
}

Staging::Account* Staging::overdue_first() const {
  Account* account = wide_.front();
  if (queue_.empty() || account == nullptr) return nullptr;
  return others_wait(*account) ? account : account->wide.next;
}

Nanos Staging::next_deadline() const {
  const Account* account = overdue_first();
  if (account == nullptr) return Nanos(INT64_MAX);
  return std::max(account->mark, queue_since_) + kPatience;
}

void Staging::tick(Nanos now) {
  while (next_deadline() <= now) {
    Account& account = *overdue_first();
    account.overdue = true;
    close(account, now);
    wake(account);
  }
}

}  // namespace penstock::transport
