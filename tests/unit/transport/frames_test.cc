// Goal: every frame that can be said comes back as it was, and every rule that a header alone can break is
// named. Method: tables of headers; each byte of a good header changed in turn.
#include "transport/frames.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace penstock::transport {
namespace {

FrameHeader data(std::uint32_t lane, std::uint32_t offset, std::uint32_t length,
                 std::uint32_t message_bytes) {
  FrameHeader h;
  h.type = FrameType::kData;
  h.lane = lane;
  h.offset = offset;
  h.length = length;
  h.message_bytes = message_bytes;
  h.last = offset + length == message_bytes;
  return h;
}

FrameHeader plain(FrameType type, std::uint32_t lane, std::uint64_t value) {
  FrameHeader h;
  h.type = type;
  h.lane = lane;
  h.value = value;
  return h;
}

FrameHeader ending(FrameType type, std::uint32_t lane, CloseCode code, std::uint32_t length) {
  FrameHeader h;
  h.type = type;
  h.lane = lane;
  h.code = code;
  h.length = length;
  return h;
}

std::string why(FrameHeader h) { return std::string(decode(encode(h)).why); }

TEST(Frames, ComeBackAsTheyWere) {
  FrameHeader urgent = data(7, 64, 100, 164);
  urgent.priority = Priority::kCatchUp;
  urgent.message_number = 0xfedcba98;
  const FrameHeader all[] = {urgent,
                             data(0, 0, 8, 4096),
                             plain(FrameType::kCredit, kSessionLane, UINT64_MAX),
                             plain(FrameType::kBlocked, 3, 1ULL << 40),
                             plain(FrameType::kPing, 0, 0x0123456789abcdef),
                             plain(FrameType::kPong, 0, 5),
                             ending(FrameType::kClose, 0, CloseCode::kStopping, 1024),
                             ending(FrameType::kReset, 9, CloseCode::kGone, 0)};
  for (const FrameHeader& h : all) {
    const DecodedFrame back = decode(encode(h));
    ASSERT_EQ(back.status, FrameStatus::kKnown) << back.why;
    EXPECT_EQ(back.header.type, h.type);
    EXPECT_EQ(back.header.last, h.last);
    EXPECT_EQ(back.header.priority, h.priority);
    EXPECT_EQ(back.header.length, h.length);
    EXPECT_EQ(back.header.lane, h.lane);
    EXPECT_EQ(back.header.offset, h.offset);
    EXPECT_EQ(back.header.message_bytes, h.message_bytes);
    EXPECT_EQ(back.header.message_number, h.message_number);
    EXPECT_EQ(back.header.value, h.value);
    EXPECT_EQ(back.header.code, h.code);
  }
}

TEST(Frames, LieAsTheProtocolDrawsThem) {
  FrameHeader h = data(0x04030201, 0x08, 0x10, 0x18);
  h.priority = Priority::kPut;
  h.message_number = 0x0d0c0b0a;
  const FrameBytes bytes = encode(h);
  const unsigned char expected[kFrameHeaderBytes] = {
      1, 0b101, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4, 8, 0, 0, 0, 0x18, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d};
  EXPECT_EQ(std::memcmp(bytes.data(), expected, sizeof expected), 0);
}

TEST(Frames, NameTheRuleThatIsBroken) {
  EXPECT_EQ(why(data(kSessionLane, 0, 8, 8)), "DATA on the session's lane");
  EXPECT_EQ(why(data(1, 0, 0, 8)), "DATA without a payload");
  EXPECT_EQ(why(data(1, 0, 12, 16)), "a piece is no multiple of 8");
  EXPECT_EQ(why(data(1, 8, 16, 16)), "a piece goes beyond its message");
  EXPECT_EQ(why(data(1, 0xfffffff8, 16, 8)), "a piece goes beyond its message");
  FrameHeader early = data(1, 0, 8, 16);
  early.last = true;
  EXPECT_EQ(why(early), "LAST is not where the message ends");
  FrameHeader late = data(1, 0, 8, 8);
  late.last = false;
  EXPECT_EQ(why(late), "LAST is not where the message ends");
  FrameHeader ping = plain(FrameType::kPing, 0, 1);
  ping.length = 8;
  EXPECT_EQ(why(ping), "a payload where there is none");
  EXPECT_EQ(why(ending(FrameType::kClose, 0, CloseCode::kDone, 1025)),
            "a reason longer than 1,024 bytes");
}

TEST(Frames, OfLaterVersionsArePassedOverAndOthersAreNot) {
  for (int type = 0; type < 256; ++type) {
    FrameBytes bytes = encode(plain(FrameType::kPing, 0, 7));
    bytes[0] = static_cast<std::byte>(type);
    bytes[4] = std::byte{13};
    const DecodedFrame frame = decode(bytes);
    if (type >= 128) {
      EXPECT_EQ(frame.status, FrameStatus::kPassOver);
      EXPECT_EQ(frame.header.payload_padded(), 16U);
    } else if (type == 0 || type > 7) {
      EXPECT_EQ(frame.why, "a frame of no known type");
    }
  }
}

TEST(Frames, WithZerosThatAreNoneAreRefused) {
  const FrameHeader all[] = {data(1, 0, 8, 8), plain(FrameType::kCredit, 1, 0),
                             plain(FrameType::kPing, 0, 0),
                             ending(FrameType::kReset, 1, CloseCode::kDone, 0)};
  for (const FrameHeader& h : all) {
    for (const std::size_t at : {2U, 3U}) {
      FrameBytes bytes = encode(h);
      bytes[at] = std::byte{1};
      EXPECT_EQ(decode(bytes).status, FrameStatus::kMalformed);
    }
    FrameBytes flags = encode(h);
    flags[1] |= std::byte{0x80};
    EXPECT_EQ(decode(flags).why, "flags that must be 0");
  }
  FrameBytes ping = encode(plain(FrameType::kPing, 0, 0));
  ping[8] = std::byte{1};
  EXPECT_EQ(decode(ping).why, "a field that must be 0");
}

// What is accepted says the same once it is written again.
TEST(Frames, OfAnyBytesAreRefusedOrMeanOneThing) {
  std::mt19937_64 random(3);
  int known = 0;
  for (int i = 0; i < 200'000; ++i) {
    FrameBytes bytes{};
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      if (random() % 4 == 0) bytes[at] = static_cast<std::byte>(random());
    }
    bytes[0] = static_cast<std::byte>(random() % 9);
    bytes[2] = bytes[3] = std::byte{0};
    const DecodedFrame frame = decode(bytes);
    if (frame.status != FrameStatus::kKnown) continue;
    ++known;
    EXPECT_EQ(encode(frame.header), bytes);
  }
  EXPECT_GT(known, 1000);
}

