#include "http/echo.h"

namespace penstock::http {
namespace {

// The length of the character that `text` begins with; 0 where it begins with none.
std::size_t character_bytes(std::string_view text) {
  const auto at = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  const std::size_t bytes = first < 0xC2   ? 0
                            : first < 0xE0 ? 2
                            : first < 0xF0 ? 3
                            : first < 0xF5 ? 4
                                           : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  // Longer than need be, a surrogate, beyond the last character.
  const unsigned second = at(1);
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return wrong ? 0 : bytes;
}

}  // namespace

std::string_view cut(std::string_view text) {
  if (text.size() <= kEchoMax) return text;
  std::size_t end = kEchoMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

std::string echo(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const std::size_t taken = character_bytes(bytes);
    const std::size_t written = taken == 0 ? 1 : taken;
    if (out.size() + written > kEchoMax) break;
    out += taken == 0 ? std::string_view("?") : bytes.substr(0, taken);
    bytes.remove_prefix(written);
  }
  return out;
}

}  // namespace penstock::http
