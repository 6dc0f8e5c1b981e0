// A chunked body, decoded as it arrives, in whatever pieces.
//
// Shape      size lines of at most 15 hex digits and 256 bytes with their extensions, which are
//            ignored; trailers of at most 4 KiB, ignored
// Owner      one connection. `out` may be the input itself or anywhere before it
// Allocates  never
// Errors     kBad: framing that is not RFC 9112 §7.1 to the letter (bare LF, spaces, signs)
// Source     RFC 9112 §7.1
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock::http {

class ChunkDecoder {
 public:
  enum class Status : std::uint8_t { kNeedMore, kDone, kBad, kOutFull };
  struct Step {
    Status status = Status::kNeedMore;
    std::size_t taken = 0;    // of the input
    std::size_t written = 0;  // to `out`
  };

  void reset() { *this = ChunkDecoder(); }
  // Takes input until it is used up, the body ends, or `room` is full before the body ends.
  [[nodiscard]] Step decode(std::string_view input, char* out, std::size_t room);

 private:
  enum class Place : std::uint8_t {
    kSize,
    kExtension,
    kSizeEnd,
    kData,
    kDataReturn,
    kDataEnd,
    kTrailerStart,
    kTrailer,
    kTrailerEnd,
    kLastEnd,
    kDone
  };
  // One byte of framing; false where it does not belong there.
  [[nodiscard]] bool advance(char c);

  Place place_ = Place::kSize;
  std::uint64_t left_ = 0;  // of the chunk
  std::uint32_t size_digits_ = 0;
  std::uint32_t extension_bytes_ = 0;
  std::uint32_t trailer_bytes_ = 0;
};

}  // namespace penstock::http
