#include "shard/producers.h"

#include "base/assert.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace penstock::shard {
namespace {

// The window's entries up to sequence `until`, oldest first.
void copy_entries(const ProducerWindow& window, std::uint32_t until, storage::ProducerState& out) {
  const std::uint32_t newer = window.last - until;
  out.last_sequence = until;
  out.count = window.count > newer ? window.count - newer : 0;
  for (std::uint32_t i = 0; i < out.count; ++i) {
    const std::uint32_t sequence = until - out.count + 1 + i;
    out.window[i] = window.entries[sequence % ProducerWindow::kSize];
  }
}

storage::ProducerState identity(const ProducerWindow& window, std::uint32_t epoch) {
  storage::ProducerState state;
  state.shard = window.shard;
  state.producer = window.producer;
  state.epoch = epoch;
  state.last_used = window.last_used;
  return state;
}

}  // namespace

ProducerWindows::ProducerWindows(std::uint32_t producers_max)
    : max_(producers_max), buckets_(std::bit_ceil(producers_max), kNone) {
  PENSTOCK_ASSERT(producers_max > 0);
  windows_.reserve(producers_max);
}

void ProducerWindows::load(std::span<const storage::ProducerState> states) {
  const std::size_t skipped = states.size() - std::min<std::size_t>(states.size(), max_);
  for (const storage::ProducerState& state : states.subspan(skipped)) {
    ProducerWindow& window = add(state.shard, state.producer);
    window.epoch = state.epoch;
    window.last = window.durable = state.last_sequence;
    window.count = static_cast<std::uint8_t>(state.count);
    window.last_used = state.last_used;
    window.known = true;
    for (std::uint32_t i = 0; i < state.count; ++i) {
      const std::uint32_t sequence = state.last_sequence - state.count + 1 + i;
      window.entries[sequence % ProducerWindow::kSize] = state.window[i];
    }
  }
}

void ProducerWindows::set_now(Nanos now) {
  second_ = static_cast<std::uint32_t>(now.raw() / kNanosPerSecond);
  if (first_second_ == 0) first_second_ = second_;
}

// --- Lookup and use -------------------------------------------------------------------------------

std::uint32_t& ProducerWindows::bucket(ShardKey shard, std::uint64_t producer) {
  // Producers may be numbered as shards are, from 1 on: the two must not cancel out.
  std::uint64_t hash = std::hash<ShardKey>{}(shard);
  hash = (hash ^ (hash >> 32) ^ producer) * 0xD6E8FEB86659FD93ULL;
  return buckets_[(hash >> 32) & (buckets_.size() - 1)];
}

std::uint32_t ProducerWindows::number(const ProducerWindow& window) const {
  return static_cast<std::uint32_t>(&window - windows_.data());
}

ProducerWindow* ProducerWindows::find(ShardKey shard, std::uint64_t producer) {
  for (std::uint32_t at = bucket(shard, producer); at != kNone; at = windows_[at].chain) {
    ProducerWindow& window = windows_[at];
    if (window.producer == producer && window.shard == shard) return &window;
  }
  return nullptr;
}

bool ProducerWindows::has_room() const {
  if (used_ < max_) return true;
  const ProducerWindow& oldest = windows_[least_used_];
  const std::uint32_t used = std::max(oldest.used_second, first_second_);
  return oldest.under_way == 0 && second_ - used > kProducerIdleSeconds;
}

ProducerWindow& ProducerWindows::add(ShardKey shard, std::uint64_t producer) {
  if (used_ == max_) forget(windows_[least_used_]);
  if (free_ == kNone) {
    free_ = static_cast<std::uint32_t>(windows_.size());
    windows_.emplace_back().chain = kNone;
  }
  ProducerWindow& window = windows_[free_];
  free_ = window.chain;
  window = {};
  window.shard = shard;
  window.producer = producer;
  std::uint32_t& first = bucket(shard, producer);
  window.chain = first;
  first = number(window);
  link_last(window);
  ++used_;
  return window;
}

void ProducerWindows::forget(ProducerWindow& window) {
  PENSTOCK_ASSERT(window.under_way == 0);
  std::uint32_t* at = &bucket(window.shard, window.producer);
  while (*at != number(window)) at = &windows_[*at].chain;
  *at = window.chain;
  unlink(window);
  window.known = false;
  window.chain = free_;
  free_ = number(window);
  --used_;
}

