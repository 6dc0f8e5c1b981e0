#include "http/exchange.h"

#include "base/ascii.h"

#include <algorithm>
#include <cstring>

namespace penstock::http {

void ResponseBody::append(std::string_view text) {
  if (text.empty()) return;
  std::memcpy(reserve(text.size()).data(), text.data(), text.size());
  commit(text.size());
}

std::string_view Exchange::header(std::string_view lower_case_name) const {
  for (const Header& header : headers) {
    if (base::equals_ignoring_case(header.name, lower_case_name)) return header.value;
  }
  return {};
}

}  // namespace penstock::http
