// Puts: by hash to a shard (batches name theirs), by shard to a core, there into the shard's pending
// list; and back.
#include "base/assert.h"
#include "ingest/data_core.h"

#include <utility>

namespace penstock::ingest {

using shard::PutEntry;
using shard::PutParcel;
using shard::PutRequest;

void DataCore::put(PutRequest& request, Nanos now) {
  PENSTOCK_ASSERT(!request.entries.empty());
  request.home = self_;
  request.open_parcels = 0;
  request.parked = false;
  request.serial = (next_serial_++ << 8) | self_.raw();
  ++counters_.puts;
  ++puts_under_way_;
  if (request.batches) {
    route_batches(request, now);
  } else {
    route<false>(request, now);
  }
}

// Deals the entries out to parcels, one an owning core, in the order of the call.
template <bool kMisroutedOnly>
void DataCore::route(PutRequest& request, Nanos now) {
  const auto local = local_.find(request.stream);
  const route::StreamRoute* stream = local == local_.end() ? nullptr : local->second.route.get();
  ++request.open_parcels;  // ours, until all are dispatched: the request cannot finish meanwhile
  for (PutEntry& entry : request.entries) {
    if constexpr (!kMisroutedOnly) {
      entry.request = &request;
      entry.stored = false;
      entry.error = ErrorCode::kWrongShard;
    } else if (entry.stored || entry.error != ErrorCode::kWrongShard) {
      continue;
    }
    const route::ShardRoute* shard = stream == nullptr ? nullptr : stream->find(entry.record.hash);
    if (shard == nullptr) {  // the stream is gone
      entry.error = ErrorCode::kNotFound;
      continue;
    }
    entry.shard = shard->number;
    deal(request, entry, *shard);
  }
  dispatch_dealt(request, now);
}

// By the shards that they name: no other takes them.
void DataCore::route_batches(PutRequest& request, Nanos now) {
  const auto local = local_.find(request.stream);
  const route::StreamRoute* stream = local == local_.end() ? nullptr : local->second.route.get();
  ++request.open_parcels;
  for (PutEntry& entry : request.entries) {
    PENSTOCK_ASSERT(entry.batch != nullptr);
    entry.request = &request;
    entry.stored = false;
    entry.repeated = false;
    entry.error = ErrorCode::kWrongShard;
    const route::ShardRoute* shard = stream == nullptr ? nullptr : stream->find(entry.shard);
    if (stream == nullptr) entry.error = ErrorCode::kNotFound;
    if (shard != nullptr && shard->open) deal(request, entry, *shard);
  }
  dispatch_dealt(request, now);
}

[[gnu::always_inline]] inline void DataCore::deal(PutRequest& request, PutEntry& entry,
                                                  const route::ShardRoute& shard) {
  // As reads do: by the catalogue, not by what the cell knows, whose OPEN may be lost.
  entry.shard_created_second = shard.created_second;
  PutParcel* parcel = routing_[shard.core.raw()];
  if (parcel == nullptr) parcel = begin_parcel(request, shard.core);
  if (parcel == nullptr) {
    entry.error = ErrorCode::kOverloaded;
    return;
  }
  entry.parcel = parcel;
  entry.next = nullptr;
  (parcel->tail == nullptr ? parcel->head : parcel->tail->next) = &entry;
  parcel->tail = &entry;
  ++parcel->open;
}

[[gnu::always_inline]] inline void DataCore::dispatch_dealt(PutRequest& request, Nanos now) {
  for (PutParcel*& parcel : routing_) {
    if (parcel != nullptr) dispatch(*std::exchange(parcel, nullptr), now);
  }
  if (--request.open_parcels == 0 && !request.parked) answered_.push_back(&request);
}

// Null where all are out.
PutParcel* DataCore::begin_parcel(PutRequest& request, CoreId owner) {
  if (free_parcels_ == nullptr) return nullptr;
  PutParcel* parcel = free_parcels_;
  routing_[owner.raw()] = parcel;
  free_parcels_ = parcel->next;
  *parcel = {};
  parcel->request = &request;
  parcel->map_epoch = routes_->epoch;
  parcel->stream = request.stream;
  parcel->home = self_;
  parcel->owner = owner;
  ++request.open_parcels;
  ++parcels_out_;
  return parcel;
}

void DataCore::dispatch(PutParcel& parcel, Nanos now) {
  if (parcel.owner == self_) {
    take(parcel, now);
    return;
  }
  ++counters_.parcels_sent;
  post_.send(parcel.owner, {&DataCore::on_parcel, peers_[parcel.owner.raw()], &parcel});
}

void DataCore::on_parcel(void* target, void* item, Nanos now) {
  static_cast<DataCore*>(target)->take(*static_cast<PutParcel*>(item), now);
}

// On the owning core.
void DataCore::take(PutParcel& parcel, Nanos now) {
  if (parcel.request->batches) return take_batches(parcel, now);
  // One more than there are entries: the parcel stays until the walk is over.
  ++parcel.open;
  const auto local = local_.find(parcel.stream);
  const LocalStream* stream = local == local_.end() ? nullptr : &local->second;
  for (PutEntry* entry = parcel.head; entry != nullptr;) {
    PutEntry* following = entry->next;
    const LocalStream::Place place =
        stream == nullptr ? LocalStream::Place{} : stream->at(entry->shard);
    const bool taken = place.cell != nullptr && place.cell->take(*entry, place.shard, now);
    if (!taken) {
      if (entry->error == ErrorCode::kWrongShard) ++parcel.misrouted;
      --parcel.open;
    }
    entry = following;
  }
  --parcel.open;
  close_if_settled(parcel, now);
}

void DataCore::take_batches(PutParcel& parcel, Nanos now) {
  ++parcel.open;
  for (PutEntry* entry = parcel.head; entry != nullptr;) {
    PutEntry* following = entry->next;
    const LocalStream::Place place = place_of(parcel.stream, entry->shard);
    if (place.cell == nullptr || !place.cell->take_batch(*entry, place.shard, now)) --parcel.open;
    entry = following;
  }
  --parcel.open;
  close_if_settled(parcel, now);
}

void DataCore::settled(PutEntry* list, std::uint32_t, Nanos now) {
  while (list != nullptr) {
    PutEntry* following = list->next;
    PutParcel& parcel = *list->parcel;
    if (!list->stored && list->error == ErrorCode::kWrongShard && list->batch == nullptr) {
      ++parcel.misrouted;
    }
    --parcel.open;
    close_if_settled(parcel, now);
    list = following;
  }
}

void DataCore::close_if_settled(PutParcel& parcel, Nanos now) {
  if (parcel.open != 0) return;
  if (parcel.home == self_) {
    come_home(parcel, now);
  } else {
    post_.send(parcel.home, {&DataCore::on_parcel_home, peers_[parcel.home.raw()], &parcel});
  }
}

void DataCore::on_parcel_home(void* target, void* item, Nanos now) {
  static_cast<DataCore*>(target)->come_home(*static_cast<PutParcel*>(item), now);
}

// On the asking core. Entries that met a shard which no longer takes them wait for a newer map, or go
// again at once when it is here.
void DataCore::come_home(PutParcel& parcel, Nanos now) {
  PutRequest& request = *parcel.request;
  const bool misrouted = parcel.misrouted > 0;
  const std::uint64_t epoch = parcel.map_epoch;
  parcel.next = free_parcels_;
  free_parcels_ = &parcel;
  --parcels_out_;
  if (misrouted && !request.parked) {
    request.parked = true;
    parked_.push_back(&request);
  }
  if (misrouted && epoch < routes_->epoch) next_expiry_ = now;
  if (--request.open_parcels == 0 && !request.parked) answered_.push_back(&request);
}

// Only requests with every other entry settled go again, so that one call's entries keep their order.
void DataCore::retry_parked(Nanos now) {
  retrying_.swap(parked_);
  for (PutRequest* request : retrying_) {
    if (request->open_parcels > 0) {
      parked_.push_back(request);
      continue;
    }
    request->parked = false;
    const bool late = request->deadline < now;
    for (PutEntry& entry : request->entries) {
      if (entry.stored || entry.error != ErrorCode::kWrongShard) continue;
      if (late) entry.error = ErrorCode::kOverloaded;
      ++counters_.entries_rerouted;
    }
    if (late) {
      answered_.push_back(request);
    } else {
      route<true>(*request, now);
    }
  }
  retrying_.clear();
}

// --- Reads ----------------------------------------------------------------------------------------

void DataCore::read(shard::ReadRequest& request, Nanos now) {
  request.home = self_;
  ++counters_.reads;
  ++reads_under_way_;
  if (request.owner == self_) {
    read_here(request, now);
  } else {
    post_.send(request.owner, {&DataCore::on_read, peers_[request.owner.raw()], &request});
  }
}

void DataCore::on_read(void* target, void* item, Nanos now) {
  static_cast<DataCore*>(target)->read_here(*static_cast<shard::ReadRequest*>(item), now);
}

void DataCore::read_here(shard::ReadRequest& request, Nanos now) {
  const LocalStream::Place place = place_of(request.shard.stream, request.shard.shard);
  if (place.cell == nullptr) {
    request.outcome = fail(ErrorCode::kNotFound);
    finished(request, now);
    return;
  }
  place.cell->read(request, now, turn_wall_);
}

void DataCore::finished(shard::ReadRequest& request, Nanos) {
  if (request.home == self_) {
    reads_done_.push_back(&request);
  } else {
    post_.send(request.home, {&DataCore::on_read_home, peers_[request.home.raw()], &request});
  }
}

void DataCore::end_waits(Nanos now) {
  for (const auto& cell : cells_) cell->end_waits(now);
}

void DataCore::on_read_home(void* target, void* item, Nanos) {
  auto& core = *static_cast<DataCore*>(target);
  core.reads_done_.push_back(static_cast<shard::ReadRequest*>(item));
}

// --- Producers ------------------------------------------------------------------------------------

void DataCore::open_producer(shard::ProducerRequest& request, Nanos now) {
  request.home = self_;
  ++producers_under_way_;
  if (request.owner == self_) {
    open_producer_here(request, now);
  } else {
    post_.send(request.owner, {&DataCore::on_producer, peers_[request.owner.raw()], &request});
  }
}

void DataCore::on_producer(void* target, void* item, Nanos now) {
  static_cast<DataCore*>(target)->open_producer_here(*static_cast<shard::ProducerRequest*>(item),
                                                     now);
}

void DataCore::open_producer_here(shard::ProducerRequest& request, Nanos now) {
  const LocalStream::Place place = place_of(request.shard.stream, request.shard.shard);
  if (place.cell == nullptr) {
    request.outcome = fail(ErrorCode::kNotFound);
    finished(request, now);
    return;
  }
  place.cell->open_producer(request, now, turn_wall_);
}

void DataCore::finished(shard::ProducerRequest& request, Nanos) {
  if (request.home == self_) {
    producers_done_.push_back(&request);
  } else {
    post_.send(request.home, {&DataCore::on_producer_home, peers_[request.home.raw()], &request});
  }
}

void DataCore::on_producer_home(void* target, void* item, Nanos) {
  auto& core = *static_cast<DataCore*>(target);
  core.producers_done_.push_back(static_cast<shard::ProducerRequest*>(item));
}

// --- Commands -------------------------------------------------------------------------------------

void DataCore::finished(shard::CellCommand& command, Nanos) {
  if (command.kind == shard::CommandKind::kTrimShard && command.control.index == UINT64_MAX) {
    const auto at = local_.find(command.shard.stream);  // the shard may be gone from memory
    const std::uint32_t number = command.shard.shard.raw();
    if (at != local_.end() && number - at->second.base < at->second.places.size()) {
      at->second.places[number - at->second.base] = {};
    }
  }
  post_.send(service_, {[](void*, void* item, Nanos now) {
                          auto& done = *static_cast<shard::CellCommand*>(item);
                          done.done(done, now);
                        },
                        nullptr, &command});
}

}  // namespace penstock::ingest
