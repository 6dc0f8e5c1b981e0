// Records on their way into one PutRecords call after another, in order: entries that a call refused
// stay in front, so that what follows them follows them in the shard too.
//
// Shape      a call takes at most kEntriesMax entries and kBodyMax bytes of JSON; an entry is kept as the
//            JSON it is sent as
// Owner      one thread
// Errors     send: as KinesisClient::call_once; entries that were refused are no error of the call
#pragma once

#include "client/json_reader.h"
#include "client/kinesis_client.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::client {

class PutBatch {
 public:
  static constexpr std::size_t kEntriesMax = 500;
  static constexpr std::size_t kBodyMax = std::size_t{4} * 1024 * 1024;

  explicit PutBatch(std::string_view stream);

  // `tag` comes back with the outcome; `hash`, where it is not empty, is an explicit hash key in decimal. REQUIRES: not
  // full(), or empty.
  void add(std::string_view key, std::string_view data, std::uint64_t tag,
           std::string_view hash = {});
  // Whether an entry of that size should wait for the next call.
  [[nodiscard]] bool full(std::size_t key_bytes, std::size_t data_bytes) const;
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::uint64_t tag(std::size_t i) const { return entries_[i].tag; }

  struct Acknowledged {
    std::uint64_t tag;
    std::string_view shard;
    std::string_view sequence;
  };
  struct Refused {
    std::uint64_t tag;
    std::string_view code;
    std::string_view message;
    bool unknown;  // an internal failure: it may be stored all the same
  };
  struct Visitor {
    std::function<void(const Acknowledged&)> acknowledged;
    std::function<void(const Refused&)> refused;
  };

  // One call with everything in the batch; what was acknowledged leaves it. Gives how many stayed. An
  // error leaves all of it.
  Outcome<std::size_t> send(KinesisClient& client, const Visitor& visitor);
  // Lets go of everything.
  void clear();

 private:
  struct Entry {
    std::uint64_t tag;
    std::size_t begin;  // of its JSON in `body_`; its end is the next one's begin, less a comma
    std::size_t end;
  };
  void keep(const std::vector<bool>& refused);

  std::string body_;        // {"StreamName":…,"Records":[ and the entries, separated by commas
  std::size_t prefix_ = 0;  // how much of it stands before the first entry
  std::vector<Entry> entries_;
  JsonReader reader_;
};

}  // namespace penstock::client
