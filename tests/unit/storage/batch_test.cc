// Goal: a batch reads back as it was written, is a FlatBuffer to everybody else, and no bytes whatever
// make the reader go wrong. Method: random batches through writer, generated accessors and reader;
// then damage, blind (any bit: found by a checksum) and aimed (checksums made right again).
#include "storage/batch.h"

#include "base/crc32c.h"
#include "storage/format.h"

#include <gtest/gtest.h>
#include <penstock_generated.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace penstock::storage {
namespace {

struct Text {
  std::string key;
  std::string data;
};

std::vector<Text> random_texts(std::mt19937_64& random, std::size_t count, std::size_t bytes_max) {
  std::vector<Text> texts(count);
  for (Text& text : texts) {
    text.key.resize(random() % 40);
    text.data.resize(random() % (bytes_max + 1));
    for (char& c : text.key) c = static_cast<char>(random());
    for (char& c : text.data) c = static_cast<char>(random());
  }
  return texts;
}

// Memory aligned to 8, as the journal's is.
struct Space {
  explicit Space(std::size_t bytes) : words((bytes + 7) / 8) {}
  std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(words)); }
  std::vector<std::uint64_t> words;
};

struct Written {
  Space space;
  std::size_t used;
  [[nodiscard]] std::span<std::byte> bytes() { return space.bytes().first(used); }
};

Written write(const std::vector<Text>& texts, const BatchFields& fields) {
  std::size_t payload = 0;
  for (const Text& text : texts) payload += text.key.size() + text.data.size();
  Written out{Space(batch_bytes(texts.size(), payload)), 0};
  for (std::byte& b : out.space.bytes()) b = std::byte{0xEE};
  BatchWriter writer(out.space.bytes(), fields, static_cast<std::uint32_t>(texts.size()), payload);
  std::uint64_t n = 0;
  for (const Text& text : texts) {
    RecordRef record;
    record.key = reinterpret_cast<const std::byte*>(text.key.data());
    record.key_bytes = static_cast<std::uint16_t>(text.key.size());
    record.data = reinterpret_cast<const std::byte*>(text.data.data());
    record.data_bytes = static_cast<std::uint32_t>(text.data.size());
    record.hash = {n * 3, ~n};
    writer.add(record);
    ++n;
  }
  out.used = writer.finish();
  return out;
}

// Checksums of damaged bytes made right again, as an attacker would.
void make_right(std::span<std::byte> bytes) {
  auto header = format::load<format::BatchHeader>(bytes);
  if (header.length <= bytes.size() - sizeof(header)) {
    header.payload_crc = base::crc32c(bytes.subspan(sizeof(header), header.length));
  }
  format::seal(header);
  format::store(bytes, 0, header);
}

TEST(Checksum, MeetsTheStandardCheckValue) {
  const std::string digits = "123456789";
  EXPECT_EQ(base::crc32c(std::as_bytes(std::span(digits))), 0xE3069283U);
}

TEST(Checksum, IsTheSameShortLongAndContinued) {
  std::mt19937_64 random(1);
  std::vector<std::byte> bytes(5000);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  const std::span<const std::byte> all(bytes);
  for (const std::size_t size : {0U, 1U, 7U, 8U, 255U, 256U, 257U, 1000U, 5000U}) {
    std::uint32_t one_by_one = 0;
    for (std::size_t i = 0; i < size; ++i) one_by_one = base::crc32c(all.subspan(i, 1), one_by_one);
    EXPECT_EQ(base::crc32c(all.first(size)), one_by_one) << size;
    const std::size_t cut = size / 3;
    EXPECT_EQ(base::crc32c(all.subspan(cut, size - cut), base::crc32c(all.first(cut))), one_by_one);
  }
}

