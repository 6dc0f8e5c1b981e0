// A data core: one pinned thread's turn. It owns cells, routes puts to the shards of its own cells or
// by mail to the cores that own them, and answers when every entry has its outcome.
//
// Units      `now` nanoseconds since boot, `wall` milliseconds since 1970 UTC
// Shape      at most kParcels pieces of puts under way that began here
// Owner      one thread. Borrows the drivers, the post office and the front door
// Allocates  in the constructor, and when a map or a command arrives; never per record
// Errors     as shard/requests.h says
#pragma once

#include "env/socket.h"
#include "penstock/ids.h"
#include "penstock/units.h"
#include "runtime/disk_queue.h"
#include "runtime/mail.h"
#include "runtime/work.h"
#include "shard/cell.h"
#include "shard/requests.h"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace penstock::shard {
// The entries of one put that one core owns; made where the put came in, lent to the owner.
struct PutParcel {
  PutRequest* request = nullptr;
  PutEntry* head = nullptr;
  PutEntry* tail = nullptr;
  PutParcel* next = nullptr;    // in the free list or the list of finished ones
  std::uint64_t map_epoch = 0;  // by which it was routed
  StreamUid stream;
  CoreId home;
  CoreId owner;
  std::uint32_t open = 0;       // entries without an outcome: the owner's
  std::uint32_t misrouted = 0;  // entries that came back kWrongShard
};
}  // namespace penstock::shard

namespace penstock::ingest {

struct CoreCounters {
  std::uint64_t turns = 0;
  std::uint64_t busy_turns = 0;
  std::uint64_t puts = 0;
  std::uint64_t reads = 0;
  std::uint64_t parcels_sent = 0;  // to other cores
  std::uint64_t entries_rerouted = 0;
};

class DataCore final : public runtime::Agent, public shard::DataPlane, private shard::Cell::Outlet {
 public:
  struct Parts {
    CoreId self;
    CoreId service;  // where finished commands go
    env::Disk& writes;
    env::Disk& reads;
    runtime::PostOffice::Post& post;
  };
  DataCore(const Parts& parts, std::size_t cores);
  ~DataCore() override;

  // Wiring, before the first turn.
  void add_cell(const storage::JournalOptions& options, storage::RecoveredCell recovered);
  void set_peers(std::vector<DataCore*> peers) { peers_ = std::move(peers); }
  // A front door that turns with this core, and the socket that it speaks through.
  void add_front(runtime::Agent& front, env::Socket& socket) {
    fronts_.push_back({&front, &socket});
  }
  runtime::WorkCount poll(Nanos now, WallMillis wall) override;
  [[nodiscard]] Nanos next_deadline() const override;

  void put(shard::PutRequest& request, Nanos now) override;
  void read(shard::ReadRequest& request, Nanos now) override;
  void open_producer(shard::ProducerRequest& request, Nanos now) override;
  [[nodiscard]] const std::shared_ptr<const route::RouteMap>& routes() const override {
    return routes_;
  }

  // Reads that wait for records come back, and none waits from now on.
  void end_waits(Nanos now);
  // Nothing pending, in flight or parked on this core.
  [[nodiscard]] bool quiet() const;
  [[nodiscard]] std::size_t puts_under_way() const { return puts_under_way_; }
  [[nodiscard]] std::size_t reads_under_way() const { return reads_under_way_; }
  // Mail could not be delivered: the front door takes in nothing more for now.
  [[nodiscard]] bool congested() const { return !post_.outbox_empty() || free_parcels_ == nullptr; }
  [[nodiscard]] const CoreCounters& counters() const { return counters_; }
  [[nodiscard]] const std::vector<std::unique_ptr<shard::Cell>>& cells() const { return cells_; }
  [[nodiscard]] CoreId self() const { return self_; }

  // The map that counts from now on. Before the first turn, or by mail on this core.
  void adopt_map(std::shared_ptr<const route::RouteMap> map, Nanos now);
  void send_to_service(runtime::Mail mail) { post_.send(service_, mail); }

