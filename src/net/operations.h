// What a conversation has asked of the planes and is not answered yet.
//
// Owner      one door, which keeps them for the next
// Allocates  when there is no spare one; the records of a mixed batch grow their vector once
#pragma once

#include "penstock/units.h"
#include "proto/kinesis.h"
#include "shard/requests.h"
#include "transport/session.h"

#include <cstdint>
#include <memory>
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
  shard::ProducerRequest request;
  ProducerOperation* next = nullptr;
};

struct ControlOperation {
  Conversation* conversation = nullptr;
  std::uint64_t asked = 0;
  proto::ControlRequest request;
  ControlOperation* next = nullptr;
};

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

 private:
  std::vector<std::unique_ptr<Operation>> all_;
  Operation* spare_ = nullptr;
};

struct Operations {
  OperationPool<PutOperation> puts;
  OperationPool<ProducerOperation> producers;
  OperationPool<ControlOperation> controls;
};

}  // namespace penstock::net
