// What one native client and the server say to each other: who it is, maps, administration, and lanes
// of puts and gets. Requests become the data plane's and the control plane's, as those of the HTTP
// front door do.
//
// Units      as src/proto/PROTOCOL.md
// Shape      lanes at most `lanes_max`; batches without a result as PROTOCOL.md §9; answers that a client does not take
//            256 KiB and one more
// Owner      its door, one core. Stays until what it has asked of the planes is answered
// Allocates  lanes, and what a door keeps for the next (operations, answers): nothing per batch once warm
// Errors     Failed messages, RESET, CLOSE as PROTOCOL.md says
// States     Greeting ─► Open ─► Ending (closed; operations are under way) ─► Over
// Source     src/proto/PROTOCOL.md §3–§7
#pragma once

#include "net/answer.h"
#include "net/batch_check.h"
#include "net/operations.h"
#include "net/peer.h"
#include "penstock/ids.h"
#include "proto/credentials.h"
#include "proto/kinesis.h"
#include "route/map.h"
#include "shard/requests.h"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace penstock::net {

struct NativeOptions {
  std::shared_ptr<const proto::CredentialSet> credentials;
  std::string server = "penstockd";
  CoreId core;
  std::uint32_t record_bytes_max = 1'048'576;
  std::int64_t put_deadline_nanos = 5 * kNanosPerSecond;
  std::int64_t clock_skew_ms = 300'000;  // of a Hello
  std::uint32_t sessions_max = 1024;
  // Of all sessions: where there are as many, a session gets no more than the first few.
  std::uint32_t lanes_max = 32'768;
  std::uint32_t lanes_always = 64;
  std::uint64_t staging_bytes = 64 * kMiB;  // messages that come in
  // Batches on their way out. Who meets one that never has room waits for ever, and all behind him.
  std::uint64_t delivery_bytes = 32 * kMiB;
  // What TLS has sealed is kept until the kernel needs it no more, so that it need not be copied.
  bool hold_sends = false;
  transport::SessionOptions session;
};

struct NativeCounters {
  std::uint64_t sessions = 0;
  std::uint64_t sessions_open = 0;
  std::uint64_t sessions_refused = 0;
  std::uint64_t denied = 0;  // Hellos
  std::uint64_t batches_in = 0;
  std::uint64_t batches_split = 0;
  std::uint64_t batches_refused = 0;
  std::uint64_t batches_stored = 0;
  std::uint64_t batches_repeated = 0;
  std::uint64_t records_in = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t records_out = 0;
  std::uint64_t readers_slow = 0;  // ended because the client did not take what it asked for
  std::uint64_t violations = 0;    // sessions closed because the client broke a rule
};

// What the conversations of one door share.
struct NativeShared {
  NativeShared(const NativeOptions& the_options, shard::DataPlane& the_data,
               proto::ControlPlane& the_control)
      : options(the_options),
        data(the_data),
        control(the_control),
        deliveries(the_options.delivery_bytes),
        answers(deliveries) {}

  const NativeOptions options;
  shard::DataPlane& data;
  proto::ControlPlane& control;
  NativeCounters counters;
  base::BufferPool deliveries;
  Answers answers;
  Operations operations;
  proto::Sha256 hash;
  std::vector<proto::RecordResult> results;  // of one answer
  std::uint64_t next_session = 1;
  std::size_t lanes = 0;  // open, of all conversations
  WallMillis wall;
  bool stopping = false;
};

class Conversation {
 public:
  Conversation(NativeShared& shared, const Peer::Parts& parts, env::ConnectionId id, Nanos now);
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  [[nodiscard]] Peer& peer() { return peer_; }
  // It only hears that there is no room for it.
  [[nodiscard]] bool turned_away() const { return turned_away_; }
  // Takes what the session has to tell, and gives the socket what there is to do. After any event.
  void serve(Nanos now);
  void tick(Nanos now);
  // The socket has nothing to do with it any more: what it has asked comes back, and nothing new is asked.
  void on_closed();
  // Tells of maps that have changed. Once a turn in which there is a newer one.
  void on_new_map(Nanos now);
  // There is memory for what the reader wants; it is in that queue no more. REQUIRES: its lane is open.
  void on_memory(ReadOperation& reader, Nanos now);
  // Says so to a client that has come so far as to understand it.
  void stop();
  // …, and ends whoever has not.
  void cut();
  // Nothing refers to it any more.
  [[nodiscard]] bool over() const { return peer_.closed() && under_way_ == 0; }
  // Nothing is under way, and every answer has been handed over.
  [[nodiscard]] bool idle() const { return under_way_ == 0 && owed_ == 0; }

 private:
  enum class LaneKind : std::uint8_t { kPut, kGet };
  struct Lane {
    LaneKind kind = LaneKind::kPut;
    bool open = false;   // PutOpened was sent
    bool mixed = false;  // batches of any shards
    StreamUid stream;
    std::string name;
    ShardNumber shard;
    std::uint64_t producer = 0;
    std::uint32_t epoch = 0;
    std::uint32_t waiting = 0;        // batches, or gets, without a result
    ReadOperation* reader = nullptr;  // of a subscription
    // Of what was read and is not all sent: messages, bytes of memory that they hold, and since when they do.
    std::uint32_t queued = 0;
    std::uint64_t queued_bytes = 0;
    Nanos queued_since = {};
    bool catches_up = false;  // the newest of it came from the drive
  };
  using Lanes = std::unordered_map<std::uint32_t, Lane>;
  // Of answers that were not handed over yet, their attachments apart: beyond it nothing more is heard of who does
  // not take them.
  static constexpr std::size_t kOwedMax = std::size_t{256} * kKiB;

