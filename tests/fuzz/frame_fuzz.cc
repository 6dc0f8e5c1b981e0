// Any bytes as a frame's body, of every kind: good or not, but never a crash; and what is good as a body of
// batches has a checksum.
#include "storage/block_reader.h"
#include "storage/format.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace penstock::storage;
  if (size < sizeof(format::FrameHeader)) return 0;
  std::vector<std::uint64_t> aligned(size / 8 + 1);
  const auto bytes = std::as_writable_bytes(std::span(aligned)).first(size);
  std::memcpy(bytes.data(), data, size);
  auto header = format::load<format::FrameHeader>(bytes);
  static_cast<void>(format::valid(header));
  const auto body = bytes.subspan(sizeof(header));
  static_cast<void>(body_good(header, body));

  const auto crc = format::frame_body_crc(body);
  header.kind = 1;
  header.body_crc = crc.value_or(0);
  if (body_good(header, body) && !crc) std::abort();
  header.kind = 3;
  header.body_crc = penstock::base::crc32c(body);
  if (body_good(header, body) != (body.size() == 64)) std::abort();
  return 0;
}
