#include "http/chunked.h"

#include "base/ascii.h"

#include <algorithm>
#include <cstring>

namespace penstock::http {
namespace {

constexpr std::uint32_t kSizeDigitsMax = 15;  // a size below 2^60
constexpr std::uint32_t kExtensionBytesMax = 256;
constexpr std::uint32_t kTrailerBytesMax = 4096;

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' && c != '\t'; }

}  // namespace

ChunkDecoder::Step ChunkDecoder::decode(std::string_view input, char* out, std::size_t room) {
  Step step;
  while (step.taken < input.size() && place_ != Place::kDone) {
    if (place_ != Place::kData) {
      if (!advance(input[step.taken])) {
        step.status = Status::kBad;
        return step;
      }
      ++step.taken;
      continue;
    }
    const std::uint64_t here = std::min<std::uint64_t>(left_, input.size() - step.taken);
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(here, room - step.written));
    if (bytes == 0) {
      step.status = Status::kOutFull;
      return step;
    }
    std::memmove(out + step.written, input.data() + step.taken, bytes);
    step.written += bytes;
    step.taken += bytes;
    left_ -= bytes;
    if (left_ == 0) place_ = Place::kDataReturn;
  }
  if (place_ == Place::kDone) step.status = Status::kDone;
  return step;
}

bool ChunkDecoder::advance(char c) {
  switch (place_) {
    case Place::kSize:
      if (const int digit = base::hex_value(c); digit >= 0) {
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        return ++size_digits_ <= kSizeDigitsMax;
      }
      if (size_digits_ == 0) return false;
      if (c == '\r') {
        place_ = Place::kSizeEnd;
        return true;
      }
      place_ = Place::kExtension;
      return c == ';';
    case Place::kExtension:
      if (c == '\r') {
        place_ = Place::kSizeEnd;
        return true;
      }
      return !is_control(c) && ++extension_bytes_ <= kExtensionBytesMax;
    case Place::kSizeEnd:
      place_ = left_ == 0 ? Place::kTrailerStart : Place::kData;
      return c == '\n';
    case Place::kDataReturn:
      place_ = Place::kDataEnd;
      return c == '\r';
    case Place::kDataEnd:
      place_ = Place::kSize;
      size_digits_ = extension_bytes_ = 0;
      return c == '\n';
    case Place::kTrailerStart:
      if (c == '\r') {
        place_ = Place::kLastEnd;
        return true;
      }
      place_ = Place::kTrailer;
      [[fallthrough]];
    case Place::kTrailer:
      if (c == '\r') {
        place_ = Place::kTrailerEnd;
        return true;
      }
      return !is_control(c) && ++trailer_bytes_ <= kTrailerBytesMax;
    case Place::kTrailerEnd:
      place_ = Place::kTrailerStart;
      return c == '\n';
    case Place::kLastEnd:
      place_ = Place::kDone;
      return c == '\n';
    case Place::kData:
    case Place::kDone:
      break;
  }
  return false;
}

}  // namespace penstock::http
