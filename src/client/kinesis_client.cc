#include "client/kinesis_client.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <functional>
#include <thread>
#include <utility>

namespace penstock::client {
namespace {

constexpr std::string_view kContentType = "application/x-amz-json-1.1";
constexpr std::string_view kTargetPrefix = "Kinesis_20131202.";

std::uint64_t seed_of_thread() {
  return std::hash<std::thread::id>{}(std::this_thread::get_id()) ^
         static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
}

WallMillis wall_now() {
  return WallMillis(std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count());
}

}  // namespace

std::chrono::milliseconds Backoff::next() {
  std::uniform_int_distribution<std::int64_t> part(bound_.count() / 4, bound_.count());
  bound_ = std::min(bound_ * 2, kLast);
  return std::chrono::milliseconds(part(random_));
}

KinesisClient::KinesisClient(ClientOptions options)
    : options_(std::move(options)),
      identity_{options_.credentials.access_key, options_.credentials.secret_key,
                options_.credentials.session_token, options_.region, "kinesis"},
      authority_(options_.endpoint.authority()),
      connection_(options_.endpoint, options_.tls),
      backoff_(seed_of_thread()) {}

void KinesisClient::write_head(std::string_view operation, std::string_view json) {
  const std::string target = std::string(kTargetPrefix).append(operation);
  const bool token = !identity_.session_token.empty();
  const std::array<proto::HeaderField, 4> headers{
      {{"Host", authority_},
       {"Content-Type", kContentType},
       {"X-Amz-Target", target},
       {"X-Amz-Security-Token", identity_.session_token}}};
  const proto::SignatureHeaders signature = proto::sign_request(
      signer_, identity_, "POST", "/", std::span(headers).first(token ? 4 : 3), json, wall_now());
  head_.clear();
  fmt::format_to(std::back_inserter(head_),
                 "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nX-Amz-Target: {}\r\n"
                 "X-Amz-Date: {}\r\nAuthorization: {}\r\nContent-Length: {}\r\n",
                 authority_, kContentType, target, signature.date_time, signature.authorization,
                 json.size());
  if (token) head_.append("X-Amz-Security-Token: ").append(identity_.session_token).append("\r\n");
  head_ += "\r\n";
}

Outcome<std::string_view> KinesisClient::call_once(std::string_view operation,
                                                   std::string_view json, Effect effect) {
  write_head(operation, json);
  auto exchanged = connection_.exchange(head_, json, response_,
                                        std::min(Clock::now() + options_.timeout, latest_),
                                        effect == Effect::kNone);
  if (!exchanged) return std::unexpected(std::move(exchanged.error()));
  std::string& body = response_.body();
  body.reserve(body.size() + kReplyPadding);
  if (response_.status() != 200) return std::unexpected(service_failure());
  return std::string_view(body);
}

Outcome<std::string_view> KinesisClient::call(std::string_view operation, std::string_view json,
                                              Effect effect) {
  backoff_.reset();
  for (int attempt = 1;; ++attempt) {
    auto reply = call_once(operation, json, effect);
    if (reply || attempt >= options_.attempts_max || !reply.error().transient()) return reply;
    if (effect == Effect::kSome && reply.error().unknown) return reply;
    // Nobody listens: five attempts tell that as well as eight.
    if (reply.error().kind == FailureKind::kUnreachable && attempt >= 5) return reply;
    std::this_thread::sleep_for(backoff_.next());
  }
}

std::int64_t KinesisClient::service_time() const {
  return response_.date() != 0 ? response_.date() : wall_now().raw() / 1'000;
}

Failure KinesisClient::service_failure() {
  Failure failure;
  failure.kind = FailureKind::kService;
  failure.http_status = response_.status();
  failure.unknown = response_.status() >= 500;
  const std::string& body = response_.body();
  simdjson::ondemand::parser parser;
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  const simdjson::padded_string_view view(body.data(), body.size(), body.size() + kReplyPadding);
  if (!parser.iterate(view).get(document) && !document.get_object().get(object)) {
    for (auto field : object) {
      std::string_view key;
      std::string_view value;
      simdjson::ondemand::value raw;
      if (field.unescaped_key().get(key)) break;
      if (field.value().get(raw) || raw.get_string().get(value)) continue;
      if (key == "__type") failure.type = value.substr(value.find('#') + 1);
      if (key == "message" || key == "Message") failure.message = value;
    }
  }
  if (failure.type.empty()) {
    failure.type = fmt::format("HTTP {}", response_.status());
    failure.message = body.substr(0, 200);
  }
  return failure;
}

Outcome<std::string> http_get(const Endpoint& endpoint, std::string_view path,
                              std::chrono::milliseconds timeout) {
  Connection connection(endpoint, nullptr);
  HttpResponse response;
  const std::string head = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                                       path, endpoint.authority());
  auto exchanged = connection.exchange(head, {}, response, Clock::now() + timeout, true);
  if (!exchanged) return std::unexpected(std::move(exchanged.error()));
  if (response.status() != 200) {
    return failed(FailureKind::kProtocol,
                  fmt::format("{}{}: HTTP status {}", endpoint.url(), path, response.status()));
  }
  return std::string(response.body());
}

}  // namespace penstock::client
