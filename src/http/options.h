// The front door's limits and times.
#pragma once

#include "penstock/units.h"

#include <cstdint>

namespace penstock::http {

struct FrontDoorOptions {
  std::uint64_t body_bytes_budget = 256 * kMiB;
  // Answers that are not sent yet. No request goes to the service while they take as much; reads, whose
  // room is reserved beforehand, leave the last quarter to the others.
  std::uint64_t answer_bytes_budget = 128 * kMiB;
  std::uint64_t body_bytes_max = 16 * kMiB;
  // Announcing a body costs a peer nothing, so it reserves little: so much while half the budget is
  // free, else a step. What is longer is reserved by doubling, as it arrives.
  std::uint64_t body_whole_bytes = 1 * kMiB;
  std::uint64_t body_step_bytes = 64 * kKiB;
  // Bytes a second, over each `body_nanos`: 64 kbit/s. A body that ends within the time may be slower.
  std::uint64_t body_rate_min = 8 * kKiB;
  std::uint32_t connections_max = 4096;
  std::int64_t first_byte_nanos = 10 * kNanosPerSecond;  // accept to a request's first byte
  std::int64_t head_nanos = 10 * kNanosPerSecond;        // first to last byte of a head
  std::int64_t idle_nanos = 75 * kNanosPerSecond;        // between requests
  std::int64_t body_nanos = 10 * kNanosPerSecond;        // for its part of a body, or the rest
  std::int64_t memory_nanos = 30 * kNanosPerSecond;      // waiting for memory, either way
  std::int64_t write_nanos = 30 * kNanosPerSecond;       // without progress
  // The same, where it holds memory for answers that others wait for: then 128 KiB a second.
  std::int64_t write_contended_nanos = 2 * kNanosPerSecond;
  std::int64_t drain_nanos = 5 * kNanosPerSecond;   // to bring a request whole, once stopping
  std::int64_t linger_nanos = 2 * kNanosPerSecond;  // after a refusal, for the peer to read it
};

}  // namespace penstock::http
