// One header of an HTTP request as a pair of views, shared by the signature code below and by the
// connections above it.
#pragma once

#include <string_view>

namespace penstock::proto {

struct HeaderField {
  std::string_view name;   // as sent; compare with `equals_ignoring_case`
  std::string_view value;  // trimmed
};

}  // namespace penstock::proto
