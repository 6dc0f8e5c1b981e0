#include "ingest/data_core.h"

#include "base/assert.h"
#include "storage/recovery.h"

#include <algorithm>
#include <atomic>

namespace penstock::ingest {

namespace {
constexpr std::int64_t kExpiryStep = 100 * kNanosPerMilli;
}

DataCore::DataCore(const Parts& parts, std::size_t cores)
    : self_(parts.self),
      service_(parts.service),
      writes_(parts.writes),
      reads_(parts.reads),
      post_(parts.post),
      routes_(std::make_shared<const route::RouteMap>()),
      parcels_(kParcels),
      routing_(cores, nullptr) {
  for (shard::PutParcel& parcel : parcels_) {
    parcel.next = free_parcels_;
    free_parcels_ = &parcel;
  }
  answered_.reserve(kParcels);
  reads_done_.reserve(kParcels);
  producers_done_.reserve(kParcels);
  parked_.reserve(kParcels);
  retrying_.reserve(kParcels);
}

DataCore::~DataCore() = default;

void DataCore::add_cell(const storage::JournalOptions& options, storage::RecoveredCell recovered) {
  cells_.push_back(std::make_unique<shard::Cell>(options, std::move(recovered), writes_, reads_,
                                                 static_cast<shard::Cell::Outlet&>(*this)));
}

// The order is the design: what frees room and produces answers comes first, new work after it,
// bounded by the room; what the turn collected goes to disk in one submission, answers leave in one.
runtime::WorkCount DataCore::poll(Nanos now, WallMillis wall) {
  turn_now_ = now;
  turn_wall_ = wall;
  runtime::WorkCount work = post_.deliver(now);
  work += writes_.poll(now);
  work += reads_.poll(now);
  for (const auto& cell : cells_) work += cell->settle(now, wall);
  work += answer(now);
  for (const Front& front : fronts_) work += front.agent->poll(now, wall);
  for (const auto& cell : cells_) work += cell->place(now, wall);
  if (now >= next_expiry_) {
    next_expiry_ = now + kExpiryStep;
    for (const auto& cell : cells_) cell->expire(now);
    if (!parked_.empty()) retry_parked(now);
  }
  work += answer(now);
  for (const Front& front : fronts_) front.socket->submit();
  post_.wake_receivers();
  ++counters_.turns;
  if (work != 0) ++counters_.busy_turns;
  return work;
}

Nanos DataCore::next_deadline() const {
  Nanos deadline = runtime::kNever;
  for (const Front& front : fronts_) deadline = std::min(deadline, front.agent->next_deadline());
  for (const auto& cell : cells_) deadline = std::min(deadline, cell->next_deadline());
  // Entries have deadlines here as well where their puts began on another core.
  const bool holds = std::ranges::any_of(
      cells_, [](const auto& cell) { return !cell->quiet() || cell->reads_wait(); });
  if (puts_under_way_ > 0 || holds) deadline = std::min(deadline, next_expiry_);
  if (!post_.outbox_empty()) deadline = std::min(deadline, turn_now_ + kNanosPerMilli);
  return deadline;
}

bool DataCore::quiet() const {
  return puts_under_way_ == 0 && reads_under_way_ == 0 && producers_under_way_ == 0 &&
         post_.outbox_empty() &&
         std::ranges::all_of(cells_, [](const auto& cell) { return cell->quiet(); });
}

runtime::WorkCount DataCore::answer(Nanos now) {
  runtime::WorkCount work = 0;
  // `done` may start new requests, so the lists grow while they are walked.
  for (std::size_t i = 0; i < answered_.size(); ++i, ++work) {
    --puts_under_way_;
    answered_[i]->done(*answered_[i], now);
  }
  answered_.clear();
  for (std::size_t i = 0; i < reads_done_.size(); ++i, ++work) {
    --reads_under_way_;
    reads_done_[i]->done(*reads_done_[i], now);
  }
  reads_done_.clear();
  for (std::size_t i = 0; i < producers_done_.size(); ++i, ++work) {
    --producers_under_way_;
    producers_done_[i]->done(*producers_done_[i], now);
  }
  producers_done_.clear();
  return work;
}

// --- Maps and commands ----------------------------------------------------------------------------

void DataCore::adopt_map(std::shared_ptr<const route::RouteMap> map, Nanos now) {
  routes_ = std::move(map);
  local_.clear();
  for (const auto& [name, stream] : routes_->streams) {
    LocalStream& local = local_[stream->uid];
    local.route = stream;
    if (stream->shards.empty()) continue;
    local.base = stream->shards.front().number.raw();
    local.places.resize(stream->shards.back().number.raw() - local.base + 1);
    for (const route::ShardRoute& route : stream->shards) {
      if (route.core != self_) continue;
      shard::Cell* owner = cell(route.cell);
      PENSTOCK_ASSERT(owner != nullptr);
      shard::Shard* shard = owner->find({stream->uid, route.number});
      if (shard != nullptr) shard->set_limits(stream->limits, now);
      local.places[route.number.raw() - local.base] = {owner, shard};
    }
  }
  retry_parked(now);
}

shard::Cell* DataCore::cell(CellId id) {
  for (const auto& cell : cells_) {
    if (cell->id() == id) return cell.get();
  }
  return nullptr;
}

DataCore::LocalStream::Place DataCore::place_of(StreamUid stream, ShardNumber number) {
  const auto at = local_.find(stream);
  return at == local_.end() ? LocalStream::Place{} : at->second.at(number);
}

void DataCore::on_retention_clock(void* target, void* item, Nanos) {
  const RetentionMillis now =
      static_cast<const std::atomic<RetentionMillis>*>(item)->load(std::memory_order_relaxed);
  for (const auto& cell : static_cast<DataCore*>(target)->cells_) {
    cell->set_retention_now(now);
  }
}

void DataCore::on_command(void* target, void* item, Nanos now) {
  auto& core = *static_cast<DataCore*>(target);
  auto& command = *static_cast<shard::CellCommand*>(item);
  shard::Cell* owner = core.cell(command.cell);
  PENSTOCK_ASSERT(owner != nullptr);
  owner->command(command, now, core.turn_wall_);
}

}  // namespace penstock::ingest
