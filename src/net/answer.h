// Messages on their way out: header and table in a buffer of their own, an attachment beside it.
//
// Owner      one door. An answer is the session's from `Session::send` until its `done`, which gives it back
// Allocates  answers when there is no spare one; their buffers grow once
// Source     src/proto/PROTOCOL.md §4
#pragma once

#include "base/buffer_pool.h"
#include "penstock/result.h"
#include "penstock_generated.h"
#include "proto/message.h"
#include "transport/session.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace penstock::net {

class Answers;

struct Answer {
  transport::OutgoingMessage message;
  std::vector<std::byte> head;
  base::PoolBuffer attachment;  // of the pool that `Answers` was made with
  Answers* home = nullptr;
  std::size_t* owed = nullptr;  // has its head's bytes until it is given back
  Answer* next = nullptr;       // spare
};

// What a Failed says.
struct Failing {
  ErrorCode code = ErrorCode::kSystem;
  std::string_view text = {};  // empty: the code's own
  std::uint32_t retry_after_ms = 0;
  std::uint32_t record = UINT32_MAX;
  std::uint64_t from = 0;
  std::uint64_t next = 0;
  std::string_view kinesis = {};  // the service's name for it, of an administrative call
};

class Answers {
 public:
  // Attachments count against `attachments` until they are sent.
  explicit Answers(base::BufferPool& attachments) : attachments_(attachments) {}
  ~Answers();
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  // An empty builder for the table of the next answer.
  [[nodiscard]] flatbuffers::FlatBufferBuilder& table() {
    builder_.Clear();
    return builder_;
  }
  // The table that was finished in `table()`, behind this header.
  [[nodiscard]] Answer& make(proto::MessageHeader header);
  [[nodiscard]] Answer& fail(std::uint64_t request, std::uint64_t map_epoch,
                             const Failing& failing);
  // Its first `bytes` are sent behind the table.
  static void attach(Answer& answer, base::PoolBuffer buffer, std::size_t bytes);
  // Adds its head's bytes to `owed` as long as it is on its way.
  static void count(Answer& answer, std::size_t& owed);
  // Not sent after all.
  void give_back(Answer& answer);

 private:
  static void on_done(transport::OutgoingMessage& message, bool sent);

  base::BufferPool& attachments_;
  flatbuffers::FlatBufferBuilder builder_{1024};
  std::vector<std::unique_ptr<Answer>> all_;
  Answer* spare_ = nullptr;
};

}  // namespace penstock::net
