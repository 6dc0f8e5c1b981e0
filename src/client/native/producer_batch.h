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
  bool in_doubt = false;  // a copy of it may be stored, or may come to be
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
  // Of the first `told` records the result was given: they leave. REQUIRES: it is not under way.
  void drop_told();
  // A record to be put elsewhere. REQUIRES: this batch is not asked for it again.
  [[nodiscard]] NewRecord take(std::size_t i);
  [[nodiscard]] std::size_t size() const { return pending.size(); }
  [[nodiscard]] bool empty() const { return pending.empty(); }
  [[nodiscard]] std::size_t flat_bytes() const { return bytes->flat_bytes(); }
  // No copy of it is where it is stored, perhaps, or might still be.
  [[nodiscard]] bool certain() const { return request == 0 && !in_doubt; }
  // What its records hear, if they are not sent again for this reason.
  [[nodiscard]] ErrorCode verdict(ErrorCode reason) const {
    return certain() ? reason : ErrorCode::kUnknownOutcome;
  }

  std::shared_ptr<BatchBytes> bytes = std::make_shared<BatchBytes>();
  std::vector<Pending> pending;  // one for each record
  std::size_t told = 0;          // the first so many have their result
  std::uint64_t request = 0;     // of the sending that has no answer; 0: not under way
  std::uint32_t sequence = 0;    // 0: not sent yet
  // A sending got no answer: it may be stored, or may come to be. Of several that were put together: one of them.
  bool in_doubt = false;
  // Not to be sent before those in front of it are settled, and then in a new epoch.
  bool held = false;
};

}  // namespace penstock::client::native
