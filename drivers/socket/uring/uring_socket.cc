#include "drivers/socket/uring/uring_socket.h"

#include "base/assert.h"
#include "base/loopback.h"
#include "drivers/socket/uring/address.h"
#include "penstock/units.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <sys/socket.h>
#include <utility>

namespace penstock::drivers {
namespace {

constexpr std::int64_t kAcceptPause = 100 * kNanosPerMilli;
// A send of one entry; the rest follows as after any short send.
constexpr std::size_t kSendMax = std::size_t{1} << 30;

enum class Kind : std::uint8_t { kAccept, kReceive, kSend, kPause };
// An index, a kind, and of a held send the low 16 bits of its number.
constexpr unsigned kKindShift = 32;
constexpr unsigned kNumberShift = 40;

constexpr std::uint64_t data_of(Kind kind, std::uint32_t index, std::uint32_t number = 0) {
  return (static_cast<std::uint64_t>(number & 0xFFFFU) << kNumberShift) |
         (static_cast<std::uint64_t>(kind) << kKindShift) | index;
}

// IORING_NOTIF_USAGE_ZC_COPIED: in the result of a notice, that the bytes were copied.
constexpr std::uint32_t kNoticeCopied = 1U << 31;

// The kernel does not send these bytes without a copy, be it for want of memory that may be locked.
bool refuses_zero_copy(std::int32_t result) {
  return result == -EINVAL || result == -EOPNOTSUPP || result == -ENOBUFS || result == -ENOMEM;
}

// What was not acknowledged is dropped when the descriptor is closed, and the peer told so.
void reset_at_close(int fd) {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

bool from_here(int fd) {
  SocketAddress address;
  address.length = sizeof(address.storage);
  return getpeername(fd, address.raw(), &address.length) == 0 && base::is_loopback(*address.raw());
}

// Which addresses this process listens on, so that its cores share a port with each other and with
// nobody else. Control path only.
class Shared {
 public:
  static Shared& instance() {
    static Shared shared;
    return shared;
  }
  // Opens, and leaves in `address` where: the port may have been 0.
  Result<int> open(SocketAddress& address, int backlog) {
    const std::lock_guard guard(mutex_);
    const bool ours = listeners_.contains(format_address(address));
    const Result<int> fd = open_listener(address, backlog, ours);
    if (!fd) return fd;
    address.length = sizeof(address.storage);
    PENSTOCK_ASSERT(getsockname(*fd, address.raw(), &address.length) == 0);
    ++listeners_[format_address(address)];
    return fd;
  }
  void remove(const std::string& key) {
    const std::lock_guard guard(mutex_);
    const auto found = listeners_.find(key);
    if (--found->second == 0) listeners_.erase(found);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> listeners_;
};

}  // namespace

UringSocket::UringSocket(Ring& ring, const UringSocketOptions& options)
    : ring_(ring), client_(ring.attach(*this)), options_(options) {
  pause_.tv_nsec = kAcceptPause;
}

UringSocket::~UringSocket() {
  ring_.detach(client_);
  stop_listening();
  for (const Listener& listener : listeners_) {
    if (listener.fd >= 0) ::close(listener.fd);
  }
  for (const std::unique_ptr<Slot[]>& chunk : chunks_) {
    for (std::uint32_t i = 0; i < kChunk; ++i) {
      if (chunk[i].fd < 0) continue;
      const bool held = chunk[i].held != nullptr && chunk[i].held->notices > 0;
      held ? reset_at_close(chunk[i].fd) : static_cast<void>(::shutdown(chunk[i].fd, SHUT_RDWR));
      ::close(chunk[i].fd);
    }
  }
}

// --- Listening ----------------------------------------------------------------------------------

Result<> UringSocket::listen(std::string_view address, std::uint16_t port, std::uint32_t tag) {
  Result<SocketAddress> at = parse_address(address, port);
  if (!at) return std::unexpected(at.error());
  const Result<int> fd = Shared::instance().open(*at, options_.backlog);
  if (!fd) return std::unexpected(fd.error());
  Listener listener;
  listener.fd = *fd;
  listener.tag = tag;
  listener.port = port_of(*at);
  listener.key = format_address(*at);
  listeners_.push_back(std::move(listener));
  accepts_due_ = true;
  return {};
}

void UringSocket::stop_listening() {
  for (Listener& listener : listeners_) {
    if (listener.stopping) continue;
    listener.stopping = true;
    Shared::instance().remove(listener.key);
    // Ends the accept that is on the ring, whose completion closes the descriptor.
    ::shutdown(listener.fd, SHUT_RDWR);
    if (!listener.armed) {
      ::close(listener.fd);
      listener.fd = -1;
    }
  }
}

std::uint16_t UringSocket::port(std::uint32_t tag) const {
  for (auto listener = listeners_.rbegin(); listener != listeners_.rend(); ++listener) {
    if (listener->tag == tag) return listener->port;
  }
  return 0;
}

void UringSocket::pump_accepts() {
  if (pause_wanted_ && !paused_) {
    io_uring_sqe* entry = ring_.entry();
    if (entry == nullptr) return;
    io_uring_prep_timeout(entry, &pause_, 0, 0);
    Ring::tag(entry, client_, data_of(Kind::kPause, 0));
    pause_wanted_ = false;
    paused_ = true;
  }
  if (!accepts_due_ || paused_) return;
  accepts_due_ = false;
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) {
    Listener& listener = listeners_[i];
    if (listener.armed || listener.stopping) continue;
    io_uring_sqe* entry = ring_.entry();
    if (entry == nullptr) {
      accepts_due_ = true;
      return;
    }
    if (multishot_) {
      io_uring_prep_multishot_accept(entry, listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
    } else {
      io_uring_prep_accept(entry, listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
    }
    Ring::tag(entry, client_, data_of(Kind::kAccept, i));
    listener.armed = true;
  }
}

void UringSocket::on_accept(Listener& listener, std::int32_t result, std::uint32_t flags) {
  if ((flags & IORING_CQE_F_MORE) == 0) {
    listener.armed = false;
    accepts_due_ = true;
  }
  if (listener.stopping) {
    if (result >= 0) ::close(result);
    if (!listener.armed) {
      ::close(listener.fd);
      listener.fd = -1;
    }
    return;
  }
  if (result >= 0) return admit(result, listener.tag);
  switch (-result) {
    case EINVAL:
      // The kernel does not know multishot accepts. A plain one is not expected to be invalid; if it
      // is, it must not be tried in a loop.
      pause_wanted_ = !multishot_;
      multishot_ = false;
      return;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      ++counters_.accept_pauses;
      pause_wanted_ = true;
      return;
    default:
      return;  // the peer's trouble: the next one may have none
  }
}

void UringSocket::admit(int fd, std::uint32_t tag) {
  Slot* const slot = take_slot();
  if (slot == nullptr) {
    ++counters_.over_limit;
    ::close(fd);
    return;
  }
  ++counters_.accepted;
  slot->fd = fd;
  slot->listener = tag;
  slot->state = State::kOpen;
  slot->accepted = true;
  slot->zero_copy = options_.zero_copy && !from_here(fd);
  ready(*slot);
}

// --- Connections --------------------------------------------------------------------------------

UringSocket::Slot* UringSocket::take_slot() {
  if (in_use_ == options_.connections) return nullptr;
  if (free_.empty()) {
    const auto first = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
    chunks_.push_back(std::make_unique<Slot[]>(kChunk));
    free_.reserve(first + kChunk);
    for (std::uint32_t i = kChunk; i > 0; --i) {
      slot(first + i - 1).index = first + i - 1;
      free_.push_back(first + i - 1);
    }
  }
  Slot& taken = slot(free_.back());
  free_.pop_back();
  ++in_use_;
  return &taken;
}

UringSocket::Slot* UringSocket::find(env::ConnectionId connection) {
  const auto raw = static_cast<std::uint64_t>(connection);
  const auto index = static_cast<std::uint32_t>(raw);
  if (index >= chunks_.size() * kChunk) return nullptr;
  Slot& found = slot(index);
  if (found.generation != static_cast<std::uint32_t>(raw >> 32)) return nullptr;
  return found.state == State::kOpen ? &found : nullptr;
}

void UringSocket::receive(env::ConnectionId connection, std::span<std::byte> into) {
  Slot* const slot = find(connection);
  if (slot == nullptr) return;
  PENSTOCK_ASSERT(!into.empty());
  PENSTOCK_ASSERT(!slot->receive_wanted);
  PENSTOCK_ASSERT(!slot->receiving);
  PENSTOCK_ASSERT(!slot->received);
  slot->into = into;
  slot->receive_wanted = true;
  want(*slot);
}

UringSocket::Slot* UringSocket::begin_send(env::ConnectionId connection) {
  Slot* const slot = find(connection);
  if (slot == nullptr) return nullptr;
  PENSTOCK_ASSERT(!slot->send_wanted);
  PENSTOCK_ASSERT(!slot->sending);
  PENSTOCK_ASSERT(!slot->sent);
  slot->send_wanted = true;
  want(*slot);
  return slot;
}

void UringSocket::send(env::ConnectionId connection, std::span<const std::byte> bytes) {
  PENSTOCK_ASSERT(!bytes.empty());
  Slot* const slot = begin_send(connection);
  if (slot == nullptr) return;
  slot->out_bytes = bytes.size();
  slot->out = bytes;
  slot->in_pieces = false;
}

void UringSocket::send(env::ConnectionId connection,
                       std::span<const std::span<const std::byte>> pieces) {
  PENSTOCK_ASSERT(!pieces.empty() && pieces.size() <= env::kSendPiecesMax);
  Slot* const slot = begin_send(connection);
  if (slot == nullptr) return;
  if (slot->pieces == nullptr) slot->pieces = std::make_unique<Pieces>();
  slot->in_pieces = true;
  slot->out_bytes = 0;
  slot->pieces->count = pieces.size();
  slot->pieces->next = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    PENSTOCK_ASSERT(!pieces[i].empty());
    // The kernel does not write there; its interface has no constant list.
    slot->pieces->list[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
    slot->out_bytes += pieces[i].size();
  }
}

void UringSocket::send_held(env::ConnectionId connection, std::span<const std::byte> bytes) {
  Slot* const slot = find(connection);
  if (slot == nullptr) return;
  send(connection, bytes);
  if (slot->held == nullptr) slot->held = std::make_unique<Held>();
  Held& held = *slot->held;
  PENSTOCK_ASSERT(held.next - held.first < env::kHeldSendsMax);
  held.at(held.next++) = {};
  slot->holding = true;
}

void UringSocket::prepare_send(Slot& slot, io_uring_sqe* entry) {
  slot.uncopied = slot.holding && slot.zero_copy && slot.out.size() >= env::kHeldBytesMin;
  if (slot.uncopied) {
    ++counters_.uncopied;
    slot.held->newest().uncopied = true;
    io_uring_prep_send_zc(entry, slot.fd, slot.out.data(), std::min(slot.out.size(), kSendMax),
                          MSG_NOSIGNAL, kSendReportsUsage);
    return;
  }
  if (!slot.in_pieces) {
    io_uring_prep_send(entry, slot.fd, slot.out.data(), std::min(slot.out.size(), kSendMax),
                       MSG_NOSIGNAL);
    return;
  }
  Pieces& pieces = *slot.pieces;
  pieces.message = {};
  pieces.message.msg_iov = pieces.list.data() + pieces.next;
  pieces.message.msg_iovlen = pieces.count - pieces.next;
  io_uring_prep_sendmsg(entry, slot.fd, &pieces.message, MSG_NOSIGNAL);
}

// So many bytes more have left; true when all have.
bool UringSocket::advance_send(Slot& slot, std::size_t bytes) {
  if (!slot.in_pieces) {
    slot.out = slot.out.subspan(bytes);
    return slot.out.empty();
  }
  Pieces& pieces = *slot.pieces;
  while (bytes > 0) {
    iovec& first = pieces.list[pieces.next];
    const std::size_t taken = std::min(bytes, first.iov_len);
    first.iov_base = static_cast<std::byte*>(first.iov_base) + taken;
    first.iov_len -= taken;
    bytes -= taken;
    if (first.iov_len == 0) ++pieces.next;
  }
  return pieces.next == pieces.count;
}

void UringSocket::close(env::ConnectionId connection) {
  Slot* const slot = find(connection);
  if (slot == nullptr) return;
  // Who closes wants to hear of nothing but the end.
  slot->received = false;
  slot->sent = false;
  if (slot->held != nullptr) slot->held->released = 0;
  begin_close(*slot, 0);
}

std::string UringSocket::peer(env::ConnectionId connection) {
  const Slot* const slot = find(connection);
  if (slot == nullptr) return {};
  SocketAddress address;
  address.length = sizeof(address.storage);
  if (getpeername(slot->fd, address.raw(), &address.length) != 0) return {};
  return format_address(address);
}

void UringSocket::begin_close(Slot& slot, std::int32_t error) {
  PENSTOCK_ASSERT(slot.state == State::kOpen);
  slot.state = State::kClosing;
  slot.error = error;
  slot.receive_wanted = false;
  slot.send_wanted = false;
  if (slot.receiving || slot.sending) ::shutdown(slot.fd, SHUT_RDWR);
  finish_close(slot);
}

void UringSocket::finish_close(Slot& slot) {
  if (slot.state != State::kClosing || slot.receiving || slot.sending) return;
  const bool held = slot.held != nullptr && slot.held->notices > 0;
  if (slot.fd >= 0) {
    if (held) reset_at_close(slot.fd);
    ::close(slot.fd);
    slot.fd = -1;
  }
  if (held) return;  // the last notice comes back here
  slot.state = State::kClosed;
  slot.closed = true;
  if (slot.error != 0) ++counters_.failed;
  ready(slot);
}

// --- The ring -----------------------------------------------------------------------------------

void UringSocket::want(Slot& slot) {
  if (slot.in_todo) return;
  slot.in_todo = true;
  slot.next_todo = nullptr;
  (todo_head_ == nullptr ? todo_head_ : todo_tail_->next_todo) = &slot;
  todo_tail_ = &slot;
}

void UringSocket::ready(Slot& slot) {
  if (slot.in_ready) return;
  slot.in_ready = true;
  slot.next_ready = nullptr;
  (ready_head_ == nullptr ? ready_head_ : ready_tail_->next_ready) = &slot;
  ready_tail_ = &slot;
}

void UringSocket::pump() {
  pump_accepts();
  while (todo_head_ != nullptr && pump_slot(*todo_head_)) {
    todo_head_->in_todo = false;
    todo_head_ = todo_head_->next_todo;
  }
}

// False when the ring takes no more at present.
bool UringSocket::pump_slot(Slot& slot) {
  if (slot.receive_wanted) {
    io_uring_sqe* entry = ring_.entry();
    if (entry == nullptr) return false;
    io_uring_prep_recv(entry, slot.fd, slot.into.data(), slot.into.size(), 0);
    Ring::tag(entry, client_, data_of(Kind::kReceive, slot.index));
    slot.receive_wanted = false;
    slot.receiving = true;
  }
  if (slot.send_wanted) {
    io_uring_sqe* entry = ring_.entry();
    if (entry == nullptr) return false;
    prepare_send(slot, entry);
    Ring::tag(entry, client_,
              data_of(Kind::kSend, slot.index, slot.uncopied ? slot.held->next - 1 : 0));
    slot.send_wanted = false;
    slot.sending = true;
  }
  return true;
}

void UringSocket::on_completion(std::uint64_t data, std::int32_t result, std::uint32_t flags) {
  const auto index = static_cast<std::uint32_t>(data);
  switch (static_cast<Kind>((data >> kKindShift) & 0xFFU)) {
    case Kind::kAccept:
      return on_accept(listeners_[index], result, flags);
    case Kind::kReceive:
      return on_receive(slot(index), result);
    case Kind::kSend:
      if ((flags & IORING_CQE_F_NOTIF) == 0) return on_send(slot(index), result, flags);
      return on_notice(slot(index), static_cast<std::uint32_t>(data >> kNumberShift), result);
    case Kind::kPause:
      paused_ = false;
      return;
  }
}

void UringSocket::on_receive(Slot& slot, std::int32_t result) {
  slot.receiving = false;
  if (slot.state != State::kOpen) return finish_close(slot);
  if (result == -EAGAIN || result == -EINTR) {
    slot.receive_wanted = true;
    return want(slot);
  }
  if (result < 0) return begin_close(slot, -result);
  slot.received = true;
  slot.received_bytes = static_cast<std::uint32_t>(result);
  ready(slot);
}

void UringSocket::on_send(Slot& slot, std::int32_t result, std::uint32_t flags) {
  slot.sending = false;
  if ((flags & IORING_CQE_F_MORE) != 0) {
    ++slot.held->notices;
    ++slot.held->newest().notices;
  }
  if (slot.state != State::kOpen) return finish_close(slot);
  if (slot.uncopied && refuses_zero_copy(result)) {
    slot.zero_copy = false;
    slot.held->newest().copied = true;
    slot.send_wanted = true;
    return want(slot);
  }
  if (result < 0 && result != -EAGAIN && result != -EINTR) return begin_close(slot, -result);
  if (!advance_send(slot, static_cast<std::size_t>(std::max(result, 0)))) {
    ++counters_.short_sends;
    slot.send_wanted = true;
    return want(slot);
  }
  slot.sent = true;
  ready(slot);
  if (!slot.holding) return;
  slot.holding = false;
  slot.held->newest().sent = true;
  release_held(slot);
}

// The kernel needs the bytes of one operation no longer.
void UringSocket::on_notice(Slot& slot, std::uint32_t number, std::int32_t result) {
  Held& held = *slot.held;
  Held::Send& send = held.at(number);
  PENSTOCK_ASSERT(send.notices > 0);
  --send.notices;
  --held.notices;
  if ((static_cast<std::uint32_t>(result) & kNoticeCopied) != 0) {
    send.copied = true;
    slot.zero_copy = false;
  }
  slot.state == State::kOpen ? release_held(slot) : finish_close(slot);
}

void UringSocket::release_held(Slot& slot) {
  Held& held = *slot.held;
  for (; held.first != held.next; ++held.first) {
    const Held::Send& oldest = held.at(held.first);
    if (!oldest.sent || oldest.notices > 0) return;
    ++held.released;
    if (oldest.uncopied) ++held.uncopied;
    if (oldest.copied) ++held.copied;
    ready(slot);
  }
}

void UringSocket::tell_released(Held& held, env::SocketEvent& event) {
  event.released = std::exchange(held.released, std::uint8_t{0});
  event.uncopied = std::exchange(held.uncopied, std::uint8_t{0});
  event.copied = std::exchange(held.copied, std::uint8_t{0});
}

void UringSocket::submit() {
  pump();
  ring_.flush();
}

std::size_t UringSocket::reap(std::span<env::SocketEvent> out) {
  ring_.turn();
  pump();
  std::size_t count = 0;
  while (ready_head_ != nullptr && count < out.size()) {
    Slot& slot = *ready_head_;
    if (!emit(slot, out, count)) break;
    slot.in_ready = false;
    ready_head_ = slot.next_ready;
    if (slot.state == State::kClosed) {
      release(slot);
    }
  }
  return count;
}

void UringSocket::release(Slot& slot) {
  Slot cleared;
  cleared.index = slot.index;
  cleared.generation = slot.generation + 1 == 0 ? 1 : slot.generation + 1;
  // It may still stand in the list of those that want an entry of a full ring.
  cleared.in_todo = slot.in_todo;
  cleared.next_todo = slot.next_todo;
  cleared.pieces = std::move(slot.pieces);
  cleared.held = std::move(slot.held);
  if (cleared.held != nullptr) *cleared.held = {};
  slot = std::move(cleared);
  free_.push_back(slot.index);
  --in_use_;
}

// Puts what happened to the slot into `out`, the end last; false when there is no room for all.
bool UringSocket::emit(Slot& slot, std::span<env::SocketEvent> out, std::size_t& count) {
  const auto id = static_cast<env::ConnectionId>(
      (static_cast<std::uint64_t>(slot.generation) << 32) | slot.index);
  const auto put = [&](bool& happened, env::SocketEventKind kind, std::uint32_t bytes) {
    if (!happened) return true;
    if (count == out.size()) return false;
    happened = false;
    const bool is_end = kind == env::SocketEventKind::kClosed;
    out[count++] = {.kind = kind,
                    .connection = id,
                    .listener = slot.listener,
                    .bytes = bytes,
                    .error = is_end ? slot.error : 0};
    if (kind == env::SocketEventKind::kReleased) tell_released(*slot.held, out[count - 1]);
    return true;
  };
  bool released = slot.held != nullptr && slot.held->released > 0;
  return put(slot.accepted, env::SocketEventKind::kAccepted, 0) &&
         put(slot.received, env::SocketEventKind::kReceived, slot.received_bytes) &&
         put(slot.sent, env::SocketEventKind::kSent, static_cast<std::uint32_t>(slot.out_bytes)) &&
         put(released, env::SocketEventKind::kReleased, 0) &&
         put(slot.closed, env::SocketEventKind::kClosed, 0);
}

}  // namespace penstock::drivers
