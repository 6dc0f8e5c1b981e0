// The head of an HTTP/1.1 request, strictly: what two readers could understand in two ways is
// refused, so that no intermediary can be made to disagree with us about where a request ends.
//
// Shape      at most kHeadBytesMax of head, kHeadersMax headers, kTargetBytesMax of target
// Owner      one connection. Views point into the text that was parsed and hold while it does
// Allocates  never
// Errors     a status and the sentence that goes with it
// Refused    bare LF, obsolete folding, space before a colon, characters outside a token, repeated
//            Content-Length, Transfer-Encoding or Host, both framings at once, a Transfer-Encoding
//            that is not exactly "chunked", a length that is not plain digits
// Source     RFC 9110, RFC 9112 §2–6
#pragma once

#include "http/exchange.h"
#include "penstock/units.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace penstock::http {

inline constexpr std::size_t kHeadBytesMax = 64 * kKiB;
inline constexpr std::size_t kHeadersMax = 100;
inline constexpr std::size_t kTargetBytesMax = 16 * kKiB;

struct RequestHead {
  std::string_view method;
  std::string_view target;
  std::array<Header, kHeadersMax> header_slots;
  std::size_t header_count = 0;
  bool version_1_0 = false;
  bool keep_alive = true;
  bool chunked = false;
  bool has_length = false;
  bool expects_continue = false;
  std::uint64_t content_length = 0;

  [[nodiscard]] std::span<const Header> headers() const {
    return std::span(header_slots).first(header_count);
  }
};

// Why a request is refused before anyone looks at what it wants. The order of names in `counters.h`.
enum class Rejection : std::uint8_t {
  kNone,
  kMalformed,         // 400
  kAmbiguousLength,   // 400
  kTimeout,           // 408
  kBodyTooLarge,      // 413
  kTargetTooLong,     // 414
  kExpectation,       // 417
  kHeadTooLarge,      // 431
  kTransferEncoding,  // 501
  kOverloaded,        // 503
  kVersion,           // 505
  kStopping,          // 503
};
inline constexpr std::size_t kRejections = 12;

struct RejectionText {
  int status = 0;
  std::string_view name;  // as metrics call it
  std::string_view text;  // a sentence for whoever sent it
};
[[nodiscard]] RejectionText describe(Rejection rejection);

class HeadParser {
 public:
  enum class Status : std::uint8_t { kNeedMore, kDone, kRefused };

  void reset();
  // `text` is all that was received of this request so far, from the same first byte each time.
  // After kDone: `head` is filled and `head_bytes` is where the body begins.
  [[nodiscard]] Status parse(std::string_view text);

  [[nodiscard]] const RequestHead& head() const { return head_; }
  [[nodiscard]] std::size_t head_bytes() const { return head_bytes_; }
  [[nodiscard]] Rejection rejection() const { return rejection_; }

 private:
  [[nodiscard]] Status refuse(Rejection rejection);
  [[nodiscard]] Rejection parse_request_line(std::string_view line);
  [[nodiscard]] Rejection parse_header(std::string_view line);
  [[nodiscard]] Rejection interpret(const Header& header);
  [[nodiscard]] Rejection conclude();

  RequestHead head_;
  std::size_t begin_ = 0;    // behind an empty line that may precede a request
  std::size_t scanned_ = 0;  // no end of the head before this place
  std::size_t head_bytes_ = 0;
  bool saw_host_ = false;
  bool saw_encoding_ = false;
  Rejection rejection_ = Rejection::kNone;
};

}  // namespace penstock::http
