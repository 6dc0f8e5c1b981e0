// Where the memory goes: `memory.budget` as a printed sum, every term named.
//
// Units      bytes. Pages are touched on first use, so an idle daemon holds a fraction of the sum
#pragma once

#include "server/config.h"

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

namespace penstock::server {

struct MemoryPlan {
  struct Term {
    std::string name;
    std::uint64_t each = 0;
    std::uint64_t count = 0;
    [[nodiscard]] std::uint64_t total() const { return each * count; }
  };
  std::uint64_t tail_bytes = 0;         // per cell: blocks in flight and the tail window
  std::uint64_t index_cache_bytes = 0;  // per cell
  std::uint64_t body_bytes = 0;         // per data core: HTTP bodies
  std::uint64_t answer_bytes = 0;       // per data core: answers that are not sent yet
  std::uint64_t staging_bytes = 0;      // per data core: native messages that come in
  std::uint64_t delivery_bytes = 0;     // per data core: what native readers get
  std::vector<Term> terms;
  [[nodiscard]] std::uint64_t total() const;
  [[nodiscard]] std::string text() const;
};

// A budget that does not do, in words.
struct MemoryShortage {
  std::string found;
  std::string needed;  // the budget that would, and what for
};

// `cells` as formatted. REQUIRES: at least one cell a data core.
[[nodiscard]] std::expected<MemoryPlan, MemoryShortage> plan_memory(const Config& config,
                                                                    std::uint16_t cells,
                                                                    std::uint64_t slot_bytes);

}  // namespace penstock::server
