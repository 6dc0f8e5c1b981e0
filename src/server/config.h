// The configuration: every key, its default, and what is wrong with a file.
//
// Units      as the value says: sizes "256MiB", durations "500ms", "5s", "24h"; plain numbers where no
//            unit makes sense
// Errors     a ConfigError names file, line, column, what was found, what would do
// Source     docs: deploy/penstock.toml lists every key with its default
#pragma once

#include "penstock/units.h"
#include "proto/kinesis.h"
#include "route/map.h"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::server {

enum class Idle : std::uint8_t { kWait, kPoll };

struct Address {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: not served
  [[nodiscard]] bool loopback() const;
  [[nodiscard]] std::string text() const;
};

struct Config {
  // [node]
  proto::Identity identity;
  // [data]
  std::string directory = "/var/lib/penstock";
  bool accept_not_durable = false;
  bool format_if_empty = true;
  // [cores]
  std::vector<std::uint32_t> data_cpus = {0};
  std::uint32_t service_cpu = 1;
  bool pin = true;
  Idle idle = Idle::kWait;
  // [journal]
  std::uint16_t cells = 4;                    // at format
  std::uint64_t slot_bytes = 256 * kMiB;      // at format
  std::uint64_t journal_size_min = 1 * kGiB;  // all cells together
  std::uint64_t journal_size_max = 64 * kGiB;
  std::uint32_t blocks_in_flight = 4;
  std::uint64_t fill_bytes_per_second = 256 * kMiB;  // zero-filling of slots ahead of need
  // [memory]
  std::uint64_t memory_budget = 1 * kGiB;
  // [kinesis]
  Address https{"127.0.0.1", 4567};
  Address http{"127.0.0.1", 4568};
  std::string certificate_file;  // PEM chain; empty: made in the data directory
  std::string key_file;
  std::string credentials_file;          // empty: <directory>/credentials
  std::uint32_t connections_max = 1024;  // per core; each is 124 KiB of the memory budget
  // [native]
  Address native{"127.0.0.1", 4569};
  // Per core; each is 160 KiB of the memory budget, and from the 257th on 64 KiB more.
  std::uint32_t sessions_max = 256;
  bool zero_copy_send = false;
  // [admin]
  Address admin{"127.0.0.1", 4570};
  // [limits]
  route::ShardLimits shard_limits;  // of a new stream; all 0 under "none"
  std::uint32_t shards_max = 4096;
  std::uint32_t record_bytes_max = 1'048'576;
  std::int64_t put_deadline_ns = 5 * kNanosPerSecond;
  std::int64_t state_ns = 500 * kNanosPerMilli;
};

struct ConfigError {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string what;  // what failed
  std::string found;
  std::string needed;
  std::string mend;
  [[nodiscard]] std::string text() const;
};

// Every problem of the file at once, or the configuration.
[[nodiscard]] std::expected<Config, std::vector<ConfigError>> parse_config(std::string_view text,
                                                                           std::string_view file);

// `penstockd --dev DIR`.
[[nodiscard]] Config dev_config(std::string_view directory, std::uint16_t port_base,
                                bool limits_off, std::uint32_t cpus);

// "256MiB", "1GB", "4096" → bytes; "500ms", "5s", "10m", "24h" → nanoseconds.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::optional<std::int64_t> parse_duration(std::string_view text);

}  // namespace penstock::server
