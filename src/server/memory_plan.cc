#include "server/memory_plan.h"

#include "base/assert.h"
#include "base/buffer_pool.h"
#include "http/options.h"
#include "net/native_door.h"
#include "shard/producers.h"
#include "storage/append_limits.h"
#include "storage/frame_ring.h"
#include "transport/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace penstock::server {

namespace {
constexpr std::uint64_t kShardBytes = 1 * kKiB;  // measured: bench/results, memory of an idle shard
// Measured, under TLS: head and state 28 KiB, records 32, OpenSSL's own 47, output 16. Bodies and answers have
// their own budgets.
constexpr std::uint64_t kConnectionBytes = 124 * kKiB;
// Under TLS: frames that came in 64 KiB, ciphertext 32, OpenSSL's own 47, output 16.
constexpr std::uint64_t kSessionBytes = 160 * kKiB;
// It takes no message: frames that came in 20 KiB, ciphertext 32, OpenSSL's own 47, output 5.
constexpr std::uint64_t kTurnedAwayBytes = 104 * kKiB;
constexpr std::uint64_t kLaneBytes = 640;           // both tables' part included
constexpr std::uint64_t kNativeMemory = 48 * kMiB;  // of each kind; a message has up to 16
// Every session has its first credit as long as it is open; beside that, two of the largest messages may come in.
std::uint64_t staging_bytes(std::uint64_t sessions) {
  constexpr transport::SessionOptions kSession;
  return std::max(kNativeMemory,
                  sessions * kSession.first_credit + std::uint64_t{2} * kSession.message_max);
}
constexpr std::uint64_t kReadBuffers = 8 * (256 * kKiB);
constexpr std::uint64_t kParcels = 8192 * std::uint64_t{96};
constexpr std::uint64_t kIndexPages = 4 * kMiB;
// Windows, their hash chains, and marks of the batches in flight (shard/producers.h).
constexpr std::uint64_t kProducers =
    shard::kProducersMax * std::uint64_t{sizeof(shard::ProducerWindow) + 8} + 4 * kMiB;
constexpr std::uint64_t kOpenRuns = 4 * kMiB;    // storage/open_runs.h: 32,768 of them at most
constexpr std::uint64_t kBodyPadding = 64;       // readable bytes behind a body (http/exchange.h)
constexpr std::uint64_t kTailMin = 40 * kMiB;    // two largest blocks and their padding
constexpr std::uint64_t kBodyMin = 32 * kMiB;    // usual ones, beside the largest
constexpr std::uint64_t kAnswerMin = 32 * kMiB;  // one of GetRecords in three quarters of it

// The frames of two segments, one open and one whose footer is being written (storage/index.h): a
// segment takes a frame a KiB at most.
std::uint64_t index_bytes(std::uint64_t slot_bytes) {
  const std::uint64_t frames = storage::append_limits({}, slot_bytes).frames_max;
  return std::bit_ceil(2 * frames) * sizeof(storage::RecentFrame) + kOpenRuns;
}
// What the front door lets one body take that must end for others to go on (http/connection.h).
const std::uint64_t kBodyLargest =
    base::BufferPool::class_bytes(http::FrontDoorOptions{}.body_bytes_max + kBodyPadding);
}  // namespace

std::uint64_t MemoryPlan::total() const {
  std::uint64_t sum = 0;
  for (const Term& term : terms) sum += term.total();
  return sum;
}

std::string MemoryPlan::text() const {
  std::string out;
  for (const Term& term : terms) {
    out += fmt::format("  {:>8.1f} MiB  {} ({} x {:.1f} KiB)\n",
                       static_cast<double>(term.total()) / kMiB, term.name, term.count,
                       static_cast<double>(term.each) / kKiB);
  }
  out += fmt::format("  {:>8.1f} MiB  in all\n", static_cast<double>(total()) / kMiB);
  return out;
}

