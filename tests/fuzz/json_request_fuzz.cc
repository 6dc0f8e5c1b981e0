// JSON bodies of strangers. The first byte chooses the operation, the rest is the body. Types and
// constraints never fail otherwise than by a refusal; and what the fast reading of puts accepts, the
// general path accepts too and reads the same.
#include "http/operations.h"
#include "tests/support/put_readings.h"

#include <simdjson.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using namespace penstock;

void compare(http::PutCall call, std::string_view body) {
  const auto fast = test::fast_reading(call, body);
  const auto general = test::general_reading(call, body);
  if (fast && fast != general) std::abort();
}

void check_shape(http::Operation operation, std::string_view body) {
  static simdjson::dom::parser parser;
  test::PaddedBody padded(body);
  simdjson::dom::element root;
  constexpr bool kCopy = false;
  const auto status = parser.parse(padded.text().data(), body.size(), kCopy).get(root);
  if (status != simdjson::SUCCESS || !root.is_object()) return;
  std::vector<http::Value> values;
  if (http::decode(root, http::shape_of(operation), values)) return;
  const auto refusal = http::check(http::shape_of(operation), values);
  // A refusal is bounded whatever it refuses.
  if (refusal && refusal->message.size() > 256 * kKiB) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto operation =
      static_cast<http::Operation>(data[0] % static_cast<unsigned>(http::Operation::kAbsent));
  check_shape(operation, body);
  compare(http::PutCall::kPutRecord, body);
  compare(http::PutCall::kPutRecords, body);
  return 0;
}
