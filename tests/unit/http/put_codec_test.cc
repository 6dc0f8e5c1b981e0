// Goal: the fast reading of puts accepts only what the general path accepts, reads it the same, and
// touches nothing when it declines. Method: bodies written out, each read both ways.
#include "http/put_codec.h"

#include "route/md5.h"
#include "tests/support/put_readings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace penstock::http {
namespace {

using test::fast_reading;
using test::general_reading;
using test::PutReading;

// What the limits count is what was unescaped and decoded, on either path.
PutReading with_totals(PutReading reading) {
  for (const PutReading::Record& record : reading.records) {
    const auto bytes = static_cast<std::uint32_t>(record.data.size());
    reading.data_bytes += bytes;
    reading.key_bytes += record.key.size();
    reading.data_bytes_max = std::max(reading.data_bytes_max, bytes);
  }
  return reading;
}

void expect_fast(PutCall call, const std::string& body, const PutReading& reading) {
  SCOPED_TRACE(body);
  const PutReading wanted = with_totals(reading);
  const std::optional<PutReading> fast = fast_reading(call, body);
  ASSERT_TRUE(fast);
  EXPECT_EQ(*fast, wanted);
  EXPECT_EQ(general_reading(call, body), wanted);
}

// Valid, but left to the general path.
void expect_general(PutCall call, const std::string& body, const PutReading& reading) {
  SCOPED_TRACE(body);
  const PutReading wanted = with_totals(reading);
  EXPECT_FALSE(fast_reading(call, body));
  EXPECT_EQ(general_reading(call, body), wanted);
}

void expect_refused(PutCall call, const std::string& body) {
  SCOPED_TRACE(body);
  EXPECT_FALSE(fast_reading(call, body));
  EXPECT_FALSE(general_reading(call, body));
}

base::HashKey hash_of(std::string_view key) {
  return route::md5_scalar({reinterpret_cast<const std::byte*>(key.data()), key.size()});
}

PutReading one(std::string key, std::string data) {
  PutReading reading{.stream_name = "s", .records = {}};
  const base::HashKey hash = hash_of(key);
  reading.records.push_back({.key = std::move(key), .data = std::move(data), .hash = hash});
  return reading;
}

TEST(PutCodec, ReadsAPlainRecord) {
  expect_fast(PutCall::kPutRecord, R"({"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8="})",
              one("k", "hello"));
}

TEST(PutCodec, ReadsMembersInAnyOrderAndSpacing) {
  expect_fast(PutCall::kPutRecord,
              "\n{ \"Data\" : \"aGVsbG8=\" ,\t\"PartitionKey\":\"k\",\r\n\"StreamName\":\"s\" } \n",
              one("k", "hello"));
}

TEST(PutCodec, ReadsDataOfEveryLengthAndPadding) {
  std::string data;
  for (int length = 0; length < 200; ++length) {
    std::vector<char> text(base64_encoded_bytes(data.size()));
    base64_encode(std::as_bytes(std::span(data)), text.data());
    expect_fast(PutCall::kPutRecord,
                R"({"StreamName":"s","PartitionKey":"k","Data":")" +
                    std::string(text.begin(), text.end()) + "\"}",
                one("k", data));
    data.push_back(static_cast<char>(length * 37));
  }
}

TEST(PutCodec, UnescapesKeysAndSlashesInData) {
  expect_fast(
      PutCall::kPutRecord,
      R"({"StreamName":"s","PartitionKey":"a\"\\\/\b\f\n\r\t\u00e9\u20AC","Data":"\/\u002f+A"})",
      one("a\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC", "\xFF\xFF\x80"));
}

TEST(PutCodec, CountsCharactersOfKeysNotBytes) {
  std::string key;
  for (int i = 0; i < 256; ++i) key += "\xE2\x82\xAC";
  expect_fast(PutCall::kPutRecord, R"({"StreamName":"s","Data":"","PartitionKey":")" + key + "\"}",
              one(key, ""));
  expect_refused(PutCall::kPutRecord,
                 R"({"StreamName":"s","Data":"","PartitionKey":"x)" + key + "\"}");
}

