// Goal: what a batch may be is checked record by record, and the first that is wrong is named. Method: batches that are
// good but for one thing, each given to the check alone.
#include "net/batch_check.h"

#include "tests/unit/net/batch_maker.h"

#include <gtest/gtest.h>

namespace penstock::test {
namespace {

constexpr std::uint32_t kRecordMax = 1000;

net::BatchVerdict check(const std::vector<std::byte>& flat, base::HashKey begin = {},
                        base::HashKey end = base::kHashKeyMax,
                        std::uint32_t record_bytes_max = kRecordMax) {
  std::vector<std::byte> readable(flat);
  readable.resize(flat.size() + 64);
  net::BatchVerdict verdict =
      net::check_batch(std::span(readable).first(flat.size()),
                       {.begin = begin, .end = end, .record_bytes_max = record_bytes_max});
  verdict.shape.entries = verdict.shape.payload = nullptr;  // they lie in the copy
  return verdict;
}
// "good", or the error and the record that it names.
std::string told(const std::vector<std::byte>& flat) {
  const net::BatchVerdict verdict = check(flat);
  if (verdict.good()) return "good";
  EXPECT_FALSE(verdict.why.empty());
  const std::string of = verdict.record == UINT32_MAX ? "" : " " + std::to_string(verdict.record);
  return std::string(name(*verdict.refusal)) + of;
}
std::string told(const std::vector<MadeRecord>& records) { return told(make_batch(records)); }

std::vector<MadeRecord> plain(std::size_t count) {
  std::vector<MadeRecord> records(count);
  for (std::size_t i = 0; i < count; ++i) records[i].key = "key " + std::to_string(i);
  return records;
}

TEST(BatchCheck, GivesTheShapeOfAGoodOne) {
  const auto flat = make_batch({{.key = "a", .data = "12345"}, {.key = "bc", .data = ""}});
  const net::BatchVerdict verdict = check(flat);
  ASSERT_TRUE(verdict.good());
  EXPECT_EQ(verdict.shape.count, 2U);
  EXPECT_EQ(verdict.shape.payload_bytes, 8U);
}

TEST(BatchCheck, OneToTenThousandRecords) {
  EXPECT_EQ(told(plain(0)), "kMalformed");
  EXPECT_EQ(told(plain(1)), "good");
  EXPECT_EQ(told(plain(10'000)), "good");
  const std::string more = told(plain(10'001));
  EXPECT_TRUE(more == "kTooLarge" || more == "kMalformed") << more;
}

TEST(BatchCheck, AWrongHashIsFoundWhereverItLies) {
  for (const std::size_t count : {1U, 7U, 8U, 9U, 16U, 17U, 40U}) {
    for (std::size_t wrong = 0; wrong < count; ++wrong) {
      std::vector<MadeRecord> records = plain(count);
      base::HashKey hash = md5_of(records[wrong].key);
      hash.low ^= 1;
      records[wrong].hash = hash;
      EXPECT_EQ(told(records), "kMalformed " + std::to_string(wrong)) << count;
      records[wrong].flags = net::kExplicitHash;
      EXPECT_EQ(told(records), "good");
    }
  }
}

TEST(BatchCheck, ExplicitHashesDoNotHideOthers) {
  std::vector<MadeRecord> records = plain(24);
  for (std::size_t i = 0; i < records.size(); i += 2) {
    records[i].flags = net::kExplicitHash;
    records[i].hash = base::HashKey{.high = i, .low = i};
  }
  EXPECT_EQ(told(records), "good");
  records[17].hash = base::HashKey{};
  EXPECT_EQ(told(records), "kMalformed 17");
}

TEST(BatchCheck, NamesTheFirstRecordThatIsWrong) {
  const auto spoilt = [](std::size_t hash, std::size_t other, auto spoil) {
    std::vector<MadeRecord> records = plain(20);
    records[hash].hash = base::HashKey{};
    spoil(records[other]);
    return told(records);
  };
  const auto flag = [](MadeRecord& record) { record.flags = 2; };
  const auto key = [](MadeRecord& record) { record.key = ""; };
  const auto data = [](MadeRecord& record) { record.data.resize(kRecordMax + 1); };
  EXPECT_EQ(spoilt(2, 5, flag), "kMalformed 2");
  EXPECT_EQ(spoilt(2, 5, key), "kMalformed 2");
  EXPECT_EQ(spoilt(2, 5, data), "kMalformed 2");
  EXPECT_EQ(spoilt(5, 2, data), "kTooLarge 2");
  EXPECT_EQ(spoilt(6, 8, data), "kMalformed 6");
  EXPECT_EQ(spoilt(9, 15, data), "kMalformed 9");
}

TEST(BatchCheck, FlagsBesidesExplicitAreNotKnown) {
  for (int bit = 1; bit < 16; ++bit) {
    std::vector<MadeRecord> records = plain(3);
    records[1].flags = static_cast<std::uint16_t>(1U << static_cast<unsigned>(bit));
    EXPECT_EQ(told(records), "kMalformed 1") << bit;
    records[1].flags |= net::kExplicitHash;
    EXPECT_EQ(told(records), "kMalformed 1") << bit;
  }
}

// --- Keys ----------------------------------------------------------------------------------------

std::string repeated(std::string_view character, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += character;
  return text;
}

TEST(BatchCheck, AKeyHas1To256Characters) {
  for (const std::string_view character : {"a", "ä", "€", "𝄞"}) {
    EXPECT_EQ(told({{.key = repeated(character, 1)}}), "good");
    EXPECT_EQ(told({{.key = repeated(character, 255)}}), "good");
    EXPECT_EQ(told({{.key = repeated(character, 256)}}), "good");
    EXPECT_EQ(told({{.key = repeated(character, 257)}}), "kMalformed 0");
  }
  EXPECT_EQ(told({{.key = ""}}), "kMalformed 0");
  EXPECT_EQ(told({{.key = repeated("a", 255) + "𝄞"}}), "good");
  EXPECT_EQ(told({{.key = repeated("a", 256) + "𝄞"}}), "kMalformed 0");
  EXPECT_EQ(told({{.key = repeated("a", 65'535)}}), "kMalformed 0");
  EXPECT_EQ(told({{.key = std::string(1, '\0')}}), "good");  // a character as others
}

TEST(BatchCheck, AKeyIsUtf8) {
  for (const std::string_view bad :
       {"\x80", "\xC3", "a\xC3", "\xC0\x80", "\xE2\x82", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80", "\xFF", "ok\xFE"}) {
    EXPECT_EQ(told({{.key = "good"}, {.key = std::string(bad)}}), "kMalformed 1");
  }
  // The bytes behind a key are its data, and do not complete it.
  EXPECT_EQ(told({{.key = "\xC3", .data = "\xA4"}}), "kMalformed 0");
}

// --- Sizes and places ------------------------------------------------------------------------------

TEST(BatchCheck, DataIsAtMostTheStreamsLimit) {
  std::vector<MadeRecord> records = plain(12);
  records[10].data.assign(kRecordMax, 'x');
  EXPECT_EQ(told(records), "good");
  records[10].data.assign(kRecordMax + 1, 'x');
  EXPECT_EQ(told(records), "kTooLarge 10");
}

TEST(BatchCheck, HashesLieInTheRangeItsEdgesIncluded) {
  const base::HashKey begin{.high = 10, .low = 5};
  const base::HashKey end{.high = 20, .low = 7};
  const auto at = [&](base::HashKey hash) {
    const net::BatchVerdict verdict =
        check(make_batch({{.key = "a", .flags = net::kExplicitHash, .hash = hash}}), begin, end);
    return verdict.good() ? "good" : std::string(name(*verdict.refusal));
  };
  EXPECT_EQ(at(begin), "good");
  EXPECT_EQ(at(end), "good");
  EXPECT_EQ(at(base::previous(begin)), "kWrongShard");
  EXPECT_EQ(at({.high = 20, .low = 8}), "kWrongShard");
  EXPECT_EQ(at({}), "kWrongShard");
  EXPECT_EQ(at(base::kHashKeyMax), "kWrongShard");
}

TEST(BatchCheck, RangesTileTheBytes) {
  const auto spoilt = [](auto spoil) {
    Layout layout = lay_out({{.key = "aa", .data = "12"}, {.key = "bb", .data = "34"}});
    spoil(layout);
    return told(flat_batch(layout.entries, layout.payload));
  };
  EXPECT_EQ(spoilt([](Layout&) {}), "good");
  EXPECT_EQ(spoilt([](Layout& l) { l.payload += "x"; }), "kMalformed");
  EXPECT_EQ(spoilt([](Layout& l) { l.payload.pop_back(); }), "kMalformed");
  EXPECT_EQ(spoilt([](Layout& l) { l.entries[1].key_offset = 3; }), "kMalformed");
  EXPECT_EQ(spoilt([](Layout& l) { l.entries[1].data_offset = 7; }), "kMalformed");
  EXPECT_EQ(spoilt([](Layout& l) { l.entries[0].key_offset = 1; }), "kMalformed");
  EXPECT_EQ(spoilt([](Layout& l) { std::swap(l.entries[0], l.entries[1]); }), "kMalformed");
  EXPECT_EQ(spoilt([](Layout& l) { l.entries[1].data_length = UINT32_MAX; }), "kMalformed");
  EXPECT_EQ(spoilt([](Layout& l) { l.entries[1].key_length = UINT16_MAX; }), "kMalformed");
}

TEST(BatchCheck, NoBytesMakeItLookElsewhere) {
  const std::vector<std::byte> good = make_batch(plain(3));
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const unsigned value : {0x00U, 0x01U, 0x7FU, 0x80U, 0xFFU}) {
      std::vector<std::byte> flat = good;
      flat[at] = static_cast<std::byte>(value);
      static_cast<void>(told(flat));
    }
    EXPECT_NE(told(std::vector(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(at))),
              "good");
  }
}

TEST(BatchCheck, ABatchIsAtMost16MiBLess128) {
  const auto of = [](std::size_t flat_bytes) {
    // One record, whose data fills it up.
    const std::size_t empty = make_batch({{.key = "a", .data = std::string(8, 'x')}}).size() - 8;
    const auto flat = make_batch({{.key = "a", .data = std::string(flat_bytes - empty, 'x')}});
    EXPECT_EQ(flat.size(), flat_bytes);
    const net::BatchVerdict verdict = check(flat, {}, base::kHashKeyMax, 16 * kMiB);
    return verdict.good() ? "good" : std::string(name(*verdict.refusal));
  };
  EXPECT_EQ(of(16 * kMiB - 128), "good");
  EXPECT_EQ(of(16 * kMiB - 120), "kTooLarge");
}

// It would be stored, delivered, and counted by nobody.
TEST(BatchCheck, NothingIsHiddenBehindIt) {
  std::vector<std::byte> flat = make_batch(plain(3));
  flat.resize(flat.size() + 64 * kKiB);
  EXPECT_EQ(told(flat), "kMalformed");
}

}  // namespace
}  // namespace penstock::test
