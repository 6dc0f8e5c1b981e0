// A put body read by the fast codec and by the general path, for comparison.
#pragma once

#include "http/base64.h"
#include "http/put_codec.h"
#include "http/validation.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::test {

struct PutReading {
  struct Record {
    std::string key;
    std::string data;
    base::HashKey hash;
    friend bool operator==(const Record&, const Record&) = default;
  };
  std::string stream_name = {};
  std::string stream_arn = {};
  std::string sequence_for_ordering = {};
  // What limits are checked against.
  std::uint64_t data_bytes = 0;
  std::uint64_t key_bytes = 0;
  std::uint32_t data_bytes_max = 0;
  std::vector<Record> records;
  friend bool operator==(const PutReading&, const PutReading&) = default;
};

// A body as connections hold it, followed by readable bytes.
class PaddedBody {
 public:
  explicit PaddedBody(std::string_view text) : bytes_(text.size() + 64, 'A'), size_(text.size()) {
    std::copy(text.begin(), text.end(), bytes_.begin());
  }
  [[nodiscard]] std::span<char> text() { return std::span(bytes_).first(size_); }

 private:
  std::vector<char> bytes_;
  std::size_t size_;
};

inline PutReading read_entries(PaddedBody& body, const http::ScannedPut& scan,
                               std::span<const http::ScannedRecord> records) {
  PutReading reading{.stream_name = std::string(scan.stream_name),
                     .stream_arn = std::string(scan.stream_arn),
                     .sequence_for_ordering = std::string(scan.sequence_for_ordering),
                     .data_bytes = scan.data_bytes,
                     .key_bytes = scan.key_bytes,
                     .data_bytes_max = scan.data_bytes_max,
                     .records = {}};
  std::vector<shard::PutEntry> entries(scan.count);
  http::materialise_put(body.text(), records.first(scan.count), entries);
  for (const shard::PutEntry& entry : entries) {
    const storage::RecordRef& record = entry.record;
    reading.records.push_back(
        {.key = {reinterpret_cast<const char*>(record.key), record.key_bytes},
         .data = {reinterpret_cast<const char*>(record.data), record.data_bytes},
         .hash = record.hash});
  }
  return reading;
}

// Nothing where the fast codec declines.
inline std::optional<PutReading> fast_reading(http::PutCall call, std::string_view text) {
  PaddedBody body(text);
  http::ScannedPut scan;
  std::vector<http::ScannedRecord> records(http::kPutRecordsMax);
  if (!http::scan_put(call, body.text(), scan, records)) return std::nullopt;
  return read_entries(body, scan, records);
}

// Nothing where the general path refuses.
inline std::optional<PutReading> general_reading(http::PutCall call, std::string_view text) {
  PaddedBody body(text);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  constexpr bool kCopy = false;
  const auto status = parser.parse(body.text().data(), text.size(), kCopy).get(root);
  if (status != simdjson::SUCCESS || !root.is_object()) return std::nullopt;
  std::vector<http::Value> values;
  if (http::decode(root, http::put_shape(call), values)) return std::nullopt;
  if (http::check(http::put_shape(call), values)) return std::nullopt;
  http::ScannedPut scan;
  std::vector<http::ScannedRecord> records(http::kPutRecordsMax);
  std::string_view out_of_range;
  http::general_put(call, values, body.text(), scan, records, out_of_range);
  if (!out_of_range.empty()) return std::nullopt;
  return read_entries(body, scan, records);
}

}  // namespace penstock::test
