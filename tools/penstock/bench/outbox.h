// Records on their way from a producer's thread to the one that has the connection.
//
// Shape      a box is filled while the one before it is being sent
// Owner      `put` is the producer's, `take` the connection's; `close` anybody's
// Allocates  as the boxes grow, and then no more
#pragma once

#include "base/hash_key.h"
#include "bench/target.h"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace penstock::tools::bench {

class Outbox {
 public:
  struct Entry {
    std::uint64_t number = 0;
    std::uint32_t key_number = 0;
    std::uint32_t key_bytes = 0;
    std::uint32_t data_bytes = 0;
    std::optional<base::HashKey> hash;
  };
  struct Box {
    std::vector<Entry> entries;
    std::vector<std::byte> bytes;  // key and data of each, one behind the other
    void clear();
    // `visit(entry, key, data)` for each.
    template <class Visit>
    void each(Visit visit) const {
      const std::byte* at = bytes.data();
      for (const Entry& entry : entries) {
        const std::string_view key(reinterpret_cast<const char*>(at), entry.key_bytes);
        visit(entry, key, std::span(at + entry.key_bytes, entry.data_bytes));
        at += entry.key_bytes + entry.data_bytes;
      }
    }
  };

  // `wake` is called when the first record lies in an empty box: for a connection that waits elsewhere.
  Outbox(std::uint64_t bytes_max, std::function<void()> wake)
      : bytes_max_(bytes_max), wake_(std::move(wake)) {}

  // Waits while the box is full. False: it is closed.
  bool put(const Outgoing& record);
  // Everything that lies there, into a box that is empty. Waits for something if it may. False: closed, and nothing
  // left.
  bool take(Box& box, bool may_wait);
  void close();

 private:
  const std::uint64_t bytes_max_;
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Box box_;
  bool closed_ = false;
};

}  // namespace penstock::tools::bench
