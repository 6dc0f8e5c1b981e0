// Administrative calls under way, without I/O: each is sent once, when there is a connection, and answered once.
//
// Owner      one thread, that of its link
// Errors     as include/penstock/admin.h
// States     of a call: Waiting (for a connection) ─► Asked ─► answered
// Source     src/proto/PROTOCOL.md §4
#pragma once

#include "base/hash_key.h"
#include "client/native/link.h"
#include "penstock/result.h"
#include "penstock/units.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace penstock::client::native {

// As penstock.fbs numbers them.
enum class AdminOperation : std::uint8_t {
  kCreateStream,
  kDeleteStream,
  kListStreams,
  kSplitShard,
  kMergeShards,
  kIncreaseRetention,
  kDecreaseRetention
};

struct AdminCall {
  AdminOperation operation = AdminOperation::kListStreams;
  std::string stream = {};
  std::uint32_t shard_count = 0;
  std::uint32_t shard = 0;
  std::uint32_t adjacent = 0;
  base::HashKey hash = {};
  std::uint32_t hours = 0;
  std::string after = {};
};

struct AdminAnswer {
  std::vector<std::string> streams;
  bool more = false;
};
using AdminDone = std::move_only_function<void(Result<AdminAnswer>)>;

class AdminCalls final : public LinkUser, public RequestUser {
 public:
  explicit AdminCalls(Link& link);
  ~AdminCalls() override;

  void start(AdminCall call, AdminDone done, Nanos deadline, Nanos now);
  void tick(Nanos now);
  [[nodiscard]] Nanos next_deadline() const;
  // Those that were not sent hear kStopping.
  void stop();

  void on_open(Nanos now) override;
  void on_answer(std::uint64_t request, const proto::DecodedMessage& answer, Nanos now) override;
  void on_unanswered(std::uint64_t request, Nanos now) override;

 private:
  static constexpr std::size_t kAskedMax = 64;  // of the 256 that lane 0 allows

  struct Call {
    AdminCall call;
    AdminDone done;
    Nanos deadline;
    std::uint64_t request = 0;  // 0: waiting
  };
  void send_waiting();
  void finish(std::uint64_t request, Result<AdminAnswer> answer);

  Link& link_;
  std::deque<Call> calls_;
};

}  // namespace penstock::client::native
