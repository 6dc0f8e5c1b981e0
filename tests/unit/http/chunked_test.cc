// Goal: a chunked body decodes to the same bytes however it is cut and wherever it is put. Method:
// random bodies in random chunks, fed in random pieces, in place and with little room.
#include "http/chunked.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace penstock::http {
namespace {

struct Encoded {
  std::string plain, text;
};

Encoded random_body(std::mt19937& random) {
  Encoded body;
  const int chunks = static_cast<int>(random() % 6);
  for (int i = 0; i < chunks; ++i) {
    std::string chunk(1 + random() % 300, ' ');
    for (char& c : chunk) c = static_cast<char>(random());
    char size[32];
    std::snprintf(size, sizeof size, random() % 2 == 0 ? "%zx" : "%04zX", chunk.size());
    body.text +=
        size + std::string(random() % 3 == 0 ? ";ext=\"v\"" : "") + "\r\n" + chunk + "\r\n";
    body.plain += chunk;
  }
  body.text += random() % 2 == 0 ? "0\r\n\r\n" : "000\r\nTrailer: value\r\nB: c\r\n\r\n";
  return body;
}

TEST(ChunkDecoder, GivesTheBodyHoweverItIsCut) {
  std::mt19937 random(8);
  for (int round = 0; round < 300; ++round) {
    const Encoded body = random_body(random);
    const std::string text = body.text + "NEXT";
    ChunkDecoder decoder;
    std::string plain;
    std::size_t at = 0;
    auto status = ChunkDecoder::Status::kNeedMore;
    while (status != ChunkDecoder::Status::kDone) {
      ASSERT_LT(at, text.size());
      char out[100];
      const std::size_t piece = std::min<std::size_t>(1 + random() % 50, text.size() - at);
      const auto step = decoder.decode(std::string_view(text).substr(at, piece), out,
                                       random() % 2 == 0 ? sizeof out : random() % 5);
      ASSERT_NE(step.status, ChunkDecoder::Status::kBad);
      plain.append(out, step.written);
      at += step.taken;
      status = step.status;
    }
    EXPECT_EQ(plain, body.plain);
    EXPECT_EQ(text.substr(at), "NEXT");
  }
}

TEST(ChunkDecoder, DecodesInPlace) {
  std::mt19937 random(9);
  for (int round = 0; round < 100; ++round) {
    const Encoded body = random_body(random);
    std::string buffer = body.text;
    ChunkDecoder decoder;
    const auto step = decoder.decode(buffer, buffer.data(), buffer.size());
    EXPECT_EQ(step.status, ChunkDecoder::Status::kDone);
    EXPECT_EQ(buffer.substr(0, step.written), body.plain);
    EXPECT_EQ(step.taken, body.text.size());
  }
}

TEST(ChunkDecoder, RefusesWhatIsNotToTheLetter) {
  for (const std::string_view bad :
       {"\r\n", " 3\r\n", "3 \r\n", "+3\r\n", "0x3\r\n", "g\r\n", "3\n", "3\r\r", "3\r\nabcd",
        "3\r\nabc\n", "0\r\n\n", "0\r\nA: b\n", "0\r\n\r\r", "3;\x01\r\n"}) {
    ChunkDecoder decoder;
    char out[100];
    EXPECT_EQ(decoder.decode(bad, out, sizeof out).status, ChunkDecoder::Status::kBad) << bad;
  }
}

TEST(ChunkDecoder, BoundsWhatItIgnores) {
  char out[16];
  ChunkDecoder extension;
  EXPECT_EQ(extension.decode("1;" + std::string(300, 'x'), out, sizeof out).status,
            ChunkDecoder::Status::kBad);
  ChunkDecoder trailer;
  EXPECT_EQ(trailer.decode("0\r\n" + std::string(5000, 'x'), out, sizeof out).status,
            ChunkDecoder::Status::kBad);
  ChunkDecoder size;
  EXPECT_EQ(size.decode(std::string(16, '0'), out, sizeof out).status, ChunkDecoder::Status::kBad);
}

}  // namespace
}  // namespace penstock::http
