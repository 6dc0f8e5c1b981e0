// An answer under construction: the body first, the head in front of it once the status is known, so
// that both leave in one piece.
//
// Shape      room for a head of kHeadRoom in front; a longer one moves the body
// Owner      one connection
// Allocates  from the pool, beyond the small buffer that a connection has anyway
#pragma once

#include "base/buffer_pool.h"
#include "http/exchange.h"
#include "penstock/units.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::http {

// "Date: Mon, 02 Dec 2013 04:50:15 GMT\r\n", made once a second.
class DateLine {
 public:
  [[nodiscard]] std::string_view at(WallMillis wall);

 private:
  std::int64_t second_ = INT64_MIN;
  char text_[40] = {};
  std::size_t size_ = 0;
};

struct ResponseHead {
  int status = 200;
  std::string_view content_type;   // empty: no such header
  std::string_view extra_headers;  // whole lines
  std::string_view date_line;
  bool keep_alive = true;
  bool head_only = false;  // the answer to HEAD: the body's length without the body
};

class Response final : public ResponseBody {
 public:
  explicit Response(base::BufferPool& pool) : pool_(pool) {}
  ~Response() override { release(); }
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;

  [[nodiscard]] std::span<char> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes) override;
  [[nodiscard]] std::size_t size() const override { return end_ - kHeadRoom; }
  void clear() override { end_ = kHeadRoom; }

  // What it has of the pool's memory.
  [[nodiscard]] std::size_t held_bytes() const { return large_.bytes; }
  // Whether the pool has room for `bytes` more with `spared` bytes of its budget left to others.
  [[nodiscard]] bool has_room(std::size_t bytes, std::uint64_t spared) const;
  // What of the pool's memory so many bytes take in an answer that has none yet.
  [[nodiscard]] static std::size_t pool_bytes(std::size_t bytes) {
    const std::size_t all = kHeadRoom + bytes;
    return all <= kSmallBytes ? 0 : base::BufferPool::class_bytes(all);
  }
  // The whole message; valid until `release`. What was reserved far beyond it goes back to the pool.
  [[nodiscard]] std::string_view finish(const ResponseHead& head);
  // Back to the small buffer, empty.
  void release();

 private:
  static constexpr std::size_t kHeadRoom = 1024;
  static constexpr std::size_t kSmallBytes = 4096;
  // A message that takes less than this part of its memory is moved to fitting memory.
  static constexpr std::size_t kFitFactor = 4;

  void fit();
  [[nodiscard]] char* base() { return large_ ? large_.data : small_; }
  [[nodiscard]] std::size_t capacity() const { return large_ ? large_.bytes : kSmallBytes; }

  base::BufferPool& pool_;
  base::PoolBuffer large_;
  std::size_t end_ = kHeadRoom;  // of the body, which begins at kHeadRoom
  char small_[kSmallBytes];
};

}  // namespace penstock::http
