// What a conversation has asked of the planes and is not answered yet.
//
// Owner      one door, which keeps them for the next
// Allocates  when there is no spare one; the records of a mixed batch grow their vector once
#pragma once

#include "base/buffer_pool.h"
#include "base/intrusive_list.h"
#include "net/delivery_sink.h"
#include "penstock/units.h"
#include "proto/kinesis.h"
#include "shard/requests.h"
#include "transport/session.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace penstock::net {

class Conversation;

// A batch that came in: its bytes stay in the session's memory until the outcome is here.
struct PutOperation {
  Conversation* conversation = nullptr;
  std::uint32_t lane = 0;
  std::uint64_t asked = 0;  // the request's number
  transport::IncomingMessage message;
  shard::BatchPut batch;
  shard::PutEntry whole;
  std::vector<shard::PutEntry> records;  // of a mixed batch
  shard::PutRequest request;
  bool mixed = false;
  PutOperation* next = nullptr;
};

struct ProducerOperation {
  Conversation* conversation = nullptr;
  std::uint32_t lane = 0;
  std::uint64_t asked = 0;
  transport::IncomingMessage message;  // kept, so that its credit bounds how many there are
  shard::ProducerRequest request;
  ProducerOperation* next = nullptr;
};

struct ControlOperation {
  Conversation* conversation = nullptr;
  std::uint64_t asked = 0;
  transport::IncomingMessage message;  // kept, so that the session knows how many are not answered
  proto::ControlRequest request;
  ControlOperation* next = nullptr;
};

// What a reader has asked of the shard's core.
enum class ReadStep : std::uint8_t {
  kResolve,  // where it begins
  kWatch,    // to say when there is something
  kRead,
};
// What a reader waits for.
enum class ReadPhase : std::uint8_t {
  kServed,  // nothing: what it waited for is here
  kAnswer,  // of the shard's core: the operation is under way
  kMemory,  // for a delivery
  kCredit,  // of the client, for a delivery
  kQueue,   // until deliveries have been sent
  kLater,   // the shard's limits, or a core that stops
  kMap,     // that shows the children of the shard, which has been read to its end
};

// One Get, or a subscription from beginning to end.
struct ReadOperation {
  Conversation* conversation = nullptr;
  std::uint32_t lane = 0;
  std::uint64_t asked = 0;  // the request's number
  std::string stream;       // its name
  bool subscription = false;
  ReadStep step = ReadStep::kResolve;
  ReadPhase phase = ReadPhase::kServed;
  Nanos since;                                                     // in this phase
  Nanos until;                                                     // a Get waits
  static constexpr std::size_t kRoomMin = std::size_t{16} * kKiB;  // what the pool gives at least
  std::size_t aimed = 0;                                           // bytes of a delivery
  std::size_t bytes = 0;      // of the next one: more than is aimed at for a batch that is larger
  std::uint32_t records = 0;  // of a delivery, aimed at
  RecordIndex at;             // the next record that it wants …
  bool by_time = false;       // … or the first that arrived then
  WallMillis time;
  shard::ReadRequest request;
  DeliverySink sink;
  [[nodiscard]] std::size_t room() const { return std::max(aimed, kRoomMin); }
  base::PoolBuffer buffer;
  base::ListLink<ReadOperation> memory;  // among those that wait for it
  ReadOperation* next = nullptr;
};
using MemoryQueue = base::IntrusiveList<ReadOperation, &ReadOperation::memory>;

// Spare ones of a kind.
template <class Operation>
class OperationPool {
 public:
  [[nodiscard]] Operation& take() {
    if (spare_ == nullptr) {
      all_.push_back(std::make_unique<Operation>());
      spare_ = all_.back().get();
    }
    Operation& taken = *spare_;
    spare_ = taken.next;
    return taken;
  }
  void give(Operation& operation) {
    operation.next = spare_;
    spare_ = &operation;
  }
  // Those that were taken and not given back. Allocates: for the end.
  template <class Act>
  void each_taken(Act act) {
    std::unordered_set<const Operation*> spare;
    for (const Operation* at = spare_; at != nullptr; at = at->next) spare.insert(at);
    for (const auto& operation : all_) {
      if (!spare.contains(operation.get())) act(*operation);
    }
  }

 private:
  std::vector<std::unique_ptr<Operation>> all_;
  Operation* spare_ = nullptr;
};

struct Operations {
  OperationPool<PutOperation> puts;
  OperationPool<ProducerOperation> producers;
  OperationPool<ControlOperation> controls;
  OperationPool<ReadOperation> reads;
  MemoryQueue memory_wanted;  // readers, first come first served
};

}  // namespace penstock::net