TEST(PutCodec, ReadsManyRecordsAndExplicitHashKeys) {
  PutReading wanted{.stream_name = "s", .records = {}};
  std::string body = R"({"StreamName":"s","Records":[)";
  for (int i = 0; i < 500; ++i) {
    const std::string key = "key-" + std::to_string(i);
    if (i > 0) body += ',';
    body += R"({"PartitionKey":")" + key + "\"";
    if (i % 3 == 0) body += R"(,"ExplicitHashKey":")" + std::to_string(i) + "\"";
    body += R"(,"Data":"AAEC"})";
    wanted.records.push_back(
        {.key = key,
         .data = std::string("\0\1\2", 3),
         .hash = i % 3 == 0 ? base::HashKey{0, static_cast<std::uint64_t>(i)} : hash_of(key)});
  }
  expect_fast(PutCall::kPutRecords, body + "]}", wanted);
  expect_refused(PutCall::kPutRecords, body + R"(,{"PartitionKey":"k","Data":""}]})");
}

TEST(PutCodec, LeavesUnknownMembersRepeatedOnesAndSurrogatesToTheGeneralPath) {
  expect_general(
      PutCall::kPutRecord,
      R"({"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8=","Color":[1,{"a":null}]})",
      one("k", "hello"));
  expect_general(PutCall::kPutRecord,
                 R"({"StreamName":"s","PartitionKey":"x","PartitionKey":"k","Data":"aGVsbG8="})",
                 one("k", "hello"));
  expect_general(PutCall::kPutRecord,
                 R"({"StreamName":"s","PartitionKey":"\ud83d\ude80","Data":"aGVsbG8="})",
                 one("\xF0\x9F\x9A\x80", "hello"));
  expect_general(
      PutCall::kPutRecord,
      R"({"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8=","ExplicitHashKey":null})",
      one("k", "hello"));
  expect_general(PutCall::kPutRecord,
                 R"({"StreamName":"s","Partition\u004bey":"k","Data":"aGVsbG8="})",
                 one("k", "hello"));
}

TEST(PutCodec, RefusesWhatIsNotBase64) {
  for (const std::string data : {"A", "AB", "ABC", "AAA=AAAA", "=AAA",
                                 "A===", "AB==AB==", "AAB=", "AB==", "AA A", "AA-_", "AAAA=",
                                 "\xC3\xA9"
                                 "AA",
                                 "AA\\u00e9A", "\\/\\/\\/=", "A\\nAA"}) {
    expect_refused(PutCall::kPutRecord,
                   R"({"StreamName":"s","PartitionKey":"k","Data":")" + data + "\"}");
  }
}

TEST(PutCodec, RefusesWhatIsNotJson) {
  const std::string whole = R"({"StreamName":"s","Records":[{"PartitionKey":"k","Data":"AAAA"}]})";
  // Cut anywhere: what stands behind the body must not be read as a part of it.
  for (std::size_t length = 0; length < whole.size(); ++length) {
    expect_refused(PutCall::kPutRecords, whole.substr(0, length));
  }
  expect_refused(PutCall::kPutRecords, whole + "}");
  expect_refused(PutCall::kPutRecords, whole + ",");
  expect_refused(PutCall::kPutRecord,
                 "{\"StreamName\":\"s\",\"PartitionKey\":\"a\nb\",\"Data\":\"\"}");
  expect_refused(PutCall::kPutRecord,
                 "{\"StreamName\":\"s\",\"PartitionKey\":\"\xFF\",\"Data\":\"\"}");
  expect_refused(PutCall::kPutRecord, R"({"StreamName":"s","PartitionKey":"\x","Data":""})");
  expect_refused(PutCall::kPutRecord, R"({"StreamName":"s",,"PartitionKey":"k","Data":""})");
  expect_refused(PutCall::kPutRecord, R"({"StreamName":"s" "PartitionKey":"k","Data":""})");
}

TEST(PutCodec, LeavesTheBodyAloneWhenItDeclines) {
  const std::string body =
      R"({"StreamName":"s","Records":[{"PartitionKey":"\u0041","Data":"AAAA"},{"PartitionKey":"k","Data":"A"}]})";
  test::PaddedBody padded(body);
  ScannedPut scan;
  std::vector<ScannedRecord> records(kPutRecordsMax);
  EXPECT_FALSE(scan_put(PutCall::kPutRecords, padded.text(), scan, records));
  EXPECT_EQ(std::string_view(padded.text().data(), padded.text().size()), body);
}

}  // namespace
}  // namespace penstock::http
