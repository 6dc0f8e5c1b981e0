#include "storage/slot_survey.h"

#include "base/pages.h"
#include "storage/footer_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace penstock::storage {
namespace {

constexpr int kReadAttempts = 3;

std::optional<std::uint32_t> slot_number(std::string_view name, std::uint16_t cell) {
  const std::string prefix = cell_directory(cell) + "/slot-";
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

bool header_belongs(const format::SlotHeader& h, const CellIdentity& identity, std::uint32_t slot) {
  if (!format::valid(h) || h.box != identity.box || h.tag != identity.tag) return false;
  if (h.cell != identity.cell || h.slot_bytes != identity.slot_bytes) return false;
  return h.slot == slot && h.segment_no >= 1 && h.base_lsn >= 1;
}

format::SlotHeader header_from(const format::BlockHeader& block, const CellIdentity& identity,
                               std::uint32_t slot) {
  format::SlotHeader h;
  h.cell = identity.cell;
  h.box = identity.box;
  h.tag = identity.tag;
  h.slot = slot;
  h.epoch = block.epoch;
  h.segment_no = block.segment_no;
  h.base_lsn = block.lsn;
  h.prev_chain = block.prev_chain;
  h.durable_lsn = block.durable_lsn;
  h.slot_bytes = identity.slot_bytes;
  return h;
}

void look_into(env::Volume& volume, const CellIdentity& identity, Slot& slot) {
  base::Pages pages(3 * format::kSectorBytes);
  const auto head = pages.bytes().first(2 * format::kSectorBytes);
  const auto tail = pages.bytes().subspan(2 * format::kSectorBytes, format::kSectorBytes);
  std::ranges::fill(pages.bytes(), std::byte{0});
  // What cannot be read is not there: a footer only saves scanning, and a header can be told from the first
  // block. Where both are unreadable nobody knows what the slot holds, and nothing is written to it.
  const auto header_sector = head.first(format::kSectorBytes);
  const auto block_sector = head.subspan(format::kSectorBytes);
  const bool header_read = read_patiently(volume, slot.file, 0, header_sector).has_value();
  const bool block_read =
      read_patiently(volume, slot.file, format::kSectorBytes, block_sector).has_value();
  static_cast<void>(
      read_patiently(volume, slot.file, identity.slot_bytes - format::kSectorBytes, tail));
  slot.unreadable = !header_read && !block_read;
  const auto block = format::load<format::BlockHeader>(head, format::kSectorBytes);
  if (block_belongs(block, identity)) slot.first_block = block;
  const auto header = format::load<format::SlotHeader>(head);
  if (header_belongs(header, identity, slot.number)) {
    slot.header = header;
  } else if (slot.first_block) {
    slot.header = header_from(*slot.first_block, identity, slot.number);
  }
  const auto trailer = format::load<format::Trailer>(tail);
  if (slot.header && trailer_fits(trailer, *slot.header)) slot.trailer = trailer;
}

}  // namespace

std::string cell_directory(std::uint16_t cell) { return fmt::format("cell-{:02}", cell); }

std::string slot_name(std::uint16_t cell, std::uint32_t slot) {
  return fmt::format("cell-{:02}/slot-{:04}", cell, slot);
}

Result<> read_patiently(env::Volume& volume, env::FileId file, std::uint64_t offset,
                        std::span<std::byte> out) {
  Result<> read;
  for (int i = 0; i < kReadAttempts; ++i) {
    read = volume.read(file, offset, out);
    if (read) break;
  }
  return read;
}

bool block_belongs(const format::BlockHeader& h, const CellIdentity& identity) {
  if (!format::valid(h) || h.tag != identity.tag || h.cell != identity.cell) return false;
  return h.segment_no >= 1 && h.lsn >= 1 && h.durable_lsn < h.lsn && h.recovered_lsn < h.lsn;
}

Result<SlotSurvey> survey_slots(env::Volume& volume, const CellIdentity& identity) {
  auto files = volume.list(cell_directory(identity.cell));
  if (!files) return std::unexpected(files.error());
  SlotSurvey survey;
  for (const env::FileInfo& info : *files) {
    const auto number = slot_number(info.name, identity.cell);
    if (!number) continue;
    survey.next_number = std::max(survey.next_number, *number + 1);
    if (info.bytes < identity.slot_bytes) {
      survey.partial.push_back(info.name);
      continue;
    }
    auto file = volume.open(info.name);
    if (!file) return std::unexpected(file.error());
    Slot slot;
    slot.file = *file;
    slot.number = *number;
    look_into(volume, identity, slot);
    survey.slots.push_back(slot);
  }
  std::ranges::sort(survey.slots, {}, &Slot::number);
  return survey;
}

}  // namespace penstock::storage
