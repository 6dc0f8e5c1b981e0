// Batches as any producer might build them: with the FlatBuffers library, well or badly.
#pragma once

#include "base/hash_key.h"
#include "penstock_generated.h"
#include "route/md5.h"
#include "storage/batch.h"

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::test {

struct MadeRecord {
  std::string key;
  std::string data = "data";
  std::uint16_t flags = 0;
  std::optional<base::HashKey> hash = std::nullopt;  // none: the key's MD5
};

inline base::HashKey md5_of(std::string_view key) {
  return route::md5_scalar({reinterpret_cast<const std::byte*>(key.data()), key.size()});
}

// The `n`th key of a series whose hash lies in the range.
inline std::string key_in(base::HashKey begin, base::HashKey end, int n = 0) {
  for (int i = 0;; ++i) {
    std::string key = "key-" + std::to_string(i);
    const base::HashKey hash = md5_of(key);
    if (begin <= hash && hash <= end && n-- == 0) return key;
  }
}

inline std::vector<std::byte> flat_batch(const std::vector<storage::RecordEntry>& entries,
                                         std::string_view payload) {
  flatbuffers::FlatBufferBuilder builder;
  const auto records = builder.CreateVectorOfStructs(
      reinterpret_cast<const proto::RecordEntry*>(entries.data()), entries.size());
  const auto bytes =
      builder.CreateVector(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size());
  builder.Finish(proto::CreateBatch(builder, records, bytes));
  std::vector<std::byte> out((builder.GetSize() + 7) / 8 * 8);
  std::memcpy(out.data(), builder.GetBufferPointer(), builder.GetSize());
  return out;
}

struct Layout {
  std::vector<storage::RecordEntry> entries;
  std::string payload;
};

// Key, data, key, data …: how it should be, to be spoiled by a test.
inline Layout lay_out(const std::vector<MadeRecord>& records) {
  Layout layout;
  for (const MadeRecord& record : records) {
    const base::HashKey hash = record.hash.value_or(md5_of(record.key));
    const auto at = static_cast<std::uint32_t>(layout.payload.size());
    const auto key_bytes = static_cast<std::uint16_t>(record.key.size());
    layout.entries.push_back({at, at + key_bytes, static_cast<std::uint32_t>(record.data.size()),
                              key_bytes, record.flags, hash.high, hash.low});
    layout.payload += record.key + record.data;
  }
  return layout;
}

inline std::vector<std::byte> make_batch(const std::vector<MadeRecord>& records) {
  const Layout layout = lay_out(records);
  return flat_batch(layout.entries, layout.payload);
}

}  // namespace penstock::test
