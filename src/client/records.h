// Reading: where to begin in a shard, and pages of records from there.
//
// Owner      one thread
// Errors     as KinesisClient::call; kProtocol for payloads that are not base64
#pragma once

#include "client/json_reader.h"
#include "client/kinesis_client.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::client {

struct Position {
  enum class Kind : std::uint8_t { kHorizon, kLatest, kTime, kAtSequence, kAfterSequence };
  Kind kind = Kind::kHorizon;
  double seconds = 0;    // kTime: since 1970
  std::string sequence;  // kAtSequence, kAfterSequence
};

// Views hold while the record is being visited.
struct RecordView {
  std::string_view key;
  std::string_view data;
  std::string_view sequence;
  double arrival = 0;  // seconds since 1970
};

struct ChildShard {
  std::string id;
  std::vector<std::string> parents;
};

// What stands around the records of a GetRecords answer.
struct PageEnd {
  std::size_t records = 0;
  std::int64_t millis_behind = 0;
  std::string next_iterator;  // empty: the shard is closed and read to its end
  std::vector<ChildShard> children;
};

[[nodiscard]] Outcome<std::string> shard_iterator(KinesisClient& client, std::string_view stream,
                                                  std::string_view shard, const Position& from);

class RecordPages {
 public:
  using Visit = std::function<void(const RecordView&)>;
  Outcome<PageEnd> next(KinesisClient& client, std::string_view iterator, std::uint32_t limit,
                        const Visit& visit);

 private:
  JsonReader reader_;
  std::string decoded_;
};

}  // namespace penstock::client
