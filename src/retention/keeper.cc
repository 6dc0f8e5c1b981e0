#include "retention/keeper.h"

#include "retention/recycle.h"
#include "storage/sabotage.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace penstock::retention {

using shard::CellCommand;
using shard::CommandKind;

Keeper::Keeper(const KeeperOptions& options, storage::Store& store, shard::CellPlane& cells,
               shard::CatalogueSource& catalogue, Clock& clock)
    : Keeper(options, std::make_unique<StoreEntrance>(store), cells, catalogue, clock) {}

Keeper::Keeper(const KeeperOptions& options, std::unique_ptr<StoreDoor> store,
               shard::CellPlane& cells, shard::CatalogueSource& catalogue, Clock& clock)
    : options_(options),
      store_(std::move(store)),
      cells_(cells),
      catalogue_(catalogue),
      clock_(clock),
      views_(cells.cells()) {
  for (std::size_t i = 0; i < views_.size(); ++i) {
    views_[i].fullness.cell = CellId(static_cast<std::uint16_t>(i));
  }
}

runtime::WorkCount Keeper::poll(Nanos now, WallMillis) {
  if (!started_) {
    started_ = true;
    last_snapshot_ = now;
    loop_.spawn(watch());
  }
  const runtime::WorkCount work = loop_.run(now);
  return work + grow(now);
}

Nanos Keeper::next_deadline() const {
  if (!started_) return Nanos{};
  const Nanos deadline = loop_.next_deadline();
  return growing_ || cell_to_grow() ? std::min(deadline, next_grow_) : deadline;
}

// --- Each second ---------------------------------------------------------------------------------

auto Keeper::watch() -> Task<> {
  for (;;) {
    const Nanos began = loop_.now();
    co_await tick();
    const std::int64_t period = busy_ ? options_.tick_busy_nanos : options_.tick_nanos;
    co_await loop_.sleep_until(std::max(began + period, loop_.now() + kNanosPerMilli));
  }
}

auto Keeper::tick() -> Task<> {
  if (clock_.sure()) co_await expire();
  Calls calls;
  const bool complete = co_await describe(&calls, false);
  if (!complete) co_return;
  observe(calls);
  note_fences();
  if (clock_.sure()) expire_closed_shards(calls);
  if (snapshot_due()) co_await snapshot();
}

auto Keeper::expire() -> Task<> {
  std::vector<CellCommand::Horizon> horizons;
  const RetentionMillis now = clock_.now(loop_.now());
  for (const auto& stream : catalogue_.streams()) {
    horizons.push_back({stream.stream, now - stream.period_ms});
  }
  if (horizons.empty()) co_return;
  Calls calls(views_.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].kind = CommandKind::kExpire;
    calls[i].cell = views_[i].fullness.cell;
    calls[i].horizons = horizons;
  }
  shard::CellCalls asked(cells_, loop_, calls);
  co_await asked;
}

auto Keeper::describe(Calls* calls, bool for_snapshot) -> Task<bool> {
  calls->resize(views_.size());
  for (std::size_t i = 0; i < calls->size(); ++i) {
    (*calls)[i].kind = CommandKind::kDescribe;
    (*calls)[i].for_snapshot = for_snapshot;
    (*calls)[i].room_coming = room_coming(views_[i]);
    (*calls)[i].cell = views_[i].fullness.cell;
  }
  shard::CellCalls asked(cells_, loop_, *calls);
  co_await asked;
  co_return std::ranges::all_of(*calls, [](const CellCommand& c) { return c.outcome.has_value(); });
}

