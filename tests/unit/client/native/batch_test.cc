// Goal: what the library builds is a batch as the server checks it, and what is stored reads back. Method: the server's
// own verifier and writer.
#include "client/native/batch.h"

#include "net/batch_check.h"
#include "route/md5.h"
#include "storage/batch.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace penstock::client::native {
namespace {

BatchBytes made(unsigned seed, std::size_t records) {
  std::mt19937 random(seed);
  BatchBytes batch;
  for (std::size_t i = 0; i < records; ++i) {
    const std::string key(1 + random() % 40, static_cast<char>('a' + i % 26));
    const std::string data(random() % 300, static_cast<char>('A' + i % 26));
    const route::KeyRef ref{reinterpret_cast<const std::byte*>(key.data()), key.size()};
    batch.add({.key = key, .data = std::as_bytes(std::span(data)), .hash = route::md5_scalar(ref)});
  }
  return batch;
}

std::vector<std::byte> flat(const BatchBytes& batch) {
  const BatchFrame frame = frame_of(batch);
  std::vector<std::byte> all;
  for (const auto& part : parts_of(batch, frame)) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(Batch, IsWhatTheServerTakes) {
  for (unsigned seed = 1; seed < 50; ++seed) {
    const BatchBytes batch = made(seed, seed);
    std::vector<std::byte> bytes = flat(batch);
    EXPECT_EQ(bytes.size(), batch.flat_bytes());
    bytes.resize(bytes.size() + 64);  // as in a message
    const net::BatchVerdict verdict =
        net::check_batch(std::span(bytes).first(batch.flat_bytes()),
                         {.begin = {}, .end = base::kHashKeyMax, .record_bytes_max = 1'048'576});
    ASSERT_TRUE(verdict.good()) << verdict.why;
    EXPECT_EQ(verdict.shape.count, seed);
  }
}

TEST(Batch, ReadsBackAsItWasStored) {
  const BatchBytes batch = made(3, 20);
  const std::vector<std::byte> bytes = flat(batch);
  std::vector<std::byte> stored(2 * (storage::kBatchHeaderBytes + bytes.size()));
  const std::size_t one = storage::write_verbatim_batch(
      stored, {.first = RecordIndex(100), .arrival = WallMillis(7)}, bytes, 20);
  storage::write_verbatim_batch(std::span(stored).subspan(one),
                                {.first = RecordIndex(120), .arrival = WallMillis(8)}, bytes, 20);
  std::span<const std::byte> rest(stored);
  for (std::uint64_t first = 100; first < 140; first += 20) {
    const auto read = StoredBatch::open(rest, rest);
    ASSERT_TRUE(read) << read.error().site;
    EXPECT_EQ(read->first(), RecordIndex(first));
    ASSERT_EQ(read->count(), 20U);
    for (std::uint32_t i = 0; i < 20; ++i) {
      EXPECT_EQ(read->record(i).key, batch.record(i).key);
      EXPECT_TRUE(std::ranges::equal(read->record(i).data, batch.record(i).data));
      EXPECT_EQ(read->record(i).hash, batch.record(i).hash);
    }
  }
  EXPECT_TRUE(rest.empty());
}

TEST(Batch, RefusesEveryFlippedBit) {
  const std::vector<std::byte> bytes = flat(made(5, 2));
  std::vector<std::byte> stored(storage::kBatchHeaderBytes + bytes.size());
  storage::write_verbatim_batch(stored, {}, bytes, 2);
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    std::vector<std::byte> wrong = stored;
    wrong[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    std::span<const std::byte> rest;
    EXPECT_FALSE(StoredBatch::open(wrong, rest)) << bit;
  }
  for (std::size_t size = 0; size < stored.size(); ++size) {
    std::span<const std::byte> rest;
    EXPECT_FALSE(StoredBatch::open(std::span(stored).first(size), rest)) << size;
  }
}

}  // namespace
}  // namespace penstock::client::native