  // Mail from the service core: `target` is the DataCore, `item` the command, or the retention clock
  // as an atomic of its sender's.
  static void on_command(void* target, void* item, Nanos now);
  static void on_retention_clock(void* target, void* item, Nanos now);

 private:
  // The shards of one stream that live here, by number from `base` on.
  struct LocalStream {
    std::shared_ptr<const route::StreamRoute> route;
    std::uint32_t base = 0;
    struct Place {
      shard::Cell* cell = nullptr;
      shard::Shard* shard = nullptr;
    };
    [[nodiscard]] Place at(ShardNumber number) const {
      const std::uint32_t position = number.raw() - base;
      return position < places.size() ? places[position] : Place{};
    }
    std::vector<Place> places;
  };
  static constexpr std::size_t kParcels = 8192;

  void settled(shard::PutEntry* list, std::uint32_t count, Nanos now) override;
  void finished(shard::CellCommand& command, Nanos now) override;
  void finished(shard::ReadRequest& request, Nanos now) override;
  void finished(shard::ProducerRequest& request, Nanos now) override;

  template <bool kMisroutedOnly>
  void route(shard::PutRequest& request, Nanos now);
  void route_batches(shard::PutRequest& request, Nanos now);
  void deal(shard::PutRequest& request, shard::PutEntry& entry, const route::ShardRoute& shard);
  void dispatch_dealt(shard::PutRequest& request, Nanos now);
  [[nodiscard]] shard::PutParcel* begin_parcel(shard::PutRequest& request, CoreId owner);
  void dispatch(shard::PutParcel& parcel, Nanos now);
  void take(shard::PutParcel& parcel, Nanos now);
  void take_batches(shard::PutParcel& parcel, Nanos now);
  void close_if_settled(shard::PutParcel& parcel, Nanos now);
  void come_home(shard::PutParcel& parcel, Nanos now);
  void retry_parked(Nanos now);
  [[nodiscard]] runtime::WorkCount answer(Nanos now);
  void read_here(shard::ReadRequest& request, Nanos now);
  void open_producer_here(shard::ProducerRequest& request, Nanos now);
  [[nodiscard]] LocalStream::Place place_of(StreamUid stream, ShardNumber number);
  [[nodiscard]] shard::Cell* cell(CellId id);

  static void on_parcel(void* target, void* item, Nanos now);
  static void on_parcel_home(void* target, void* item, Nanos now);
  static void on_read(void* target, void* item, Nanos now);
  static void on_read_home(void* target, void* item, Nanos now);
  static void on_producer(void* target, void* item, Nanos now);
  static void on_producer_home(void* target, void* item, Nanos now);

  CoreId self_;
  CoreId service_;
  runtime::DiskQueue writes_;
  runtime::DiskQueue reads_;
  struct Front {
    runtime::Agent* agent;
    env::Socket* socket;
  };

  runtime::PostOffice::Post& post_;
  std::vector<Front> fronts_;
  std::vector<DataCore*> peers_;  // by core id; null for cores that are not data cores
  std::vector<std::unique_ptr<shard::Cell>> cells_;
  std::shared_ptr<const route::RouteMap> routes_;
  std::unordered_map<StreamUid, LocalStream> local_;

  std::vector<shard::PutParcel> parcels_;
  shard::PutParcel* free_parcels_ = nullptr;
  std::size_t parcels_out_ = 0;
  std::vector<shard::PutParcel*> routing_;               // by owner, while one put is routed
  std::vector<shard::PutRequest*> answered_;             // `done` is due
  std::vector<shard::ReadRequest*> reads_done_;          // the same
  std::vector<shard::ProducerRequest*> producers_done_;  // the same
  std::vector<shard::PutRequest*> parked_;               // wait for a newer map
  std::vector<shard::PutRequest*> retrying_;             // parked ones while they are walked
  Nanos next_expiry_;
  Nanos turn_now_;
  WallMillis turn_wall_;
  CoreCounters counters_;
  std::uint64_t next_serial_ = 1;
  std::size_t puts_under_way_ = 0;
  std::size_t reads_under_way_ = 0;
  std::size_t producers_under_way_ = 0;
};

}  // namespace penstock::ingest