std::expected<MemoryPlan, MemoryShortage> plan_memory(const Config& config, std::uint16_t cells,
                                                      std::uint64_t slot_bytes) {
  const std::uint64_t cores = config.data_cpus.size();
  PENSTOCK_ASSERT(cells >= cores);  // else the tail windows could leave the bodies less than theirs
  MemoryPlan plan;
  const std::uint64_t open_index = index_bytes(slot_bytes);
  plan.index_cache_bytes = kIndexPages;
  const bool native = config.native.port != 0;
  const std::uint64_t sessions = native ? config.sessions_max : 0;
  const std::uint64_t turned_away = native ? kTurnedAwayBytes * net::NativeDoor::kTurnedAwayMax : 0;
  plan.staging_bytes = native ? staging_bytes(sessions) : 0;
  plan.delivery_bytes = native ? kNativeMemory : 0;
  const net::NativeOptions bounds;
  const std::uint64_t lanes = native ? bounds.lanes_max + bounds.lanes_always * sessions : 0;
  const auto fill = [&] {
    plan.terms = {
        {"blocks in flight and tail window, a cell", plan.tail_bytes, cells},
        {"index of the open segment, a cell", open_index, cells},
        {"index pages, a cell", plan.index_cache_bytes, cells},
        {"read buffers, a cell", kReadBuffers, cells},
        {"idempotent producers, a cell", kProducers, cells},
        {"HTTP bodies, a core", plan.body_bytes, cores},
        {"one body beyond these, a core", kBodyLargest, cores},
        {"HTTP answers, a core", plan.answer_bytes, cores},
        {"connections, a core", kConnectionBytes * config.connections_max, cores},
        {"native messages that come in, a core", plan.staging_bytes, cores},
        {"native deliveries, a core", plan.delivery_bytes, cores},
        {"native sessions, a core", kSessionBytes * sessions, cores},
        {"native connections that are turned away, a core", turned_away, cores},
        {"native lanes, a core", kLaneBytes * lanes, cores},
        {"pieces of puts under way, a core", kParcels, cores},
        {"shards", kShardBytes, config.shards_max},
    };
    if (native && config.zero_copy_send) {
      plan.terms.push_back(
          {"native sends without a copy, a core", net::HeldOutput::kBytesMax, cores});
    }
  };
  // What is left over after the fixed terms: half to the tail windows, half to bodies and answers.
  fill();
  const std::uint64_t fixed = plan.total();
  const std::uint64_t least = fixed + cells * kTailMin + cores * (kBodyMin + kAnswerMin);
  if (config.memory_budget < least) {
    return std::unexpected(MemoryShortage{
        fmt::format("{} MiB", config.memory_budget / kMiB),
        fmt::format("{} MiB: {} x {} MiB for the cells' tail windows, {} x {} MiB for the cores' "
                    "HTTP bodies and answers, {} MiB for the rest",
                    div_ceil(least, kMiB), cells, kTailMin / kMiB, cores,
                    (kBodyMin + kAnswerMin) / kMiB, div_ceil(fixed, kMiB))});
  }
  const std::uint64_t rest = config.memory_budget - fixed;
  const std::uint64_t http_min = cores * (kBodyMin + kAnswerMin);
  plan.tail_bytes = std::clamp(round_down(std::min(rest / 2, rest - http_min) / cells, kMiB),
                               kTailMin, std::uint64_t{1} * kGiB);
  const std::uint64_t each = (rest - cells * plan.tail_bytes) / cores;
  plan.answer_bytes = std::max(kAnswerMin, round_down(each / 2, kMiB));
  plan.body_bytes = round_down(each - plan.answer_bytes, kMiB);
  // What the front door is made with (its header: REQUIRES).
  PENSTOCK_ASSERT(plan.body_bytes >= base::BufferPool::class_bytes(
                                         http::FrontDoorOptions{}.body_bytes_max + kBodyPadding));
  fill();
  return plan;
}

}  // namespace penstock::server
