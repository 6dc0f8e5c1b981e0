// Frames of the native protocol: their 24-byte headers, encoded and checked.
//
// Units      bytes
// Allocates  never
// Errors     `decode` is total against any bytes; what it refuses is named
// Source     src/proto/PROTOCOL.md §1, §2
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::transport {

inline constexpr std::size_t kPrefaceBytes = 16;
inline constexpr std::size_t kFrameHeaderBytes = 24;
inline constexpr std::size_t kPieceBytesMax = 64 * 1024;  // of a DATA payload that we send
inline constexpr std::size_t kReasonBytesMax = 1024;
inline constexpr std::uint32_t kSessionLane =
    UINT32_MAX;  // in CREDIT and BLOCKED: the session's account

enum class FrameType : std::uint8_t {
  kData = 1,
  kCredit = 2,
  kBlocked = 3,
  kPing = 4,
  kPong = 5,
  kClose = 6,
  kReset = 7,
};

enum class CloseCode : std::uint32_t {
  kDone = 0,
  kProtocol = 1,
  kCredit = 2,
  kTooLarge = 3,
  kStalled = 4,
  kIdle = 5,
  kSlow = 6,
  kDenied = 7,
  kVersion = 8,
  kStopping = 9,
  kOverloaded = 10,
  kGone = 11,
  kReplaced = 12,
};
// As the protocol's table has it: "kProtocol".
[[nodiscard]] std::string_view name(CloseCode code);

enum class Priority : std::uint8_t { kControl = 0, kTail = 1, kPut = 2, kCatchUp = 3 };
inline constexpr std::size_t kPriorities = 4;

struct FrameHeader {
  FrameType type = FrameType::kPing;
  bool last = false;                       // kData
  Priority priority = Priority::kControl;  // kData
  std::uint32_t length = 0;                // of the payload
  std::uint32_t lane = 0;                  // kData, kCredit, kBlocked, kReset
  std::uint32_t offset = 0;                // kData
  std::uint32_t message_bytes = 0;         // kData
  std::uint32_t message_number = 0;        // kData
  std::uint64_t value = 0;                 // kCredit, kBlocked: absolute bytes; kPing, kPong: any
  CloseCode code = CloseCode::kDone;       // kClose, kReset

  // With the zeros behind it.
  [[nodiscard]] std::size_t payload_padded() const {
    return (std::size_t{length} + 7) & ~std::size_t{7};
  }
};

using FrameBytes = std::array<std::byte, kFrameHeaderBytes>;
[[nodiscard]] FrameBytes encode(const FrameHeader& header);

enum class FrameStatus : std::uint8_t {
  kKnown,
  kPassOver,   // a type that a later version has: skip `payload_padded` bytes
  kMalformed,  // `why` names the rule
};
struct DecodedFrame {
  FrameStatus status = FrameStatus::kMalformed;
  FrameHeader header;
  std::string_view why;  // a literal
};
[[nodiscard]] DecodedFrame decode(std::span<const std::byte, kFrameHeaderBytes> bytes);

// The preface: what each side sends first.
[[nodiscard]] std::array<std::byte, kPrefaceBytes> encode_preface(std::uint32_t payload_max);
// The largest frame payload that the peer takes; 0 where this is no preface.
[[nodiscard]] std::uint32_t decode_preface(std::span<const std::byte, kPrefaceBytes> bytes);

}  // namespace penstock::transport