  void take(transport::SessionEvent& event, Nanos now);
  void on_message(transport::IncomingMessage& message, bool opened, Nanos now);
  [[nodiscard]] bool held();
  void on_control(transport::IncomingMessage& incoming, const proto::DecodedMessage& message,
                  Nanos now);
  void on_lane(transport::IncomingMessage& incoming, const proto::DecodedMessage& message,
               bool opened, Nanos now);
  void hello(const proto::DecodedMessage& message, Nanos now);
  [[nodiscard]] bool proven(const proto::Hello& hello);
  void get_map(const proto::DecodedMessage& message);
  // True when the operation has the message now; so for the two below.
  [[nodiscard]] bool admin(transport::IncomingMessage& incoming,
                           const proto::DecodedMessage& message, Nanos now);
  void list_streams(const proto::DecodedMessage& message, const proto::Admin& admin);
  static void admin_done(proto::ControlRequest& request, Nanos now);

  [[nodiscard]] bool open_put(transport::IncomingMessage& incoming,
                              const proto::DecodedMessage& message, Nanos now);
  static void producer_opened(shard::ProducerRequest& request, Nanos now);
  [[nodiscard]] bool shows_closed(const ProducerOperation& operation) const;
  void put_opened(std::uint32_t lane, std::uint64_t request, const storage::ProducerState& known,
                  bool closed);
  [[nodiscard]] bool put(transport::IncomingMessage& incoming, const proto::DecodedMessage& message,
                         Nanos now);
  [[nodiscard]] bool put_whole(PutOperation& operation, const Lane& lane,
                               const route::StreamRoute& stream);
  [[nodiscard]] bool put_mixed(PutOperation& operation, const route::StreamRoute& stream);
  // False, always.
  [[nodiscard]] bool refuse_batch(const PutOperation& operation, const BatchVerdict& verdict);
  static void put_done(shard::PutRequest& request, Nanos now);
  void answer_put(PutOperation& operation);

  void subscribe(std::uint32_t lane, const proto::DecodedMessage& message, Nanos now);
  void get(std::uint32_t lane, const proto::DecodedMessage& message, Nanos now);
  // Null: it has been refused.
  [[nodiscard]] ReadOperation* begin_read(std::uint32_t lane, std::uint64_t request,
                                          std::string_view stream, std::uint32_t shard,
                                          const proto::Position* from);
  void ask(ReadOperation& reader, ReadStep step, Nanos now);
  static void read_done(shard::ReadRequest& request, Nanos now);
  void on_read(ReadOperation& reader, Nanos now);
  void resolved(ReadOperation& reader, Nanos now);
  void watched(ReadOperation& reader, Nanos now);
  void have_read(ReadOperation& reader, Nanos now);
  void read_failed(ReadOperation& reader, Nanos now);
  void watch(ReadOperation& reader, Nanos now);
  void want_read(ReadOperation& reader, Nanos now);
  void read(ReadOperation& reader, Nanos now);
  void wait_for(ReadOperation& reader, ReadPhase phase, Nanos now);
  void deliver(ReadOperation& reader, Nanos now);
  void answer_get(ReadOperation& reader, Nanos now);
  void send_read(ReadOperation& reader, Answer& answer, Nanos now);
  void tell_loss(ReadOperation& reader, RecordIndex from);
  void end_of_shard(ReadOperation& reader, Nanos now);
  [[nodiscard]] std::vector<const route::ShardRoute*> children_of(
      const ReadOperation& reader) const;
  void on_lane_ready(std::uint32_t lane, bool sent, Nanos now);
  void tick_lanes(Nanos now);
  void tick_reader(std::uint32_t id, ReadOperation& reader, Nanos now);
  [[nodiscard]] bool slow(const Lane& lane, Nanos now) const;
  void drop(ReadOperation& reader);
  // The lane is over: what it had is given back as far as it is not under way.
  void end_lane(Lanes::iterator lane);
  void drop_idle(Lane& lane);
  void want_no_memory();
  void end_lane(std::uint32_t lane, transport::CloseCode code, std::string_view reason);
  void end_lanes();

  void reply(std::uint32_t lane, Answer& answer);
  void fail(std::uint32_t lane, std::uint64_t request, const Failing& failing);
  void violate(transport::CloseCode code, std::string_view rule);
  void count_lanes();
  // Of the lane that has just been opened.
  [[nodiscard]] bool one_too_many();
  // Null where it has been deleted, if another has its name meanwhile, too.
  [[nodiscard]] const route::StreamRoute* find(const std::string& name, StreamUid uid) const;
  [[nodiscard]] std::uint64_t epoch() const { return shared_.data.routes()->epoch; }

  NativeShared& shared_;
  std::size_t owed_ = 0;  // bytes; the session's answers count it down, so it outlives that
  Peer peer_;
  const bool turned_away_;
  bool greeted_ = false;
  bool changes_untold_ = false;
  std::size_t under_way_ = 0;  // operations that hold on to this
  Lanes lanes_;
  std::size_t lanes_counted_ = 0;  // its part of `NativeShared::lanes`
  // Streams whose maps it has asked for, as it was told of them last; null: that there is none.
  std::string access_key_;  // whose owner has greeted
  std::unordered_map<std::string, std::shared_ptr<const route::StreamRoute>> known_;
};

}  // namespace penstock::net
