#include "http/reply.h"

#include "http/base64.h"
#include "http/json_writer.h"

#include <bit>
#include <cstring>
#include <span>
#include <string>

namespace penstock::http {

namespace {

constexpr std::string_view kExposedHeaders =
    "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date";

char* write_hex_digits(std::uint64_t value, unsigned digits, char* out) {
  constexpr char kHex[] = "0123456789abcdef";
  for (unsigned i = digits; i-- > 0;) *out++ = kHex[(value >> (i * 4)) & 15];
  return out;
}

// 8-4-4-4-12, version 4.
char* write_uuid(std::uint64_t high, std::uint64_t low, char* out) {
  high = (high & ~0xF000ULL) | 0x4000ULL;
  low = (low & ~(3ULL << 62)) | (2ULL << 62);
  out = write_hex_digits(high >> 32, 8, out);
  *out++ = '-';
  out = write_hex_digits(high >> 16, 4, out);
  *out++ = '-';
  out = write_hex_digits(high, 4, out);
  *out++ = '-';
  out = write_hex_digits(low >> 48, 4, out);
  *out++ = '-';
  return write_hex_digits(low, 12, out);
}

// A CBOR text string of any length.
void append_cbor_text(ResponseBody& body, std::string_view text) {
  constexpr unsigned kTextString = 3U << 5;
  std::string head;
  const std::size_t size = text.size();
  const unsigned width = size < 24 ? 0 : size < 256 ? 1 : size < 65536 ? 2 : 4;
  const unsigned code = width == 0   ? static_cast<unsigned>(size)
                        : width == 1 ? 24
                        : width == 2 ? 25
                                     : 26;
  head.push_back(static_cast<char>(kTextString | code));
  for (unsigned i = width; i-- > 0;) head.push_back(static_cast<char>((size >> (8 * i)) & 255));
  body.append(head);
  body.append(text);
}

// The service capitalises the member in this one error, and in JSON alone.
std::string_view message_member(const proto::KinesisError& error, WireFormat format) {
  const bool capital = format == WireFormat::kJson && error.type == "SerializationException";
  return capital ? "Message" : "message";
}

void write_error(ResponseBody& body, WireFormat format, const proto::KinesisError& error) {
  const std::string_view member = message_member(error, format);
  if (format == WireFormat::kJson) {
    JsonWriter json(body);
    json.begin_object().key("__type").string(error.type);
    if (!error.message.empty()) json.key(member).string(error.message);
    json.end_object();
    return;
  }
  constexpr char kMapOpen = '\xBF';
  constexpr char kBreak = '\xFF';
  body.append({&kMapOpen, 1});
  append_cbor_text(body, "__type");
  append_cbor_text(body, error.type);
  if (!error.message.empty()) {
    append_cbor_text(body, member);
    append_cbor_text(body, error.message);
  }
  body.append({&kBreak, 1});
}

}  // namespace

Replier::Replier(env::Entropy& entropy, KinesisCounters& counters) : counters_(counters), state_{} {
  entropy.fill(std::as_writable_bytes(std::span(state_)));
  // A state of zeros would stay there.
  state_[0] |= 1;
}

// xoshiro256++ (D. Blackman and S. Vigna): request ids must differ, not be unpredictable.
std::uint64_t Replier::random() {
  const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

char* Replier::write_headers(const Exchange& exchange, bool with_id_2, char* out) {
  out = write_text("x-amzn-RequestId: ", out);
  const std::uint64_t high = random();
  out = write_uuid(high, random(), out);
  out = write_text("\r\n", out);
  if (with_id_2) {
    std::array<std::uint64_t, 9> id;
    for (std::uint64_t& word : id) word = random();
    out = write_text("x-amz-id-2: ", out);
    out = base64_encode(std::as_bytes(std::span(id)), out);
    out = write_text("\r\n", out);
  }
  if (exchange.header("origin").empty()) return out;
  return write_text("Access-Control-Allow-Origin: *\r\n", out);
}

void Replier::send(Exchange& exchange, int status, std::string_view content_type, Nanos now) {
  std::array<char, kHeaderBytesMax> headers;
  char* end = write_headers(exchange, true, headers.data());
  if (!exchange.header("origin").empty()) {
    end = write_text("Access-Control-Expose-Headers: ", end);
    end = write_text(kExposedHeaders, end);
    end = write_text("\r\n", end);
  }
  respond(exchange, status, content_type,
          {headers.data(), static_cast<std::size_t>(end - headers.data())}, now);
}

// The one way out: behind `respond` the exchange is the connection's again.
void Replier::respond(Exchange& exchange, int status, std::string_view content_type,
                      std::string_view headers, Nanos now) {
  counters_.answered(static_cast<Operation>(exchange.counted_as), status);
  exchange.respond(status, content_type, headers, now);
}

void Replier::json(Exchange& exchange, int status, Nanos now) {
  send(exchange, status, kJsonType, now);
}

void Replier::nothing(Exchange& exchange, Nanos now) {
  exchange.response().clear();
  send(exchange, 200, kJsonType, now);
}

void Replier::error(Exchange& exchange, WireFormat format, const proto::KinesisError& error,
                    Nanos now) {
  exchange.response().clear();
  write_error(exchange.response(), format, error);
  send(exchange, error.http_status, format == WireFormat::kJson ? kJsonType : kCborType, now);
}

void Replier::wrapped_error(Exchange& exchange, int status, std::string_view type, Nanos now) {
  exchange.response().clear();
  JsonWriter json(exchange.response());
  json.begin_object().key("Output").begin_object();
  json.key("__type").string(std::string("com.amazon.coral.service#").append(type));
  json.end_object().key("Version").string("1.0").end_object();
  send(exchange, status, kPlainJsonType, now);
}

void Replier::xml_error(Exchange& exchange, int status, std::string_view type,
                        std::string_view message, Nanos now) {
  ResponseBody& body = exchange.response();
  body.clear();
  const std::string name(type);
  if (message.empty()) {
    body.append("<" + name + "/>\n");
  } else {
    body.append("<" + name + ">\n  <Message>" + std::string(message) + "</Message>\n</" + name +
                ">\n");
  }
  send(exchange, status, {}, now);
}

void Replier::too_large(Exchange& exchange, Nanos now) {
  exchange.response().clear();
  send(exchange, 413, {}, now);
}

void Replier::preflight(Exchange& exchange, Nanos now) {
  std::array<char, kHeaderBytesMax> fixed;
  const char* end = write_headers(exchange, false, fixed.data());
  std::string headers(static_cast<const char*>(fixed.data()), end);
  const std::string_view wanted = exchange.header("access-control-request-headers");
  if (!wanted.empty())
    headers.append("Access-Control-Allow-Headers: ").append(wanted).append("\r\n");
  const std::string_view method = exchange.header("access-control-request-method");
  if (!method.empty())
    headers.append("Access-Control-Allow-Methods: ").append(method).append("\r\n");
  headers.append("Access-Control-Expose-Headers: ").append(kExposedHeaders).append("\r\n");
  headers.append("Access-Control-Max-Age: 172800\r\n");
  exchange.response().clear();
  respond(exchange, 200, {}, headers, now);
}

}  // namespace penstock::http
