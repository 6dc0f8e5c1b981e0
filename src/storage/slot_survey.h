// What lies in the slots of a cell, by their first and last sectors.
//
// Errors     the Volume's: a header that cannot be read is not taken for an empty slot
// Source     src/storage/FORMAT.md §4 and §7, 1
#pragma once

#include "env/disk.h"
#include "penstock/result.h"
#include "storage/format.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace penstock::storage {

// What every header of a cell must carry.
struct CellIdentity {
  format::Uuid box = {};
  std::uint64_t tag = 0;
  std::uint16_t cell = 0;
  std::uint64_t slot_bytes = 0;
};

struct Slot {
  env::FileId file = env::FileId::kNone;
  std::uint32_t number = 0;
  // Where the header is not valid but a first block is, what that block says stands in for it.
  std::optional<format::SlotHeader> header;
  std::optional<format::Trailer> trailer;          // fits the header
  std::optional<format::BlockHeader> first_block;  // valid by itself, of whatever segment
  bool live = false;
  bool unreadable = false;  // neither the header nor the first block: nobody knows what it holds
};

struct SlotSurvey {
  std::vector<Slot> slots;           // by number
  std::vector<std::string> partial;  // files whose zero-fill was interrupted
  std::uint32_t next_number = 0;     // of a slot to be made
};

[[nodiscard]] std::string cell_directory(std::uint16_t cell);
[[nodiscard]] std::string slot_name(std::uint16_t cell, std::uint32_t slot);

// Reads again where a device fails at first: a start should not end over a passing error.
[[nodiscard]] Result<> read_patiently(env::Volume& volume, env::FileId file, std::uint64_t offset,
                                      std::span<std::byte> out);

[[nodiscard]] bool block_belongs(const format::BlockHeader& header, const CellIdentity& identity);
[[nodiscard]] Result<SlotSurvey> survey_slots(env::Volume& volume, const CellIdentity& identity);

}  // namespace penstock::storage
