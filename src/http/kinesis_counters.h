// What the Kinesis service of one core has answered and moved, by name. Counted and read on its core.
#pragma once

#include "http/operations.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace penstock::http {

// What the service answers with; anything else is counted as 0.
inline constexpr std::array<int, 8> kAnswerStatuses = {200, 400, 403, 404, 413, 500, 503, 0};

struct KinesisCounters {
  using ByStatus = std::array<std::uint64_t, kAnswerStatuses.size()>;
  std::array<ByStatus, kOperations> answers{};
  std::uint64_t unauthenticated = 0;  // of the answers 4xx: the signature
  std::uint64_t put_general = 0;      // puts that the fast codec did not understand
  std::uint64_t put_waited = 0;       // PutRecords calls, for a free block
  std::uint64_t put_late = 0;  // puts not begun within their deadline, or by a peer that left
  std::uint64_t records_stored = 0;
  std::uint64_t record_bytes_stored = 0;  // data and keys
  std::uint64_t records_throttled = 0;
  std::uint64_t records_failed = 0;  // for any other reason
  std::uint64_t get_throttled = 0;
  std::uint64_t records_delivered = 0;
  std::uint64_t record_bytes_delivered = 0;  // data and keys
  std::uint64_t reads_lost = 0;  // GetRecords answered with the loss of acknowledged data

  void answered(Operation operation, int status) {
    ++answers[static_cast<std::size_t>(operation)][place_of(status)];
  }
  [[nodiscard]] std::uint64_t answered_with(Operation operation, int status) const {
    return answers[static_cast<std::size_t>(operation)][place_of(status)];
  }

 private:
  [[nodiscard]] static std::size_t place_of(int status) {
    const auto* at = std::find(kAnswerStatuses.begin(), kAnswerStatuses.end() - 1, status);
    return static_cast<std::size_t>(at - kAnswerStatuses.begin());
  }
};

}  // namespace penstock::http
