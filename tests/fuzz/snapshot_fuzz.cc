// Any bytes as a snapshot of one to four cells, as they are and with magic and length made right: what
// decodes encodes to something that decodes to the same.
#include "storage/snapshot.h"

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace {

using namespace penstock::storage;

void check(std::span<const std::byte> bytes, std::uint16_t cells) {
  // The box is taken from where it stands, so that the rest is reached.
  format::Uuid box{};
  if (bytes.size() >= 32) box = format::load<format::Uuid>(bytes, 16);
  const auto snapshot = decode_snapshot(bytes, box, cells);
  if (!snapshot) return;
  const auto again = decode_snapshot(encode_snapshot(*snapshot, box, 1), box, cells);
  if (!again || again->catalogue != snapshot->catalogue) std::abort();
  if (again->cells.size() != snapshot->cells.size()) std::abort();
  for (std::size_t i = 0; i < snapshot->cells.size(); ++i) {
    if (again->cells[i].shards.size() != snapshot->cells[i].shards.size()) std::abort();
    if (again->cells[i].segments != snapshot->cells[i].segments) std::abort();
    if (again->cells[i].producers != snapshot->cells[i].producers) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (std::uint16_t cells = 1; cells <= 4; ++cells) check(bytes, cells);
  // Magic, version and cells at 0, 8 and 10; the length at 40.
  if (size < 48) return 0;
  std::vector<std::byte> right(bytes.begin(), bytes.end());
  format::store(right, 0, std::uint64_t{0x54485350414E5350});
  format::store(right, 8, format::kVersion);
  format::store(right, 10, std::uint16_t{1});
  format::store(right, 40, std::uint64_t{size});
  check(right, 1);
  return 0;
}
