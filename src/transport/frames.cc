#include "transport/frames.h"

#include <bit>
#include <cstring>

namespace penstock::transport {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint8_t kFlagLast = 1;
constexpr unsigned kPriorityShift = 1;
constexpr std::uint8_t kDataFlags = 0b111;
constexpr std::uint8_t kPassOverFrom = 128;
constexpr std::uint32_t kPayloadMaxLeast = 16'384;
constexpr char kPrefaceText[] = "PWP/1\r\n";  // and its terminating zero: 8 bytes
static_assert(sizeof kPrefaceText == 8);

// A header as it lies on the wire.
struct Wire {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint16_t zero = 0;
  std::uint32_t length = 0;
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  std::uint64_t value = 0;
};
static_assert(sizeof(Wire) == kFrameHeaderBytes);

struct WirePreface {
  char text[8];
  std::uint32_t features = 0;
  std::uint32_t payload_max = 0;
};
static_assert(sizeof(WirePreface) == kPrefaceBytes);

// The rule that it breaks, or nothing.
std::string_view data_fault(const FrameHeader& h) {
  if (h.lane == kSessionLane) return "DATA on the session's lane";
  if (h.length == 0) return "DATA without a payload";
  if (!h.last && h.length % 8 != 0) return "a piece is no multiple of 8";
  const std::uint64_t end = std::uint64_t{h.offset} + h.length;
  if (end > h.message_bytes) return "a piece goes beyond its message";
  if (h.last != (end == h.message_bytes)) return "LAST is not where the message ends";
  return {};
}

// What a frame without flags and with its second word 0 has to be besides.
std::string_view plain_fault(const FrameHeader& h, const Wire& wire) {
  const bool has_reason = h.type == FrameType::kClose || h.type == FrameType::kReset;
  if (wire.flags != 0) return "flags that must be 0";
  if (h.type != FrameType::kReset && wire.second != 0) return "a field that must be 0";
  if (!has_reason && h.length != 0) return "a payload where there is none";
  if (has_reason && h.length > kReasonBytesMax) return "a reason longer than 1,024 bytes";
  if (has_reason && wire.value != 0) return "a field that must be 0";
  const bool has_lane = h.type != FrameType::kPing && h.type != FrameType::kPong;
  if (!has_lane && wire.first != 0) return "a field that must be 0";
  return {};
}

}  // namespace

std::string_view name(CloseCode code) {
  constexpr std::string_view kNames[] = {
      "kDone",   "kProtocol", "kCredit",   "kTooLarge",   "kStalled", "kIdle",    "kSlow",
      "kDenied", "kVersion",  "kStopping", "kOverloaded", "kGone",    "kReplaced"};
  const auto index = static_cast<std::size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

FrameBytes encode(const FrameHeader& h) {
  Wire wire;
  wire.type = static_cast<std::uint8_t>(h.type);
  wire.length = h.length;
  wire.first = h.lane;
  switch (h.type) {
    case FrameType::kData:
      wire.flags = static_cast<std::uint8_t>((h.last ? kFlagLast : 0U) |
                                             (static_cast<unsigned>(h.priority) << kPriorityShift));
      wire.second = h.offset;
      wire.value = h.message_bytes | (std::uint64_t{h.message_number} << 32);
      break;
    case FrameType::kClose:
      wire.first = static_cast<std::uint32_t>(h.code);
      break;
    case FrameType::kReset:
      wire.second = static_cast<std::uint32_t>(h.code);
      break;
    default:
      wire.value = h.value;
  }
  return std::bit_cast<FrameBytes>(wire);
}

DecodedFrame decode(std::span<const std::byte, kFrameHeaderBytes> bytes) {
  Wire wire;
  std::memcpy(&wire, bytes.data(), sizeof wire);
  DecodedFrame decoded;
  FrameHeader& h = decoded.header;
  h.length = wire.length;
  if (wire.type >= kPassOverFrom) {
    decoded.status = FrameStatus::kPassOver;
    return decoded;
  }
  if (wire.type < static_cast<std::uint8_t>(FrameType::kData) ||
      wire.type > static_cast<std::uint8_t>(FrameType::kReset)) {
    decoded.why = "a frame of no known type";
    return decoded;
  }
  h.type = static_cast<FrameType>(wire.type);
  if (h.type == FrameType::kData) {
    h.last = (wire.flags & kFlagLast) != 0;
    h.priority = static_cast<Priority>((wire.flags & kDataFlags) >> kPriorityShift);
    h.lane = wire.first;
    h.offset = wire.second;
    h.message_bytes = static_cast<std::uint32_t>(wire.value);
    h.message_number = static_cast<std::uint32_t>(wire.value >> 32);
    decoded.why = (wire.flags & ~kDataFlags) != 0 ? "flags that must be 0" : data_fault(h);
  } else {
    const bool close = h.type == FrameType::kClose;
    h.lane = close ? 0 : wire.first;
    h.code = static_cast<CloseCode>(close ? wire.first : wire.second);
    if (!close && h.type != FrameType::kReset) h.code = CloseCode::kDone;
    h.value = wire.value;
    decoded.why = plain_fault(h, wire);
  }
  if (decoded.why.empty() && wire.zero != 0) decoded.why = "a field that must be 0";
  decoded.status = decoded.why.empty() ? FrameStatus::kKnown : FrameStatus::kMalformed;
  return decoded;
}

std::array<std::byte, kPrefaceBytes> encode_preface(std::uint32_t payload_max) {
  WirePreface wire{};
  std::memcpy(wire.text, kPrefaceText, sizeof wire.text);
  wire.payload_max = payload_max;
  return std::bit_cast<std::array<std::byte, kPrefaceBytes>>(wire);
}

std::uint32_t decode_preface(std::span<const std::byte, kPrefaceBytes> bytes) {
  WirePreface wire{};
  std::memcpy(&wire, bytes.data(), sizeof wire);
  if (std::memcmp(wire.text, kPrefaceText, sizeof wire.text) != 0) return 0;
  if (wire.payload_max < kPayloadMaxLeast || wire.payload_max % 8 != 0) return 0;
  return wire.payload_max;
}

}  // namespace penstock::transport
