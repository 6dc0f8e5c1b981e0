// Where a service is: `https://host[:port]` or `http://host[:port]`, nothing after it but a slash.
#pragma once

#include "client/failure.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::client {

struct Endpoint {
  bool tls = true;
  std::string host = "localhost";  // without the brackets of an IPv6 literal
  std::uint16_t port = 4567;

  [[nodiscard]] static Outcome<Endpoint> parse(std::string_view url);
  [[nodiscard]] std::string url() const;
  // What the Host header says: the port only where it is not the scheme's own.
  [[nodiscard]] std::string authority() const;
};

}  // namespace penstock::client
