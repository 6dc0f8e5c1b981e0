// What a session consists of, for its own files: session.cc (life, time), session_in.cc (bytes to frames),
// session_data.cc (pieces to messages), session_out.cc (queues and credit), session_gather.cc (pieces to bytes).
#pragma once

#include "base/assert.h"
#include "transport/lane.h"
#include "transport/staging.h"

#include <array>
#include <string>

namespace penstock::transport {

struct Session::Impl {
  static constexpr std::size_t kInputBytes = 16 * 1024;
  static constexpr std::size_t kOwnBytes = 4096;  // headers, control frames and zeros of one gather
  static constexpr std::size_t kGatherPieces = 64;
  static constexpr std::size_t kDirectBytesMin = 512;  // less of a piece comes by the small buffer
  static constexpr std::uint32_t kStallBytes = 64 * 1024;
  static constexpr std::uint64_t kAskBytes = kMiB;  // for more waiting messages than the first
  static constexpr std::uint32_t kPieceShare =
      64;  // a priority that waits gets one piece in so many

  enum class State : std::uint8_t { kPreface, kOpen, kClosing };
  enum class Phase : std::uint8_t { kHeader, kPiece, kReason, kSkip };
  enum class Step : std::uint8_t { kMore, kEvent, kStop };
  struct Piece {
    Lane* lane = nullptr;
    OutgoingMessage* message = nullptr;
    bool completes = false;
  };

  Impl(Session& session, const SessionOptions& opts, Staging& memory, Nanos at);
  ~Impl();

  // session.cc
  void fail(CloseCode why, std::string_view words);
  void stop(CloseCode why, std::string_view words, bool peers);
  void drop_half(Lane& lane);
  void end_lane(Lane& lane, Lane::Queue& dropped);
  void maybe_recycle(Lane& lane);
  static void drop(Lane::Queue& dropped);
  void release(std::uint32_t lane, std::uint64_t bytes);
  void resume();
  [[nodiscard]] Nanos idle_deadline() const;
  [[nodiscard]] Nanos ping_deadline() const;

  // session_in.cc
  [[nodiscard]] Step step(SessionEvent& event);
  [[nodiscard]] Step take_preface();
  [[nodiscard]] Step take_header(SessionEvent& event);
  [[nodiscard]] Step take_control(const FrameHeader& h, SessionEvent& event);
  [[nodiscard]] Step take_credit(const FrameHeader& h, SessionEvent& event);
  [[nodiscard]] Step take_data(const FrameHeader& h);
  [[nodiscard]] Step take_piece(SessionEvent& event);
  [[nodiscard]] Step take_reason(SessionEvent& event);
  [[nodiscard]] bool open_for(const FrameHeader& h, Lane*& lane);
  [[nodiscard]] bool begin_message(const FrameHeader& h, Lane& lane);
  [[nodiscard]] bool late(const FrameHeader& h);
  void grew(Lane& lane, std::size_t bytes);
  void consume(std::size_t bytes) { in_begin += bytes; }
  [[nodiscard]] std::size_t available() const { return in_end - in_begin; }
  [[nodiscard]] bool over_control_bytes(std::uint32_t bytes) const;

  // session_out.cc
  void make_current(Lane& lane, OutgoingMessage* message);
  void admit(Lane& lane);
  void admit_waiting();
  void admit_opening();
  void leave_lists(Lane& lane);
  void make_ready(Lane& lane);
  void make_due(Lane& lane);
  // Where it waits for its turn. One that the peer does not know yet is urgent, whatever it carries: those opened
  // after it wait for it.
  [[nodiscard]] auto& ready_list(const Lane& lane) {
    return ready[lane.announced ? static_cast<std::size_t>(lane.priority) : 0];
  }

  // session_gather.cc
  struct Out {
    std::span<std::span<const std::byte>> spans;
    std::size_t count = 0;
    std::size_t bytes_left = 0;
  };
  void put_own(Out& out, const void* data, std::size_t bytes);
  void put_frame(Out& out, const FrameHeader& h, std::string_view reason = {});
  [[nodiscard]] bool own_room(std::size_t bytes) const { return kOwnBytes - own_used >= bytes; }
  void put_control(Out& out);
  void put_lanes_control(Out& out);
  [[nodiscard]] bool put_piece(Out& out);
  void put_payload(Out& out, Lane& lane, std::uint32_t bytes);
  [[nodiscard]] Lane* pick();

  [[nodiscard]] static std::uint64_t padded(std::uint32_t bytes) {
    return (std::uint64_t{bytes} + 7) & ~std::uint64_t{7};
  }

  Session& self;
  SessionOptions options;
  Staging& staging;
  Staging::Account account;  // server
  Nanos now;
  State state = State::kPreface;

  // Closing.
  CloseCode code = CloseCode::kDone;
  std::string reason;
  bool by_peer = false;
  bool close_due = false;
  bool closed_told = false;

  // In.
  std::unique_ptr<std::byte[]> in = std::make_unique_for_overwrite<std::byte[]>(kInputBytes);
  std::size_t in_begin = 0;
  std::size_t in_end = 0;
  Phase phase = Phase::kHeader;
  FrameHeader header;            // kReason
  Lane* piece_lane = nullptr;    // kPiece
  std::size_t piece_left = 0;    // kPiece
  std::size_t skip_left = 0;     // kSkip; kPiece: the zeros behind it
  bool direct = false;           // the destination that is given out is a message's
  bool given = false;            // a destination is given out
  bool paused = false;           // lane 0 holds what it may
  bool greeted = false;          // lane 0 had its first message
  std::uint32_t highest_in = 0;  // lane that the peer may send on, or may have
  std::uint32_t control_waiting = 0;
  std::uint64_t control_bytes = 0;
  std::uint64_t staged = 0;
  std::uint64_t whole = 0;  // of it: messages that were handed out
  Nanos started;            // of the present state
  Nanos last_in, last_out, last_ping;

  // Lanes.
  LaneTable lanes;
  std::uint32_t next_lane = 1;  // client
  std::size_t resets_due = 0;
  base::IntrusiveList<Lane, &Lane::ready> ready[kPriorities];
  base::IntrusiveList<Lane, &Lane::waiting> waiting;
  base::IntrusiveList<Lane, &Lane::opening> opening;
  base::IntrusiveList<Lane, &Lane::stalling> stalling;
  base::IntrusiveList<Lane, &Lane::due> due;
  base::IntrusiveList<Lane, &Lane::writable> writable;

  // Out.
  std::unique_ptr<std::byte[]> own = std::make_unique_for_overwrite<std::byte[]>(kOwnBytes);
  std::size_t own_used = 0;
  std::array<Piece, kGatherPieces> pieces;
  std::size_t piece_count = 0;
  bool in_flight = false;
  bool close_in_flight = false;
  bool preface_due = false;
  bool pong_due = false;
  bool ping_due = false;
  bool blocked_due = false;
  std::uint64_t pong_value = 0;
  std::uint64_t ping_value = 0;
  std::uint64_t granted_told = 0;  // server: the last CREDIT of the session
  bool welcomed = false;           // client
  std::uint64_t credit = 0;        // the session's, that we may use
  std::uint64_t begun = 0;
  std::uint64_t asked = 0;
  std::uint32_t peer_payload_max = 16'384;  // until its preface says more
  SessionLimits limits;
  std::array<std::uint32_t, kPriorities> passed{};  // pieces of others since its last
};

}  // namespace penstock::transport