TEST(Preface, SaysTheLargestPayload) {
  EXPECT_EQ(decode_preface(encode_preface(65'536)), 65'536U);
  EXPECT_EQ(decode_preface(encode_preface(16'384)), 16'384U);
  EXPECT_EQ(decode_preface(encode_preface(16'376)), 0U);
  EXPECT_EQ(decode_preface(encode_preface(16'388)), 0U);
  for (std::size_t at = 0; at < 8; ++at) {
    auto bytes = encode_preface(65'536);
    bytes[at] ^= std::byte{1};
    EXPECT_EQ(decode_preface(bytes), 0U);
  }
  auto features = encode_preface(65'536);
  features[9] = std::byte{0xff};
  EXPECT_EQ(decode_preface(features), 65'536U);
}

TEST(CloseCodes, HaveTheNamesOfTheTable) {
  EXPECT_EQ(name(CloseCode::kDone), "kDone");
  EXPECT_EQ(name(CloseCode::kStalled), "kStalled");
  EXPECT_EQ(name(CloseCode::kReplaced), "kReplaced");
  EXPECT_EQ(name(static_cast<CloseCode>(13)), "unknown");
  EXPECT_EQ(name(static_cast<CloseCode>(UINT32_MAX)), "unknown");
}

}  // namespace
}  // namespace penstock::transport