void Keeper::observe(const Calls& calls) {
  busy_ = false;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const CellCommand& call = calls[i];
    CellView& view = views_[i];
    busy_ = busy_ || (described_ && call.seal_count != view.seal_count);
    view.seal_count = call.seal_count;
    view.covered = call.snapshot.covered;
    view.rate.observe(loop_.now(), call.metrics.bytes_written);
    view.pace.observe(loop_.now(), call.metrics.bytes_written);
    view.recyclable = call.fenced ? 0 : recyclable(call.spent, call.snapshot, catalogue_).size();
    view.fullness.fenced = call.fenced;
    view.fullness.full = call.full;
    view.fullness.slots_free = call.slots_free;
    view.fullness.slots_total = call.metrics.slots_total;
    view.fullness.used_bytes =
        (call.metrics.slots_total -
         std::min<std::uint64_t>(call.slots_free, call.metrics.slots_total)) *
        store_->slot_bytes();
    view.fullness.bytes_per_second = static_cast<std::uint64_t>(view.rate.per_second());
  }
  described_ = true;
}

// Once durable, the cell stays read-only over restarts until somebody clears it.
void Keeper::note_fences() {
  for (CellView& view : views_) {
    if (!view.fullness.fenced || view.fence_recorded) continue;
    catalogue_.cell_fenced(view.fullness.cell);
    const Result<> recorded = store_->record_fence(view.fullness.cell);
    if (recorded) {
      view.fence_recorded = true;
    } else {
      failed("recording a fence", recorded.error());
    }
  }
}

void Keeper::expire_closed_shards(const Calls& calls) {
  const RetentionMillis now = clock_.now(loop_.now());
  std::vector<shard::CatalogueSource::ClosedShard> candidates = catalogue_.closed_shards();
  std::erase_if(candidates, [&](const auto& one) { return one.closed >= now - one.period_ms; });
  if (candidates.empty()) return;
  std::unordered_map<ShardKey, const storage::ShardState*> known;
  for (const CellCommand& call : calls) {
    for (const storage::ShardState& state : call.snapshot.shards)
      known.emplace(state.shard, &state);
  }
  std::vector<ShardKey> expired;
  for (const auto& one : candidates) {
    const auto state = known.find(one.shard);
    const bool empty =
        state == known.end() || state->second->trim_index >= state->second->next_index;
    if (empty) expired.push_back(one.shard);
  }
  counters_.shards_expired += expired.size();
  if (!expired.empty()) catalogue_.expire_shards(std::move(expired));
}

// --- Snapshots and recycling ---------------------------------------------------------------------

bool Keeper::snapshot_due() const {
  const std::int64_t age = loop_.now() - last_snapshot_;
  if (age < options_.snapshot_gap_nanos) return false;
  if (snapshot_wanted_) return true;
  std::uint64_t sealed = 0;
  bool changed = catalogue_.version() != version_by_snapshot_;
  bool recycle = false;
  bool short_of = false;
  for (const CellView& view : views_) {
    sealed += view.seal_count;
    changed = changed || view.covered != view.covered_by_snapshot;
    recycle = recycle || view.recyclable > 0;
    short_of = short_of || short_of_slots(view);
  }
  if (sealed != sealed_by_snapshot_) return true;
  if (recycle && (short_of || age >= options_.recycle_gap_nanos)) return true;
  if (changed && age >= options_.snapshot_nanos) return true;
  return age >= options_.snapshot_idle_nanos;
}

auto Keeper::snapshot() -> Task<> {
  shard::CatalogueHold hold(catalogue_, loop_);
  co_await hold;
  Calls calls;
  const bool complete = co_await describe(&calls, true);
  storage::Snapshot snapshot;
  snapshot.catalogue = catalogue_.encode();
  const std::uint64_t version = catalogue_.version();
  std::vector<std::vector<SegmentNumber>> numbers(calls.size());
  if (complete) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (calls[i].fenced) continue;
      numbers[i] = recyclable(calls[i].spent, calls[i].snapshot, catalogue_);
    }
  }
  catalogue_.release();
  if (!complete) co_return;

  std::uint64_t sealed = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    sealed += calls[i].seal_count;
    storage::CellSnapshot& cell = snapshot.cells.emplace_back(std::move(calls[i].snapshot));
    std::erase_if(cell.segments, [&](SegmentNumber number) {
      return std::ranges::find(numbers[i], number) != numbers[i].end();
    });
  }
  snapshot.clock = clock_.state(loop_.now());
  last_snapshot_ = loop_.now();
  // Planted: from the first segment recycled on, none is written. Without those before, no restart would
  // know how long the machine was off, and nothing would ever expire.
  const bool left_out =
      storage::sabotaged(storage::Sabotage::kRecycleWithoutSnapshot) &&
      (counters_.segments_recycled > 0 ||
       std::ranges::any_of(numbers, [](const auto& one) { return !one.empty(); }));
  if (!left_out) {
    const Result<> written = store_->write_snapshot(snapshot);
    if (!written) {
      ++counters_.snapshot_failures;
      snapshot_failed_ = true;
      failed("writing a snapshot", written.error());
      co_return;
    }
  }
  snapshot_failed_ = false;
  ++counters_.snapshots;
  snapshot_wanted_ = false;
  sealed_by_snapshot_ = sealed;
  version_by_snapshot_ = version;
  for (std::size_t i = 0; i < views_.size(); ++i) {
    views_[i].covered_by_snapshot = snapshot.cells[i].covered;
  }
  co_await recycle(std::move(numbers));
}