void ProducerWindows::link_last(ProducerWindow& window) {
  window.less_used = most_used_;
  window.more_used = kNone;
  (most_used_ == kNone ? least_used_ : windows_[most_used_].more_used) = number(window);
  most_used_ = number(window);
}

void ProducerWindows::unlink(ProducerWindow& window) {
  (window.less_used == kNone ? least_used_ : windows_[window.less_used].more_used) =
      window.more_used;
  (window.more_used == kNone ? most_used_ : windows_[window.more_used].less_used) =
      window.less_used;
}

void ProducerWindows::use(ProducerWindow& window, WallMillis wall) {
  window.last_used = wall;
  window.used_second = second_;
  if (most_used_ == number(window)) return;
  unlink(window);
  link_last(window);
}

// --- Batches --------------------------------------------------------------------------------------

Result<> ProducerWindows::check(const ProducerWindow* window, std::uint32_t epoch) {
  if (window == nullptr || !(window->known || window->is_opening)) {
    return fail(ErrorCode::kProducerUnknown);
  }
  if (epoch < window->newest()) return fail(ErrorCode::kProducerFenced);
  if (window->is_opening || epoch > window->epoch) return fail(ErrorCode::kProducerUnknown);
  return {};
}

ProducerWindows::Decision ProducerWindows::decide(const ProducerWindow* window, std::uint32_t epoch,
                                                  std::uint32_t sequence) {
  const auto refused = [](ErrorCode error) {
    return Decision{.kind = Decision::Kind::kRefused, .error = error, .first = {}};
  };
  if (const auto open = check(window, epoch); !open) return refused(open.error().code);
  if (sequence > window->last) {
    return sequence - window->last == 1 ? Decision{} : refused(ErrorCode::kSequenceGap);
  }
  if (window->last - sequence >= window->count) return refused(ErrorCode::kSequenceOld);
  return {.kind = Decision::Kind::kRepeated,
          .error = {},
          .first = window->entries[sequence % ProducerWindow::kSize]};
}

void ProducerWindows::place(ProducerWindow& window, RecordIndex first, WallMillis arrival) {
  PENSTOCK_ASSERT(window.known);
  PENSTOCK_ASSERT(!window.is_opening);
  ++window.last;
  window.entries[window.last % ProducerWindow::kSize] = {first, arrival};
  if (window.count < ProducerWindow::kSize) ++window.count;
  ++window.under_way;
  use(window, arrival);
}

void ProducerWindows::settle(ProducerWindow& window, std::uint32_t sequence, bool durable) {
  PENSTOCK_ASSERT(window.under_way > 0);
  --window.under_way;
  if (!durable) return;
  PENSTOCK_ASSERT(sequence == window.durable + 1);
  window.durable = sequence;
}

// --- Openings -------------------------------------------------------------------------------------

ProducerWindow& ProducerWindows::begin(ProducerWindow* window, ShardKey shard,
                                       std::uint64_t producer, std::uint32_t epoch,
                                       WallMillis wall) {
  if (window == nullptr) {
    PENSTOCK_ASSERT(has_room());
    window = &add(shard, producer);
  } else {
    PENSTOCK_ASSERT(epoch > window->newest());
  }
  window->opening = epoch;
  window->is_opening = true;
  ++window->under_way;
  use(*window, wall);
  return *window;
}

void ProducerWindows::settle_opening(ProducerWindow& window, std::uint32_t epoch, bool durable) {
  PENSTOCK_ASSERT(window.under_way > 0);
  --window.under_way;
  if (!durable) return;
  PENSTOCK_ASSERT(window.durable == window.last);  // the batches before it are
  window.epoch = epoch;
  window.known = true;
  window.last = window.durable = 0;
  window.count = 0;
  if (window.opening == epoch) window.is_opening = false;
}

// --- What there is --------------------------------------------------------------------------------

storage::ProducerState ProducerWindows::state(const ProducerWindow& window) {
  storage::ProducerState state = identity(window, window.newest());
  if (!window.is_opening) copy_entries(window, window.last, state);
  return state;
}

void ProducerWindows::describe(std::vector<storage::ProducerState>& out) const {
  out.clear();
  out.reserve(used_);
  for (std::uint32_t at = least_used_; at != kNone; at = windows_[at].more_used) {
    const ProducerWindow& window = windows_[at];
    if (!window.known) continue;
    copy_entries(window, window.durable, out.emplace_back(identity(window, window.epoch)));
  }
}

}  // namespace penstock::shard
