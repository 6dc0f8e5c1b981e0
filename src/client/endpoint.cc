#include "client/endpoint.h"

#include <fmt/format.h>

#include <charconv>

namespace penstock::client {
namespace {

std::unexpected<Failure> not_an_endpoint(std::string_view url) {
  return failed(FailureKind::kLocal,
                fmt::format("'{}' is not an endpoint; one looks like https://localhost:4567", url));
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

}  // namespace

Outcome<Endpoint> Endpoint::parse(std::string_view url) {
  Endpoint endpoint;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    endpoint.tls = false;
  } else {
    return not_an_endpoint(url);
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  endpoint.port = endpoint.tls ? 443 : 80;
  std::string_view port;
  bool has_port = false;
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos) return not_an_endpoint(url);
    endpoint.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    has_port = rest.starts_with(':');
    if (!has_port && !rest.empty()) return not_an_endpoint(url);
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = rest.find(':');
    endpoint.host = rest.substr(0, colon);
    has_port = colon != std::string_view::npos;
    if (has_port) port = rest.substr(colon + 1);
  }
  if (endpoint.host.empty() || endpoint.host.find_first_of("/?#@ ") != std::string::npos) {
    return not_an_endpoint(url);
  }
  if (has_port && !parse_port(port, endpoint.port)) return not_an_endpoint(url);
  return endpoint;
}

std::string Endpoint::authority() const {
  const bool literal = host.find(':') != std::string::npos;
  const std::string name = literal ? "[" + host + "]" : host;
  return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

std::string Endpoint::url() const { return (tls ? "https://" : "http://") + authority(); }

}  // namespace penstock::client
