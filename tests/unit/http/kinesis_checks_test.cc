// Goal: requests are judged in the service's order, and every answer carries the service's headers.
// Method: every combination of method, origin, content type, target, body and signature against a
// table of what must come out; then each kind of answer by hand.
#include "tests/support/kinesis_harness.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::http {
namespace {

using test::FakeExchange;
using test::KinesisHarness;

struct Combination {
  std::string method;
  std::string content_type;
  std::string target;
  std::string body;
  bool origin = false;
  bool signed_request = false;
};

struct Outcome {
  int status = 0;
  std::string content_type;
  std::string body;
};

constexpr const char* kDenied =
    "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be "
    "authorized</Message>\n</AccessDeniedException>\n";

std::string cbor_error(std::string_view type) {
  std::string text = "\xBF\x66__type";
  text += type.size() < 24 ? std::string(1, static_cast<char>(0x60 | type.size()))
                           : std::string("\x78") + static_cast<char>(type.size());
  return text.append(type) + "\xFF";
}

Outcome expected(const Combination& c) {
  const std::string json = "application/x-amz-json-1.1";
  const bool known = c.target == "Kinesis_20131202.ListStreams";
  if (c.method == "OPTIONS" && c.origin) return {200, "", ""};
  if (c.method != "POST") return {403, "", kDenied};
  if (c.body.empty()) {
    const std::string type = known ? "SerializationException" : "UnknownOperationException";
    if (c.content_type == json) return {400, json, "{\"__type\":\"" + type + "\"}"};
    return {400, "application/x-amz-cbor-1.1", cbor_error(type)};
  }
  if (c.content_type != json && c.content_type != "application/json") {
    const std::size_t dot = c.target.find('.');
    if (dot == std::string::npos || dot + 1 == c.target.size()) return {403, "", kDenied};
    return {404, "", "<UnknownOperationException/>\n"};
  }
  const bool object = c.body == "{}";
  if (c.content_type == "application/json") {
    const std::string type = object ? "UnknownOperationException" : "SerializationException";
    return {
        object ? 404 : 400, "application/json",
        "{\"Output\":{\"__type\":\"com.amazon.coral.service#" + type + "\"},\"Version\":\"1.0\"}"};
  }
  if (!object) return {400, json, R"({"__type":"SerializationException"})"};
  if (!known) return {400, json, R"({"__type":"UnknownOperationException"})"};
  if (!c.signed_request) {
    return {
        400, json,
        R"({"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"})"};
  }
  return {200, json, R"({"StreamNames":[],"HasMoreStreams":false,"StreamSummaries":[]})"};
}

void try_one(KinesisHarness& kinesis, const Combination& c) {
  SCOPED_TRACE(c.method + " '" + c.content_type + "' '" + c.target + "' '" + c.body + "'" +
               (c.origin ? " origin" : "") + (c.signed_request ? " signed" : ""));
  FakeExchange exchange;
  exchange.method = c.method;
  exchange.target = "/whatever";
  exchange.set_header("Host", "localhost");
  if (!c.content_type.empty()) exchange.set_header("Content-Type", c.content_type);
  if (!c.target.empty()) exchange.set_header("X-Amz-Target", c.target);
  if (c.origin) exchange.set_header("Origin", "http://somewhere");
  exchange.set_body(c.body);
  if (c.signed_request) exchange.sign(kinesis.client, kinesis.data.wall());
  kinesis.send(exchange);
  const Outcome wanted = expected(c);
  EXPECT_EQ(exchange.status(), wanted.status);
  EXPECT_EQ(exchange.content_type(), wanted.content_type);
  EXPECT_EQ(exchange.text(), wanted.body);
  const std::string& headers = exchange.extra_headers();
  EXPECT_NE(headers.find("x-amzn-RequestId: "), std::string::npos);
  const bool preflight = c.method == "OPTIONS" && c.origin;
  EXPECT_EQ(headers.find("x-amz-id-2: ") == std::string::npos, preflight);
  EXPECT_EQ(headers.find("Access-Control-Allow-Origin: *\r\n") != std::string::npos, c.origin);
}

TEST(KinesisChecks, ComeInTheServicesOrder) {
  KinesisHarness kinesis;
  for (const char* method : {"OPTIONS", "GET", "PUT", "DELETE", "POST"}) {
    for (const char* type : {"", "application/x-amz-json-1.0", "application/x-amz-json-1.1",
                             "application/json", "text/plain"}) {
      for (const char* target : {"", "whatever", "Kinesis_20131202.", "Kinesis_20131202.whatever",
                                 "whatever.ListStreams", "Kinesis_20131202.ListStreams"}) {
        for (const char* body : {"", "hello", "true", "null", "[]", "{}"}) {
          for (const bool origin : {false, true}) {
            for (const bool sign : {false, true}) {
              try_one(kinesis, {method, type, target, body, origin, sign});
            }
          }
        }
      }
    }
  }
}

TEST(KinesisChecks, SignatureComesBeforeTypes) {
  KinesisHarness kinesis;
  kinesis.client.secret_access_key = "another secret";
  const test::Answer answer = kinesis.call("DescribeStream", R"({"StreamName":23})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("InvalidSignatureException"), std::string::npos) << answer.body;
  EXPECT_EQ(kinesis.service.counters().unauthenticated, 1U);
  EXPECT_EQ(kinesis.service.counters().answered_with(Operation::kDescribeStream, 400), 1U);
}

// What a request with this body is told, by its signature: none, a wrong one, a right one.
class KinesisSize : public testing::Test {
 protected:
  enum class Signed : std::uint8_t { kNo, kWrongly, kRightly };

  std::string told(Signed how, std::string_view target, const std::string& body,
                   const char* type = "application/x-amz-json-1.1") {
    FakeExchange exchange;
    exchange.method = "POST";
    exchange.target = "/";
    exchange.received = kinesis_.now;
    exchange.set_header("Host", "localhost");
    exchange.set_header("Content-Type", type);
    exchange.set_header("X-Amz-Target", "Kinesis_20131202." + std::string(target));
    exchange.set_body(body);
    proto::ClientCredentials client = kinesis_.client;
    if (how == Signed::kWrongly) client.secret_access_key = "another secret";
    if (how != Signed::kNo) exchange.sign(client, kinesis_.data.wall());
    kinesis_.send(exchange);
    for (const char* name :
         {"SerializationException", "UnknownOperationException", "InvalidSignatureException",
          "MissingAuthenticationTokenException", "ResourceNotFoundException"}) {
      if (exchange.text().find(name) != std::string::npos) return name;
    }
    return std::to_string(exchange.status());
  }
  static std::string unclosed(std::size_t bytes) {
    return R"({"Limit":1)" + std::string(bytes - 10, ' ');
  }
  static std::string closed(std::size_t bytes) { return unclosed(bytes - 1) + "}"; }

  static constexpr std::size_t kUpTo = kParsedUnsignedBytesMax;
  static constexpr std::size_t kBeyond = kParsedUnsignedBytesMax + 1;
  KinesisHarness kinesis_;
};

TEST_F(KinesisSize, UpToTheLimitParsingAndTargetComeBeforeTheSignature) {
  ASSERT_EQ(unclosed(kUpTo).size(), kUpTo);
  for (const Signed how : {Signed::kNo, Signed::kWrongly, Signed::kRightly}) {
    EXPECT_EQ(told(how, "ListStreams", unclosed(kUpTo)), "SerializationException");
    EXPECT_EQ(told(how, "whatever", unclosed(kUpTo)), "SerializationException");
    EXPECT_EQ(told(how, "whatever", closed(kUpTo)), "UnknownOperationException");
  }
  EXPECT_EQ(kinesis_.service.counters().unauthenticated, 0U);
  EXPECT_EQ(told(Signed::kNo, "ListStreams", closed(kUpTo)), "MissingAuthenticationTokenException");
  EXPECT_EQ(told(Signed::kRightly, "ListStreams", closed(kUpTo)), "200");
}

TEST_F(KinesisSize, BeyondTheLimitTheSignatureComesFirst) {
  for (const char* target : {"ListStreams", "PutRecord", "PutRecords", "whatever"}) {
    SCOPED_TRACE(target);
    EXPECT_EQ(told(Signed::kNo, target, unclosed(kBeyond)), "MissingAuthenticationTokenException");
    EXPECT_EQ(told(Signed::kWrongly, target, unclosed(kBeyond)), "InvalidSignatureException");
    EXPECT_EQ(told(Signed::kRightly, target, unclosed(kBeyond)), "SerializationException");
  }
  EXPECT_EQ(kinesis_.service.counters().unauthenticated, 8U);
  EXPECT_EQ(told(Signed::kRightly, "whatever", closed(kBeyond)), "UnknownOperationException");
  EXPECT_EQ(told(Signed::kRightly, "ListStreams", closed(kBeyond)), "200");
  EXPECT_EQ(kinesis_.service.counters().unauthenticated, 8U);
}

TEST_F(KinesisSize, BeyondTheLimitPlainJsonIsNotParsed) {
  const char* const plain = "application/json";
  EXPECT_EQ(told(Signed::kNo, "ListStreams", unclosed(kUpTo), plain), "SerializationException");
  EXPECT_EQ(told(Signed::kNo, "ListStreams", unclosed(kBeyond), plain),
            "UnknownOperationException");
}

TEST(KinesisChecks, UnknownKeysAreTold) {
  KinesisHarness kinesis;
  kinesis.client.access_key_id = "AKIANOBODY";
  const test::Answer answer =
      kinesis.call("PutRecord", R"({"StreamName":"s","PartitionKey":"k","Data":""})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("UnrecognizedClientException"), std::string::npos) << answer.body;
}

TEST(KinesisChecks, BodiesBeyondTheLimitAre413) {
  KinesisHarness kinesis({.body_bytes_max = 1024});
  const test::Answer answer =
      kinesis.call("ListStreams", "{\"Limit\":1" + std::string(1024, ' ') + "}");
  EXPECT_EQ(answer, (test::Answer{413, ""}));
}

TEST(KinesisChecks, CborIsRefusedInCborWithTheRemedy) {
  KinesisHarness kinesis;
  FakeExchange exchange;
  exchange.method = "POST";
  exchange.target = "/";
  exchange.set_header("Host", "localhost");
  exchange.set_header("Content-Type", "application/x-amz-cbor-1.1");
  exchange.set_header("X-Amz-Target", "Kinesis_20131202.ListStreams");
  exchange.set_body("\xA0");
  exchange.sign(kinesis.client, kinesis.data.wall());
  kinesis.send(exchange);
  EXPECT_EQ(exchange.status(), 400);
  EXPECT_EQ(exchange.content_type(), "application/x-amz-cbor-1.1");
  EXPECT_TRUE(
      exchange.text().starts_with("\xBF\x66__type\x76SerializationException\x67message\x78"));
  EXPECT_NE(exchange.text().find("CBOR_ENABLED=false"), std::string::npos);
  EXPECT_TRUE(exchange.text().ends_with('\xFF'));
}

TEST(KinesisChecks, ContentTypesAreComparedUpToTheSemicolon) {
  KinesisHarness kinesis;
  FakeExchange exchange;
  exchange.method = "POST";
  exchange.target = "/";
  exchange.set_header("Host", "localhost");
  exchange.set_header("Content-Type", "application/x-amz-json-1.1 ; charset=utf-8");
  exchange.set_header("X-Amz-Target", "Kinesis_20131202.ListStreams");
  exchange.set_body("{}");
  exchange.sign(kinesis.client, kinesis.data.wall());
  kinesis.send(exchange);
  EXPECT_EQ(exchange.status(), 200);
}

TEST(KinesisChecks, PreflightEchoesWhatIsAsked) {
  KinesisHarness kinesis;
  FakeExchange exchange;
  exchange.method = "OPTIONS";
  exchange.target = "/";
  exchange.set_header("Origin", "http://somewhere");
  exchange.set_header("Access-Control-Request-Headers", "a, b, c");
  exchange.set_header("Access-Control-Request-Method", "d");
  kinesis.send(exchange);
  const std::string& headers = exchange.extra_headers();
  EXPECT_NE(headers.find("Access-Control-Allow-Headers: a, b, c\r\n"), std::string::npos);
  EXPECT_NE(headers.find("Access-Control-Allow-Methods: d\r\n"), std::string::npos);
  EXPECT_NE(headers.find("Access-Control-Max-Age: 172800\r\n"), std::string::npos);
}

TEST(KinesisChecks, RequestIdsAreUuidsAndDiffer) {
  KinesisHarness kinesis;
  std::string ids[2];
  for (std::string& id : ids) {
    FakeExchange exchange;
    kinesis.prepare(exchange, "ListStreams", "{}");
    kinesis.send(exchange);
    const std::string& headers = exchange.extra_headers();
    const std::string name = "x-amzn-RequestId: ";
    id = headers.substr(headers.find(name) + name.size(), 36);
    for (std::size_t i = 0; i < id.size(); ++i) {
      const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
      EXPECT_EQ(id[i] == '-', dash) << id;
    }
    EXPECT_EQ(id[14], '4') << id;
  }
  EXPECT_NE(ids[0], ids[1]);
}

}  // namespace
}  // namespace penstock::http
