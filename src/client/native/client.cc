// A client's options, and how it begins and ends.
#include "penstock/client.h"

#include "client/credentials.h"
#include "client/native/client_impl.h"
#include "penstock/admin.h"
#include "penstock/consumer.h"
#include "penstock/producer.h"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

namespace penstock {
namespace {

using client::native::LinkEndpoint;
using client::native::LinkOptions;
using transport::TlsContext;
using transport::TlsProtocol;

constexpr std::uint16_t kPort = 4569;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// "tls://host:port", "tcp://[::1]:port", "host"
Result<LinkEndpoint> parse_endpoint(std::string_view text,
                                    const std::shared_ptr<const TlsContext>& tls) {
  LinkEndpoint endpoint;
  endpoint.port = kPort;
  endpoint.tls = tls;
  if (text.starts_with("tcp://")) endpoint.tls = nullptr;
  if (const auto scheme = text.find("://"); scheme != std::string_view::npos) {
    const std::string_view name = text.substr(0, scheme);
    if (name != "tcp" && name != "tls") return fail(ErrorCode::kConfig, 0, 1);
    text.remove_prefix(scheme + 3);
  }
  const bool bracketed = text.starts_with('[');
  const auto end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == std::string_view::npos) return fail(ErrorCode::kConfig, 0, 1);
  endpoint.host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  std::string_view rest =
      end == std::string_view::npos ? "" : text.substr(end + (bracketed ? 1 : 0));
  if (!rest.empty()) {
    const auto port = rest.front() == ':' ? parse_port(rest.substr(1)) : std::nullopt;
    if (!port) return fail(ErrorCode::kConfig, 0, 1);
    endpoint.port = *port;
  }
  if (endpoint.host.empty()) return fail(ErrorCode::kConfig, 0, 1);
  return endpoint;
}

Result<std::shared_ptr<TlsContext>> trust(const std::string& ca_file) {
  std::string pem;
  if (!ca_file.empty()) {
    std::ifstream file(ca_file);
    pem.assign(std::istreambuf_iterator<char>(file), {});
    if (pem.empty()) return fail(ErrorCode::kConfig, 0, 2);
  }
  auto context = TlsContext::client(pem, TlsProtocol::kNative);
  if (!context) return fail(ErrorCode::kConfig, 0, 2);
  return context;
}

Result<client::Credentials> find_credentials(const ClientOptions& options) {
  if (!options.access_key.empty())
    return client::Credentials{options.access_key, options.secret_key, {}};
  if (options.profile.empty() && options.profile_file.empty()) {
    const std::string key = variable("AWS_ACCESS_KEY_ID");
    if (!key.empty()) return client::Credentials{key, variable("AWS_SECRET_ACCESS_KEY"), {}};
  }
  std::string profile = options.profile.empty() ? variable("AWS_PROFILE") : options.profile;
  if (profile.empty()) profile = "default";
  std::string file = options.profile_file;
  if (file.empty()) file = variable("AWS_SHARED_CREDENTIALS_FILE");
  if (file.empty()) file = variable("HOME") + "/.aws/credentials";
  const auto section = client::read_profile(file, profile);
  if (!section || !section->has_value()) return fail(ErrorCode::kConfig, 0, 3);
  const auto found = client::credentials_of(**section);
  if (!found) return fail(ErrorCode::kConfig, 0, 3);
  return *found;
}

Result<LinkOptions> link_options(const ClientOptions& options) {
  LinkOptions link;
  link.client = options.name;
  auto credentials = find_credentials(options);
  if (!credentials) return std::unexpected(credentials.error());
  link.access_key = credentials->access_key;
  link.secret_key = credentials->secret_key;
  auto tls = trust(options.ca_file);
  if (!tls) return std::unexpected(tls.error());
  for (const std::string& text : options.endpoints) {
    auto endpoint = parse_endpoint(text, *tls);
    if (!endpoint) return std::unexpected(endpoint.error());
    link.endpoints.push_back(std::move(*endpoint));
  }
  if (link.endpoints.empty()) return fail(ErrorCode::kConfig, 0, 1);
  return link;
}

}  // namespace

Client::Client(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() { impl_->close(); }

Result<std::shared_ptr<Client>> Client::connect(const ClientOptions& options) {
  auto link = link_options(options);
  if (!link) return std::unexpected(link.error());
  auto impl = std::make_shared<Impl>(std::move(*link));
  impl->start();
  std::shared_ptr<Client> client(new Client(impl));
  if (impl->wait_until_connected(options.connect_timeout)) return client;
  return fail(impl->status().code);
}

void Client::close() {
  if (!impl_->on_thread()) impl_->close();
}

bool Client::connected() const { return impl_->status().connected; }

std::string Client::problem() const { return impl_->status().problem; }

}  // namespace penstock
