// Records that have no result yet, in the order of their puts, and what is known of the batch that they make.
//
// Shape      records may leave only at the front, or one by one where the server names it
// Owner      a lane, or the engine while it has no map. Its bytes are shared with messages under way: what changes
//            them makes new ones
// Allocates  as it grows, and for each change
#pragma once

#include "client/native/batch.h"
#include "penstock/producer.h"
#include "penstock/units.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock::client::native {

struct NewRecord {
  RecordView view;
  Nanos deadline;
  PutDone done;
};

struct ProducerBatch {
  struct Pending {
    PutDone done;
    Nanos deadline;
  };

  void add(NewRecord&& record);
  // Whether it has memory from earlier records.
  [[nodiscard]] bool has_room() const { return bytes->bytes.capacity() > 0; }
  // Empty, as if new, but with the memory that it had. False: something else still reads its bytes.
  [[nodiscard]] bool reset();
  // Record i leaves; its result has been given.
  void remove(std::size_t i);
  // Of the first `told` records the result was given: they leave. REQUIRES: changeable().
  void drop_told();
  [[nodiscard]] std::size_t size() const { return pending.size(); }
  [[nodiscard]] bool empty() const { return pending.empty(); }
  [[nodiscard]] std::size_t flat_bytes() const { return bytes->flat_bytes(); }
  // Whether its bytes may differ the next time: no copy of it is where it might still be stored.
  [[nodiscard]] bool changeable() const { return request == 0 && !in_doubt; }

  std::shared_ptr<BatchBytes> bytes = std::make_shared<BatchBytes>();
  std::vector<Pending> pending;  // one for each record
  std::size_t told = 0;          // the first so many have their result
  std::uint64_t request = 0;     // of the sending that has no answer; 0: not under way
  std::uint32_t sequence = 0;    // 0: not sent yet
  // A sending got no answer: it may be stored, or may come to be.
  bool in_doubt = false;
  // Not to be sent before those in front of it are settled, and then in a new epoch.
  bool held = false;
};

}  // namespace penstock::client::native