TEST(Batch, ReadsBackAsWritten) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    const auto texts = random_texts(random, 1 + random() % 50, round % 2 == 0 ? 30 : 700);
    const BatchFields fields{RecordIndex(random() >> 1), WallMillis(1234567), random(), 7, 8};
    Written written = write(texts, fields);
    std::size_t consumed = 0;
    const auto view = BatchView::open(written.bytes(), &consumed);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(consumed, written.used);
    EXPECT_EQ(consumed % 8, 0U);
    EXPECT_EQ(view->first(), fields.first);
    EXPECT_EQ(view->arrival(), fields.arrival);
    EXPECT_EQ(view->fields().producer_id, fields.producer_id);
    EXPECT_EQ(view->fields().producer_epoch, 7U);
    EXPECT_EQ(view->fields().base_sequence, 8U);
    ASSERT_EQ(view->count(), texts.size());
    for (std::uint32_t i = 0; i < view->count(); ++i) {
      const RecordRef r = view->record(i);
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(r.key), r.key_bytes), texts[i].key);
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(r.data), r.data_bytes),
                texts[i].data);
      EXPECT_EQ(r.hash, (base::HashKey{std::uint64_t{i} * 3, ~std::uint64_t{i}}));
    }
  }
}

TEST(Batch, IsAFlatBufferToTheGeneratedCode) {
  std::mt19937_64 random(3);
  for (std::size_t count :
       {std::size_t{1}, std::size_t{2}, std::size_t{500}, std::size_t{10'000}}) {
    const auto texts = random_texts(random, count, 20);
    Written written = write(texts, {});
    const auto flat = written.bytes().subspan(kBatchHeaderBytes);
    const auto* data = reinterpret_cast<const std::uint8_t*>(flat.data());
    flatbuffers::Verifier verifier(data, flat.size());
    ASSERT_TRUE(proto::VerifyBatchBuffer(verifier));
    const proto::Batch* batch = proto::GetBatch(data);
    ASSERT_EQ(batch->records()->size(), count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch->records()->Data()) % 8, 0U);
    std::string all;
    for (const Text& text : texts) all += text.key + text.data;
    ASSERT_EQ(batch->bytes()->size(), all.size());
    EXPECT_EQ(std::memcmp(batch->bytes()->Data(), all.data(), all.size()), 0);
    const proto::RecordEntry* last = batch->records()->Get(static_cast<unsigned>(count - 1));
    EXPECT_EQ(last->data_offset() + last->data_length(), all.size());
  }
}

TEST(Batch, AnyFlippedBitIsFound) {
  std::mt19937_64 random(4);
  Written written = write(random_texts(random, 5, 40), {});
  const auto bytes = written.bytes();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    EXPECT_FALSE(BatchView::open(bytes, nullptr).has_value()) << "bit " << bit;
    bytes[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
  }
  EXPECT_TRUE(BatchView::open(bytes, nullptr).has_value());
}

TEST(Batch, CutShortIsRefused) {
  std::mt19937_64 random(5);
  Written written = write(random_texts(random, 5, 40), {});
  for (std::size_t size = 0; size < written.used; ++size) {
    EXPECT_FALSE(BatchView::open(written.bytes().first(size), nullptr).has_value()) << size;
  }
}

TEST(Batch, RangesThatShareSkipOrOverlapAreRefused) {
  std::mt19937_64 random(6);
  const auto texts = std::vector<Text>{{"key0", "data0"}, {"key1", "data1"}, {"key2", "data2"}};
  constexpr std::size_t kEntries = kBatchHeaderBytes + 32;
  const auto with = [&texts](std::size_t entry, std::size_t field, std::uint32_t value) {
    Written written = write(texts, {});
    std::memcpy(written.bytes().data() + kEntries + entry * kRecordEntryBytes + field, &value, 4);
    make_right(written.bytes());
    const auto view = BatchView::open(written.bytes(), nullptr);
    return view.has_value() ? ErrorCode::kExists : view.error().code;
  };
  EXPECT_EQ(with(1, 0, 9), ErrorCode::kExists) << "the value that was there";
  EXPECT_EQ(with(1, 0, 0), ErrorCode::kMalformed) << "shares the first key";
  EXPECT_EQ(with(1, 0, 8), ErrorCode::kMalformed) << "overlaps by one";
  EXPECT_EQ(with(1, 0, 10), ErrorCode::kMalformed) << "skips one";
  EXPECT_EQ(with(2, 8, 6), ErrorCode::kMalformed) << "beyond the end";
  EXPECT_EQ(with(2, 8, 4), ErrorCode::kMalformed) << "one byte belongs to nobody";
  EXPECT_EQ(with(0, 8, 0xFFFFFFFF), ErrorCode::kMalformed) << "length that would wrap";
}

TEST(Batch, CountAndReservedFieldsAreChecked) {
  std::mt19937_64 random(7);
  const auto texts = random_texts(random, 3, 10);
  const auto code = [&texts](auto change) {
    Written written = write(texts, {});
    auto header = format::load<format::BatchHeader>(written.bytes());
    change(header);
    format::seal(header);
    format::store(written.bytes(), 0, header);
    const auto view = BatchView::open(written.bytes(), nullptr);
    return view.has_value() ? ErrorCode::kExists : view.error().code;
  };
  using Header = format::BatchHeader;
  EXPECT_EQ(code([](Header&) {}), ErrorCode::kExists);
  EXPECT_EQ(code([](Header& h) { h.count = 2; }), ErrorCode::kMalformed);
  EXPECT_EQ(code([](Header& h) { h.count = 0; }), ErrorCode::kMalformed);
  EXPECT_EQ(code([](Header& h) { h.count = 10'001; }), ErrorCode::kMalformed);
  EXPECT_EQ(code([](Header& h) { h.codec = 1; }), ErrorCode::kMalformed);
  EXPECT_EQ(code([](Header& h) { h.flags = 1; }), ErrorCode::kMalformed);
  EXPECT_EQ(code([](Header& h) { h.first = UINT64_MAX; }), ErrorCode::kMalformed);
  EXPECT_EQ(code([](Header& h) { h.length += 8; }), ErrorCode::kMalformed);
  EXPECT_EQ(code([](Header& h) { h.length = 0xFFFFFFF8; }), ErrorCode::kMalformed);
}

// --- As their producers sent them -----------------------------------------------------------------

// What a client's FlatBuffers library makes of records, padded to 8; its layout is not our writer's.
std::vector<std::byte> built(const std::vector<proto::RecordEntry>& entries,
                             const std::string& payload, bool with_bytes = true) {
  flatbuffers::FlatBufferBuilder builder;
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> bytes;
  if (with_bytes) {
    bytes =
        builder.CreateVector(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
  }
  const auto records = builder.CreateVectorOfStructs(entries.data(), entries.size());
  builder.Finish(proto::CreateBatch(builder, records, bytes));
  std::vector<std::byte> out(round_up(std::size_t{builder.GetSize()}, std::size_t{8}));
  std::memcpy(out.data(), builder.GetBufferPointer(), builder.GetSize());
  return out;
}

ErrorCode verdict(std::span<const std::byte> flat) {
  const auto shape = verify_batch(flat);
  return shape ? ErrorCode::kExists : shape.error().code;
}

TEST(VerbatimBatch, IsStoredAsItCameAndReadsBack) {
  const std::string payload = "k1data-onek2two";
  const std::vector<proto::RecordEntry> entries = {{0, 2, 8, 2, 0, 11, 12},
                                                   {10, 12, 3, 2, 0, 21, 22}};
  const auto flat = built(entries, payload);
  const auto shape = verify_batch(flat);
  ASSERT_TRUE(shape.has_value());
  EXPECT_EQ(shape->count, 2U);
  EXPECT_EQ(shape->payload_bytes, payload.size());
  EXPECT_EQ(shape->data_bytes_max, 8U);
  EXPECT_EQ(std::memcmp(shape->payload, payload.data(), payload.size()), 0);
  EXPECT_EQ(std::memcmp(shape->entries, entries.data(), 2 * kRecordEntryBytes), 0);

  Space space(kBatchHeaderBytes + flat.size());
  const BatchFields fields{RecordIndex(70), WallMillis(8), 0xABCDEF0123456789, 3, 41};
  EXPECT_EQ(write_verbatim_batch(space.bytes(), fields, flat, 2), space.bytes().size());
  const auto view = BatchView::open(space.bytes(), nullptr);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->fields().producer_id, 0xABCDEF0123456789);
  EXPECT_EQ(view->fields().producer_epoch, 3U);
  EXPECT_EQ(view->fields().base_sequence, 41U);
  EXPECT_EQ(view->first(), RecordIndex(70));
  EXPECT_EQ(view->arrival(), WallMillis(8));
  const auto stored = view->stored().subspan(kBatchHeaderBytes);
  EXPECT_TRUE(std::ranges::equal(stored, flat));
  const RecordRef second = view->record(1);
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(second.data), second.data_bytes), "two");
  EXPECT_EQ(second.hash, (base::HashKey{21, 22}));
}

// Around the step in which it copies, and far beyond.
TEST(VerbatimBatch, OfAnyLengthHasTheChecksumOfAllOfIt) {
  std::mt19937_64 random(9);
  for (const std::size_t bytes : {0U, 1U, 8'100U, 8'192U, 8'300U, 16'384U, 700'001U}) {
    std::string data(bytes, '\0');
    for (char& c : data) c = static_cast<char>(random());
    const auto flat = built({{0, 1, static_cast<std::uint32_t>(bytes), 1, 0, 0, 0}}, "k" + data);
    ASSERT_EQ(verdict(flat), ErrorCode::kExists) << bytes;
    Space space(kBatchHeaderBytes + flat.size());
    static_cast<void>(write_verbatim_batch(space.bytes(), {}, flat, 1));
    const auto view = BatchView::open(space.bytes(), nullptr);
    ASSERT_TRUE(view.has_value()) << bytes;
    const RecordRef record = view->record(0);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(record.data), record.data_bytes),
              data);
  }
}

TEST(VerbatimBatch, IsTakenAtMultiplesOfEightAlone) {
  const auto flat = built({{0, 2, 3, 2, 0, 0, 0}, {5, 5, 2, 0, 0, 0, 0}}, "k1abcde");
  for (std::size_t shift = 0; shift <= 16; ++shift) {
    std::vector<std::byte> moved(shift + flat.size());
    std::ranges::copy(flat, moved.begin() + static_cast<std::ptrdiff_t>(shift));
    const auto shape = verify_batch(std::span(moved).subspan(shift));
    ASSERT_EQ(shape.has_value(), shift % 8 == 0) << shift;
    if (!shape) continue;
    EXPECT_EQ(shape->payload_bytes, 7U);
  }
}

TEST(VerbatimBatch, RangesThatShareSkipOrFallShortAreRefused) {
  const auto with = [](std::vector<proto::RecordEntry> entries, const std::string& payload) {
    return verdict(built(entries, payload));
  };
  EXPECT_EQ(with({{0, 2, 3, 2, 0, 0, 0}, {5, 6, 1, 1, 0, 0, 0}}, "k1abcXy"), ErrorCode::kExists);
  EXPECT_EQ(with({{0, 2, 3, 2, 0, 0, 0}, {0, 2, 3, 2, 0, 0, 0}}, "k1abc"), ErrorCode::kMalformed)
      << "two records of the same bytes";
  EXPECT_EQ(with({{0, 1, 4, 2, 0, 0, 0}}, "k1abc"), ErrorCode::kMalformed) << "data in the key";
  EXPECT_EQ(with({{0, 2, 3, 2, 0, 0, 0}, {4, 5, 1, 1, 0, 0, 0}}, "k1abcX"), ErrorCode::kMalformed)
      << "a key in the data before it";
  EXPECT_EQ(with({{0, 2, 2, 2, 0, 0, 0}}, "k1abc"), ErrorCode::kMalformed)
      << "one byte is nobody's";
  EXPECT_EQ(with({{0, 2, 4, 2, 0, 0, 0}}, "k1abc"), ErrorCode::kMalformed) << "one beyond the end";
  EXPECT_EQ(with({{1, 3, 2, 2, 0, 0, 0}}, "k1abc"), ErrorCode::kMalformed) << "not from 0 on";
  EXPECT_EQ(with({{0, 3, 2, 2, 0, 0, 0}}, "k1abc"), ErrorCode::kMalformed)
      << "a gap behind the key";
  EXPECT_EQ(with({{0, 2, 0xFFFFFFFF, 2, 0, 0, 0}, {1, 1, 4, 0, 0, 0, 0}}, "k1abc"),
            ErrorCode::kMalformed)
      << "a sum that would wrap";
}

TEST(VerbatimBatch, CountLengthAndShapeAreChecked) {
  EXPECT_EQ(verdict({}), ErrorCode::kMalformed);
  EXPECT_EQ(verdict(built({}, "")), ErrorCode::kMalformed) << "no record";
  EXPECT_EQ(verdict(built({{0, 0, 0, 0, 0, 0, 0}}, "", false)), ErrorCode::kMalformed)
      << "no bytes";
  std::vector<proto::RecordEntry> many(kBatchRecordsMax, {0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(verdict(built(many, "")), ErrorCode::kExists);
  many.emplace_back(0, 0, 0, 0, 0, 0, 0);
  EXPECT_EQ(verdict(built(many, "")), ErrorCode::kMalformed) << "one record too many";
  const auto good = built({{0, 1, 4, 1, 0, 0, 0}}, "kabcd");
  ASSERT_EQ(verdict(good), ErrorCode::kExists);
  EXPECT_EQ(verdict(std::span(good).first(good.size() - 1)), ErrorCode::kMalformed);
  for (std::size_t size = 0; size + 8 < good.size(); size += 8) {
    EXPECT_EQ(verdict(std::span(good).first(size)), ErrorCode::kMalformed) << size;
  }
  const std::size_t most = format::kBlockBytesMax - kBatchHeaderBytes;
  std::vector<std::byte> long_one(most + 8);
  std::ranges::copy(good, long_one.begin());
  EXPECT_EQ(verdict(std::span(long_one).first(most)), ErrorCode::kExists) << "zeros behind it";
  EXPECT_EQ(verdict(long_one), ErrorCode::kTooLarge);
}

// The FlatBuffer's own structure is damaged at random under checksums that are right. Whatever opens
// must be safe to read to the last byte; a sanitizer build sees what is not.
TEST(Batch, HostileFlatBuffersAreHarmless) {
  std::mt19937_64 random(8);
  std::uint64_t opened = 0;
  std::uint64_t sum = 0;
  for (int round = 0; round < 20'000; ++round) {
    Written written = write({{"key0", "data0"}, {"key1", "data1"}}, {});
    const auto bytes = written.bytes();
    for (std::uint64_t n = 1 + random() % 4; n > 0; --n) {
      bytes[kBatchHeaderBytes + random() % (bytes.size() - kBatchHeaderBytes)] =
          static_cast<std::byte>(random());
    }
    make_right(bytes);
    const auto view = BatchView::open(bytes, nullptr);
    if (!view) continue;
    ++opened;
    for (std::uint32_t i = 0; i < view->count(); ++i) {
      const RecordRef r = view->record(i);
      for (std::uint32_t b = 0; b < r.key_bytes; ++b) sum += static_cast<std::uint8_t>(r.key[b]);
      for (std::uint32_t b = 0; b < r.data_bytes; ++b) sum += static_cast<std::uint8_t>(r.data[b]);
    }
  }
  EXPECT_GT(opened, 0U) << "damage to data alone is not the FlatBuffer's to find";
  EXPECT_LT(opened, 20'000U);
  EXPECT_GT(sum, 0U);
}

}  // namespace
}  // namespace penstock::storage
