// Iterators and page tokens of strangers: none that was not made with the key is taken for one; and
// sequence numbers of strangers, which are read digit by digit.
#include "http/iterator_token.h"

#include "http/sequence_check.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace penstock;

http::TokenKey key() {
  http::TokenKey bytes{};
  bytes[0] = std::byte{42};
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static http::TokenBox box(key());
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const http::TokenKind kind :
       {http::TokenKind::kIterator, http::TokenKind::kShardPage, http::TokenKind::kStreamPage}) {
    // No input can know the key.
    if (box.parse(kind, text)) std::abort();
  }
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return 0;
  // What is one of ours in form must be read alike by those who write them. (A shard beyond 2^31 - 1
  // cannot be: the service reads it as negative.)
  const auto given = http::parse_given_sequence(text);
  const auto ours = proto::SequenceNumber::parse(text);
  if (!ours || ours->shard.raw() > INT32_MAX) return 0;
  const bool alike = given && given->index == ours->index &&
                     given->shard == static_cast<std::int64_t>(ours->shard.raw()) &&
                     given->shard_created_second == ours->shard_created_second;
  if (!alike) std::abort();
  return 0;
}
