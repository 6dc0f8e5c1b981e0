// What a damaged journal or snapshot could offer the catalogue. Whatever is accepted must be written
// back byte for byte, and applying it to a state must leave a state that can be written and read.
#include "catalog/codec.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

namespace {

using namespace penstock;

void check(bool condition) {
  if (!condition) std::abort();
}

bool same(std::span<const std::byte> a, const std::vector<std::byte>& b) {
  return std::vector<std::byte>(a.begin(), a.end()) == b;
}

void check_state(const catalog::State& state) {
  const Result<catalog::State> again = catalog::decode_snapshot(catalog::encode_snapshot(state));
  check(again.has_value());
  check(*again == state);
}

}  // namespace

// First byte: where the snapshot ends and the frame begins, in 4-byte steps.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  const std::size_t cut = std::min<std::size_t>(std::size_t{data[0]} * 4, bytes.size());
  Result<catalog::State> state = catalog::decode_snapshot(bytes.first(cut));
  if (state && cut > 0) {
    check(same(bytes.first(cut), catalog::encode_snapshot(*state)));
    check_state(*state);
  }
  const Result<catalog::Frame> frame = catalog::decode_frame(bytes.subspan(cut));
  if (!frame) return 0;
  check(same(bytes.subspan(cut), catalog::encode_frame(frame->version, frame->change)));
  if (!state) state = catalog::State{};
  if (state->apply(frame->version, frame->change)) check_state(*state);
  return 0;
}
