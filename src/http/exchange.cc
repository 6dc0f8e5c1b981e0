#include "http/exchange.h"

#include <algorithm>
#include <cstring>

namespace penstock::http {

bool equals_ignoring_case(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() &&
         std::equal(text.begin(), text.end(), lower_case.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
         });
}

void ResponseBody::append(std::string_view text) {
  if (text.empty()) return;
  std::memcpy(reserve(text.size()).data(), text.data(), text.size());
  commit(text.size());
}

std::string_view Exchange::header(std::string_view lower_case_name) const {
  for (const Header& header : headers) {
    if (equals_ignoring_case(header.name, lower_case_name)) return header.value;
  }
  return {};
}

}  // namespace penstock::http
