#include "drivers/ring/ring.h"

#include "base/assert.h"
#include "penstock/units.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace penstock::drivers {
namespace {

constexpr unsigned kClientShift = 56;
constexpr std::uint64_t kDataMask = (std::uint64_t{1} << kClientShift) - 1;
constexpr unsigned kBatch = 64;

struct Mode {
  std::string_view name;
  unsigned flags;
};

// Best first. A kernel that does not know a flag says EINVAL.
constexpr std::array<Mode, 3> kModes = {{
    {"single issuer, deferred task work",
     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
         IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
    {"cooperative task work",
     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
    {"plain", 0},
}};

}  // namespace

Result<std::unique_ptr<Ring>> Ring::create(const RingOptions& options) {
  std::unique_ptr<Ring> ring(new Ring);
  int outcome = -EINVAL;
  for (const Mode& mode : kModes) {
    io_uring_params params{};
    params.flags = mode.flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = std::max(options.completions, 2 * options.entries);
    outcome = io_uring_queue_init_params(options.entries, &ring->ring_, &params);
    if (outcome == -EINVAL) continue;
    ring->mode_ = mode.name;
    ring->enabled_ = (mode.flags & IORING_SETUP_R_DISABLED) == 0;
    break;
  }
  if (outcome < 0) {
    ring->mode_ = {};  // nothing to tear down
    return fail(ErrorCode::kUringForbidden, -outcome);
  }
  constexpr unsigned kNeeded = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
  if ((ring->ring_.features & kNeeded) != kNeeded) {
    return fail(ErrorCode::kUringForbidden, EOPNOTSUPP);
  }
  return ring;
}

Ring::~Ring() {
  if (!mode_.empty()) io_uring_queue_exit(&ring_);
}

std::uint8_t Ring::attach(RingClient& client) {
  PENSTOCK_ASSERT(clients_ < kClients);
  client_[clients_] = &client;
  return clients_++;
}

void Ring::detach(std::uint8_t client) {
  PENSTOCK_ASSERT(client < clients_);
  client_[client] = nullptr;
}

io_uring_sqe* Ring::entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr && enabled_) {
    flush();
    entry = io_uring_get_sqe(&ring_);
  }
  return entry;
}

void Ring::tag(io_uring_sqe* entry, std::uint8_t client, std::uint64_t data) {
  PENSTOCK_ASSERT(data <= kDataMask);
  io_uring_sqe_set_data64(entry, (static_cast<std::uint64_t>(client) << kClientShift) | data);
}

void Ring::enable() {
  if (enabled_) return;
  enabled_ = true;
  // liburing 2.3 declares io_uring_enable_rings and does not export it.
  PENSTOCK_ASSERT(io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                    IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
}

void Ring::flush() {
  enable();
  if (io_uring_sq_ready(&ring_) == 0) return;
  const int outcome = io_uring_submit(&ring_);
  // EBUSY and EAGAIN: completions must be taken first, which the next turn does.
  PENSTOCK_ASSERT(outcome >= 0 || outcome == -EBUSY || outcome == -EAGAIN || outcome == -EINTR);
}

void Ring::turn() {
  enable();
  if (io_uring_sq_ready(&ring_) > 0) {
    const int outcome = io_uring_submit_and_get_events(&ring_);
    PENSTOCK_ASSERT(outcome >= 0 || outcome == -EBUSY || outcome == -EAGAIN || outcome == -EINTR);
  }
  std::array<io_uring_cqe*, kBatch> batch;
  // Bounded by what is there now: completions of entries taken meanwhile belong to the next turn.
  while (true) {
    // Enters the kernel only where the shared flags say that it holds more for us.
    const unsigned count = io_uring_peek_batch_cqe(&ring_, batch.data(), kBatch);
    for (unsigned i = 0; i < count; ++i) {
      const std::uint64_t data = batch[i]->user_data;
      RingClient* const client = client_[data >> kClientShift];
      if (client != nullptr) {
        client->on_completion(data & kDataMask, batch[i]->res, batch[i]->flags);
      }
    }
    io_uring_cq_advance(&ring_, count);
    delivered_ += count;
    if (count < kBatch) return;
  }
}

void Ring::sleep(std::int64_t nanos) {
  enable();
  __kernel_timespec time{};
  time.tv_sec = nanos / kNanosPerSecond;
  time.tv_nsec = nanos % kNanosPerSecond;
  io_uring_cqe* cqe = nullptr;
  const int outcome = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &time, nullptr);
  PENSTOCK_ASSERT(outcome >= 0 || outcome == -ETIME || outcome == -EINTR || outcome == -EBUSY ||
                  outcome == -EAGAIN);
}

bool Ring::idle() const { return io_uring_sq_ready(&ring_) == 0 && io_uring_cq_ready(&ring_) == 0; }

bool Ring::has_completions() const {
  const unsigned held = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  return io_uring_cq_ready(&ring_) > 0 ||
         (std::atomic_ref(*ring_.sq.kflags).load(std::memory_order_acquire) & held) != 0;
}

bool Ring::held() const {
  return std::ranges::any_of(
      client_, [](const RingClient* client) { return client != nullptr && client->holds(); });
}

Result<> Ring::keep_open(int descriptor) {
  const int outcome = io_uring_register_files(&ring_, &descriptor, 1);
  if (outcome < 0) return fail(ErrorCode::kSystem, -outcome);
  return {};
}

Result<> Ring::signal(int eventfd) {
  const int outcome = io_uring_register_eventfd(&ring_, eventfd);
  if (outcome < 0) return fail(ErrorCode::kSystem, -outcome);
  return {};
}

}  // namespace penstock::drivers