auto Keeper::recycle(std::vector<std::vector<SegmentNumber>> numbers) -> Task<> {
  Calls calls;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i].empty()) continue;
    CellCommand& call = calls.emplace_back();
    call.kind = CommandKind::kRecycle;
    call.cell = views_[i].fullness.cell;
    call.segments = std::move(numbers[i]);
  }
  if (calls.empty()) co_return;
  shard::CellCalls asked(cells_, loop_, calls);
  co_await asked;
  for (const CellCommand& call : calls) {
    if (!call.outcome) continue;
    CellView& view = views_[call.cell.raw()];
    counters_.segments_recycled += call.segments.size();
    view.fullness.slots_free += call.segments.size();
    view.recyclable = 0;
  }
}

// --- Slots ---------------------------------------------------------------------------------------

std::uint64_t Keeper::cell_bytes_max() const { return options_.size_max / views_.size(); }

// One free slot is the reserve; the journal uses it up only for control frames.
std::uint64_t Keeper::slots_wanted(const CellView& view) const {
  const double filled = view.pace.per_second() * options_.ahead_seconds;
  const auto slots =
      static_cast<std::uint64_t>(filled / static_cast<double>(store_->slot_bytes())) + 1;
  return std::clamp<std::uint64_t>(slots, options_.slots_ahead, options_.slots_ahead_max) + 1;
}

bool Keeper::short_of_slots(const CellView& view) const {
  return view.fullness.slots_free + view.slots_coming < slots_wanted(view);
}

bool Keeper::may_grow(const CellView& view) const {
  if (view.fullness.fenced) return false;
  const std::uint64_t slots = view.fullness.slots_total + view.slots_coming;
  return (slots + 1) * store_->slot_bytes() <= cell_bytes_max();
}

bool Keeper::wants_slot(const CellView& view) const {
  if (!may_grow(view)) return false;
  const std::uint64_t slots = view.fullness.slots_total + view.slots_coming;
  if (slots * store_->slot_bytes() < options_.size_min / views_.size()) return true;
  // What is about to be recycled need not be made.
  const std::uint64_t recyclable = snapshot_failed_ ? 0 : view.recyclable;
  return view.fullness.slots_free + view.slots_coming + recyclable < slots_wanted(view);
}

// Of a journal without a free slot. Where making one has failed it is tried again, but puts are not to
// wait for that. Of one that is not known yet: at the start, until the next second.
bool Keeper::room_coming(const CellView& view) const {
  if (!described_) return true;
  if (view.fullness.fenced) return false;
  if (view.slots_coming > 0) return true;
  if (view.recyclable > 0 && !snapshot_failed_) return true;
  return may_grow(view) && !grow_failed_;
}

// The one with the fewest slots left goes first.
std::optional<CellId> Keeper::cell_to_grow() const {
  if (!described_) return {};
  const CellView* neediest = nullptr;
  for (const CellView& view : views_) {
    if (!wants_slot(view)) continue;
    if (neediest == nullptr || view.fullness.slots_free + view.slots_coming <
                                   neediest->fullness.slots_free + neediest->slots_coming) {
      neediest = &view;
    }
  }
  if (neediest == nullptr) return {};
  return neediest->fullness.cell;
}

