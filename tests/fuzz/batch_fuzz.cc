// Any bytes as a batch, as they are and again with checksums made right: what opens can be read to its
// last byte, adds up, and is told from nothing else by its stored form.
#include "storage/batch.h"

#include "base/crc32c.h"
#include "storage/format.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using namespace penstock::storage;

void check(std::span<const std::byte> bytes) {
  std::size_t consumed = 0;
  const auto view = BatchView::open(bytes, &consumed);
  if (!view) return;
  if (consumed > bytes.size() || consumed != view->stored().size()) std::abort();
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < view->count(); ++i) {
    const RecordRef record = view->record(i);
    sum += record.key_bytes + std::uint64_t{record.data_bytes};
    for (std::uint32_t b = 0; b < record.key_bytes; ++b) {
      if (record.key + b < bytes.data() || record.key + b >= bytes.data() + consumed) std::abort();
    }
    if (record.data_bytes > 0 &&
        (record.data < bytes.data() || record.data + record.data_bytes > bytes.data() + consumed)) {
      std::abort();
    }
  }
  // Ranges that add up cannot promise more than was sent.
  if (sum > consumed) std::abort();
  // Alone, as a producer sends it, it is the same; and written again it is the same bytes.
  const auto flat = view->stored().subspan(kBatchHeaderBytes);
  const auto shape = verify_batch(flat);
  if (!shape || shape->count != view->count() || shape->payload_bytes != sum) std::abort();
  std::vector<std::byte> again(consumed);
  if (write_verbatim_batch(again, view->fields(), flat, shape->count) != consumed) std::abort();
  if (!std::equal(again.begin(), again.end(), bytes.begin())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> aligned(size / 8 + 1);
  const auto bytes = std::as_writable_bytes(std::span(aligned)).first(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  check(bytes);
  static_cast<void>(verify_batch(bytes));
  if (size < sizeof(format::BatchHeader)) return 0;
  auto header = format::load<format::BatchHeader>(bytes);
  header.magic = format::kBatchMagic;
  header.codec = 0;
  header.flags = 0;
  header.reserved0 = 0;
  header.reserved1 = 0;
  header.reserved2 = 0;
  header.length = static_cast<std::uint32_t>((size - sizeof(header)) / 8 * 8);
  header.payload_crc = penstock::base::crc32c(bytes.subspan(sizeof(header), header.length));
  format::seal(header);
  format::store(bytes, 0, header);
  check(bytes);
  return 0;
}
