#include "tests/sim/wire_client.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <utility>

namespace penstock::sim {

WireClient::WireClient(drivers::SimNetwork& network, std::uint16_t port,
                       const proto::ClientCredentials& credentials)
    : network_(&network),
      port_(port),
      credentials_(credentials),
      signer_(std::make_unique<proto::Signer>()) {}

void WireClient::call(std::string_view operation, std::string_view body, WallMillis wall) {
  const std::string target = fmt::format("Kinesis_20131202.{}", operation);
  const std::array<proto::HeaderField, 3> signed_headers = {
      proto::HeaderField{"host", "localhost"},
      proto::HeaderField{"content-type", "application/x-amz-json-1.1"},
      proto::HeaderField{"x-amz-target", target}};
  const proto::SignatureHeaders signature =
      proto::sign_request(*signer_, credentials_, "POST", "/", signed_headers, body, wall);
  const std::string request = fmt::format(
      "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.1\r\n"
      "x-amz-target: {}\r\nx-amz-date: {}\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n{}",
      target, signature.date_time, signature.authorization, body.size(), body);
  if (connection_ && ended()) hang_up();
  if (!connection_) connection_ = network_->connect(port_);
  received_.clear();
  in_flight_ = true;
  network_->client_send(*connection_, request);
}

std::optional<WireAnswer> WireClient::poll() {
  if (!in_flight_) return std::nullopt;
  const std::string more = network_->client_take(*connection_);
  if (!more.empty()) {
    received_ += more;
    if (std::optional<WireAnswer> answer = parse()) {
      in_flight_ = false;
      return answer;
    }
  }
  if (!ended()) return std::nullopt;
  in_flight_ = false;
  hang_up();
  return WireAnswer{};
}

void WireClient::drop() {
  in_flight_ = false;
  hang_up();
  received_.clear();
}

void WireClient::hang_up() {
  if (connection_) network_->client_close(*connection_);
  connection_.reset();
}

bool WireClient::ended() {
  return network_->client_at_end(*connection_) || network_->client_error(*connection_) != 0;
}

std::optional<WireAnswer> WireClient::parse() {
  const std::size_t end = received_.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  const std::string_view head = std::string_view(received_).substr(0, end);
  constexpr std::string_view kLength = "Content-Length: ";
  std::size_t length = 0;
  if (const std::size_t at = head.find(kLength); at != std::string_view::npos) {
    std::from_chars(head.data() + at + kLength.size(), head.data() + end, length);
  }
  if (received_.size() < end + 4 + length) return std::nullopt;
  WireAnswer answer;
  std::from_chars(head.data() + 9, head.data() + 12, answer.status);
  const bool closes = head.find("Connection: close") != std::string_view::npos;
  answer.body = received_.substr(end + 4, length);
  if (closes) hang_up();
  return answer;
}

std::optional<std::string> json_member(std::string_view json, std::string_view name,
                                       std::size_t& from) {
  const std::string quoted = fmt::format("\"{}\":", name);
  const std::size_t at = json.find(quoted, from);
  if (at == std::string_view::npos) return std::nullopt;
  std::size_t begin = at + quoted.size();
  if (begin < json.size() && json[begin] == '"') {
    const std::size_t end = json.find('"', ++begin);
    if (end == std::string_view::npos) return std::nullopt;
    from = end + 1;
    return std::string(json.substr(begin, end - begin));
  }
  const std::size_t end = json.find_first_of(",]}", begin);
  if (end == std::string_view::npos) return std::nullopt;
  from = end;
  return std::string(json.substr(begin, end - begin));
}

namespace {

// The objects of the array `name`, one by one; strings hold no braces here.
std::vector<std::string_view> objects(std::string_view json, std::string_view name) {
  std::vector<std::string_view> found;
  const std::string opening = fmt::format("\"{}\":[", name);
  std::size_t at = json.find(opening);
  if (at == std::string_view::npos) return found;
  at += opening.size();
  int depth = 0;
  std::size_t begin = at;
  for (; at < json.size(); ++at) {
    if (json[at] == '{' && depth++ == 0) begin = at;
    if (json[at] == '}' && --depth == 0) found.push_back(json.substr(begin, at - begin + 1));
    if (json[at] == ']' && depth == 0) break;
  }
  return found;
}

std::string member_or(std::string_view json, std::string_view name) {
  std::size_t from = 0;
  return json_member(json, name, from).value_or("");
}

}  // namespace

std::vector<SeenRecord> parse_records(std::string_view json) {
  std::vector<SeenRecord> records;
  for (const std::string_view object : objects(json, "Records")) {
    records.push_back({member_or(object, "SequenceNumber"), member_or(object, "PartitionKey"),
                       unbase64(member_or(object, "Data"))});
  }
  return records;
}

std::vector<SeenShard> parse_shards(std::string_view json) {
  std::vector<SeenShard> shards;
  for (const std::string_view object : objects(json, "Shards")) {
    SeenShard shard;
    shard.id = member_or(object, "ShardId");
    shard.parent = member_or(object, "ParentShardId");
    shard.adjacent_parent = member_or(object, "AdjacentParentShardId");
    shard.begin = member_or(object, "StartingHashKey");
    shard.end = member_or(object, "EndingHashKey");
    shards.push_back(std::move(shard));
  }
  return shards;
}

std::string base64(std::string_view plain) {
  std::string out(4 * ((plain.size() + 2) / 3) + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(plain.data()),
                                static_cast<int>(plain.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

std::string unbase64(std::string_view text) {
  std::string out(text.size() / 4 * 3 + 4, '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(text.data()),
                                static_cast<int>(text.size()));
  if (n < 0) return {};
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(n) - padding);
  return out;
}

}  // namespace penstock::sim