// One step of one slot a turn: a slot begun is finished before the next is begun.
runtime::WorkCount Keeper::grow(Nanos now) {
  if (now < next_grow_) return 0;
  if (!growing_) growing_ = cell_to_grow();
  if (!growing_) return 0;
  CellView& view = views_[growing_->raw()];
  const Result<storage::Store::NewSlot> step = store_->grow(*growing_, options_.grow_step_bytes);
  if (!step) {
    disk_full_ = step.error().code == ErrorCode::kNoSpace;
    grow_failed_ = true;
    failed("making a slot", step.error());
    growing_.reset();
    next_grow_ = now + options_.retry_nanos;
    return 1;
  }
  // Before puts have to wait, be it for this slot or for the next cell's: no bound but the disk's.
  const bool urgent = std::ranges::any_of(views_, [this](const CellView& other) {
    return wants_slot(other) &&
           other.fullness.slots_free + other.slots_coming < (slots_wanted(other) + 1) / 2;
  });
  const std::uint64_t rate = std::max<std::uint64_t>(options_.grow_bytes_per_second, 1);
  const auto pause = static_cast<std::int64_t>(options_.grow_step_bytes *
                                               static_cast<std::uint64_t>(kNanosPerSecond) / rate);
  next_grow_ = now + (urgent ? 0 : pause);
  if (step->ready) {
    disk_full_ = false;
    grow_failed_ = false;
    ++view.slots_coming;
    loop_.spawn(add_slot(*growing_, *step));
    growing_.reset();
  }
  return 1;
}

auto Keeper::add_slot(CellId cell, storage::Store::NewSlot slot) -> Task<> {
  Calls calls(1);
  calls.front().kind = CommandKind::kAddSlot;
  calls.front().cell = cell;
  calls.front().slot_file = slot.file;
  calls.front().slot = slot.slot;
  shard::CellCalls asked(cells_, loop_, calls);
  co_await asked;
  CellView& view = views_[cell.raw()];
  --view.slots_coming;
  if (!calls.front().outcome) co_return;
  ++counters_.slots_added;
  ++view.fullness.slots_free;
  ++view.fullness.slots_total;
}

void Keeper::failed(std::string_view what, const Error& error) {
  counters_.last_failure = fmt::format("{}: {} (PS-{}, {})", what, text(error.code),
                                       static_cast<unsigned>(error.code), error.detail);
}

KeeperReport Keeper::report() const {
  KeeperReport report = counters_;
  report.slot_bytes = store_->slot_bytes();
  report.limit_bytes = options_.size_max;
  report.disk_full = disk_full_;
  report.snapshots_fail = snapshot_failed_;
  report.growth_possible = false;
  for (const CellView& view : views_) {
    CellFullness cell = view.fullness;
    const std::uint64_t present = cell.slots_total * store_->slot_bytes();
    if (present + store_->slot_bytes() > cell_bytes_max()) {
      cell.growth = Growth::kSizeMax;
    } else if (grow_failed_) {
      cell.growth = disk_full_ ? Growth::kDiskFull : Growth::kFailing;
    }
    cell.expired = view.recyclable > 0 && !snapshot_failed_;
    const bool may_grow = cell.growth == Growth::kPossible && !cell.fenced;
    const std::uint64_t capacity =
        may_grow ? round_down(cell_bytes_max(), store_->slot_bytes()) : present;
    const std::uint64_t free = capacity - std::min(capacity, cell.used_bytes);
    cell.hours_left = hours(free, view.rate.per_second());
    report.growth_possible = report.growth_possible || may_grow;
    report.used_bytes += cell.used_bytes;
    report.bytes_per_second += cell.bytes_per_second;
    report.hours = std::min(report.hours, hours(capacity, view.rate.per_second()));
    report.hours_left = std::min(report.hours_left, cell.hours_left);
    report.cells.push_back(cell);
  }
  return report;
}

}  // namespace penstock::retention
