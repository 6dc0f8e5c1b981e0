// Goal: only authentic requests pass, and each other kind gets the service's refusal. Method: requests
// signed by the client half, changed one thing at a time.
#include "http/sigv4_verify.h"

#include "http/echo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace penstock::http {
namespace {

class NoBody final : public ResponseBody {
 public:
  std::span<char> reserve(std::size_t) override { return {}; }
  void commit(std::size_t) override {}
  std::size_t size() const override { return 0; }
  void clear() override {}
};

class Request final : public Exchange {
 public:
  std::size_t reserve_answer(std::size_t, std::size_t most, Nanos) override { return most; }
  bool abandoned() const override { return false; }
  ResponseBody& response() override { return body_; }
  void respond(int, std::string_view, std::string_view, Nanos) override {}
  std::span<std::byte> service_storage() override { return {}; }

 private:
  NoBody body_;
};

constexpr std::int64_t kWall = 1385959815'000;  // 2013-12-02 04:50:15

class Sigv4Verify : public testing::Test {
 protected:
  Sigv4Verify() {
    client_.access_key_id = "AKIDEXAMPLE";
    client_.secret_access_key = "secret";
    set("Host", "localhost:4567");
    set("Content-Type", "application/x-amz-json-1.1");
    set("X-Amz-Target", "Kinesis_20131202.ListStreams");
  }

  void set(const std::string& name, const std::string& value) { fields_.emplace_back(name, value); }

  std::vector<Header> views() const {
    std::vector<Header> list;
    for (const auto& [name, value] : fields_) list.push_back({name, value});
    return list;
  }

  void sign() {
    const auto made =
        proto::sign_request(signer_, client_, "POST", target_, views(), body_, WallMillis(kWall));
    set("X-Amz-Date", made.date_time);
    set("Authorization", made.authorization);
  }

  std::string& value(std::string_view name) {
    for (auto& [field, text] : fields_) {
      if (field == name) return text;
    }
    throw std::logic_error("no such header");
  }

  void replace(std::string_view name, const std::string& from, const std::string& to) {
    std::string& text = value(name);
    text.replace(text.find(from), from.size(), to);
  }

  // "" when authentic, else type and message.
  std::string verdict(std::int64_t wall = kWall) {
    Request request;
    request.method = "POST";
    request.target = target_;
    const std::vector<Header> list = views();
    request.headers = list;
    const auto digest = proto::sha256(body_);
    std::copy(digest.begin(), digest.end(), request.body_sha256);
    const auto error = verifier_->verify(request, WallMillis(wall));
    if (error) {
      EXPECT_EQ(error->http_status, 400);
      EXPECT_EQ(verifier_->principal(), nullptr);
    }
    return error ? error->type + ": " + error->message : "";
  }

  std::vector<std::pair<std::string, std::string>> fields_;
  std::string target_ = "/";
  std::string body_ = "{}";
  proto::ClientCredentials client_;
  proto::Signer signer_;
  std::unique_ptr<Sigv4Verifier> verifier_ = std::make_unique<Sigv4Verifier>(
      std::make_shared<const CredentialSet>(std::vector<Credential>{
          {.access_key_id = "TEMPORARY",
           .secret_access_key = "secret",
           .session_token = "token",
           .expires_ms = kWall + 1000},
          {.access_key_id = "AKIDEXAMPLE", .secret_access_key = "secret", .session_token = {}}}),
      "us-east-1");
};

constexpr const char* kMismatch =
    "InvalidSignatureException: The request signature we calculated does not match the signature "
    "you provided. Check your AWS Secret Access Key and signing method. Consult the service "
    "documentation for details.";

TEST_F(Sigv4Verify, AcceptsWhatItsClientSigned) {
  sign();
  EXPECT_EQ(verdict(), "");
  ASSERT_NE(verifier_->principal(), nullptr);
  EXPECT_EQ(verifier_->principal()->access_key_id, "AKIDEXAMPLE");
}

TEST_F(Sigv4Verify, RefusesAChangedBodyTargetOrHeader) {
  sign();
  body_ = "{ }";
  EXPECT_EQ(verdict(), kMismatch);
  body_ = "{}";
  target_ = "/x";
  EXPECT_EQ(verdict(), kMismatch);
  target_ = "/";
  value("X-Amz-Target") = "Kinesis_20131202.DeleteStream";
  EXPECT_EQ(verdict(), kMismatch);
}

TEST_F(Sigv4Verify, RefusesAWrongSecret) {
  client_.secret_access_key = "guess";
  sign();
  EXPECT_EQ(verdict(), kMismatch);
}

TEST_F(Sigv4Verify, RefusesAStatedBodyHashThatIsNotTheBodys) {
  set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
  sign();
  EXPECT_EQ(verdict(), kMismatch);
}

TEST_F(Sigv4Verify, NeedsASignatureOfOneForm) {
  EXPECT_EQ(verdict(), "MissingAuthenticationTokenException: Missing Authentication Token");
  sign();
  target_ = "/?X-Amz-Algorithm=x";
  EXPECT_EQ(verdict(),
            "InvalidSignatureException: Found both 'X-Amz-Algorithm' as a query-string param and "
            "'Authorization' as HTTP header.");
}

TEST_F(Sigv4Verify, NamesEveryMissingPartOfTheHeader) {
  set("Authorization", "a");
  EXPECT_EQ(verdict(),
            "IncompleteSignatureException: Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'Signature' parameter. Authorization header requires "
            "'SignedHeaders' parameter. Authorization header requires existence of either a "
            "'X-Amz-Date' or a 'Date' header. Authorization=a");
  value("Authorization") = "AWS4- Signature=b,Credential=a";
  EXPECT_EQ(verdict(),
            "IncompleteSignatureException: Authorization header requires 'SignedHeaders' "
            "parameter. Authorization header requires existence of either a 'X-Amz-Date' or a "
            "'Date' header. Authorization=AWS4- Signature=b,Credential=a");
}

TEST_F(Sigv4Verify, NamesEveryMissingPartOfTheQuery) {
  target_ = "/?X-Amz-Algorithm";
  EXPECT_EQ(verdict(),
            "IncompleteSignatureException: AWS query-string parameters must include "
            "'X-Amz-Algorithm'. AWS query-string parameters must include 'X-Amz-Credential'. AWS "
            "query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters "
            "must include 'X-Amz-SignedHeaders'. AWS query-string parameters must include "
            "'X-Amz-Date'. Re-examine the query-string parameters.");
  target_ = "/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d";
  EXPECT_EQ(verdict(),
            "IncompleteSignatureException: AWS query-string parameters must include "
            "'X-Amz-SignedHeaders'. Re-examine the query-string parameters.");
}

TEST_F(Sigv4Verify, RefusesOtherAlgorithms) {
  sign();
  replace("Authorization", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256");
  EXPECT_EQ(verdict(),
            "IncompleteSignatureException: Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.");
}

// A refusal is a JSON string: valid UTF-8, and no longer than it must be.
TEST_F(Sigv4Verify, RepeatsLittleAndOnlyText) {
  const std::string bytes(20'000, '\xff');
  const std::string shown(2048, '?');
  set("Authorization", bytes);
  EXPECT_TRUE(verdict().ends_with(" Authorization=" + shown));
  fields_.pop_back();
  sign();
  replace("Authorization", "AWS4-HMAC-SHA256", bytes);
  EXPECT_EQ(verdict(),
            "IncompleteSignatureException: Unsupported AWS 'algorithm': '" + shown + "'.");
  replace("Authorization", bytes, "AWS4-HMAC-SHA256");
  ASSERT_EQ(verdict(), "");
  replace("Authorization", "us-east-1", bytes);
  EXPECT_TRUE(verdict().ends_with("not '" + shown + "'. "));
  replace("Authorization", bytes, "us-east-1");
  replace("Authorization", "aws4_request", bytes);
  EXPECT_TRUE(verdict().ends_with("not '" + shown + "'. "));
  replace("Authorization", bytes, "aws4_request");
  replace("Authorization", "20131202", bytes);
  EXPECT_NE(verdict().find("'" + shown + "' != '20131202'"), std::string::npos);
  replace("Authorization", bytes, "20131202");
  value("X-Amz-Date") = bytes;
  EXPECT_NE(verdict().find("Got '" + shown + "'."), std::string::npos);
}

TEST(Echo, KeepsCharactersWhole) {
  const std::string euro = "\xE2\x82\xAC";
  std::string many;
  for (int i = 0; i < 1000; ++i) many += euro;
  EXPECT_EQ(echo(many), many.substr(0, 2046));
  EXPECT_EQ(cut(many), many.substr(0, 2046));
  EXPECT_EQ(echo("a" + euro + "\xF0\x9F\x98\x80z"), "a" + euro + "\xF0\x9F\x98\x80z");
  EXPECT_EQ(echo("\xE2\x82"), "??");
  EXPECT_EQ(echo("\xC0\xAF\xED\xA0\x80\xF4\x90\x80\x80\xE0\x80\x80"), "????????????");
}

TEST_F(Sigv4Verify, RefusesUnknownKeysAndTokens) {
  const std::string refusal =
      "UnrecognizedClientException: The security token included in the request is invalid.";
  sign();
  replace("Authorization", "AKIDEXAMPLE", "AKIDNOBODY");
  EXPECT_EQ(verdict(), refusal);
  replace("Authorization", "AKIDNOBODY", "TEMPORARY");  // without its token
  EXPECT_EQ(verdict(), refusal);
}

TEST_F(Sigv4Verify, TemporaryKeysNeedTheirTokenAndEnd) {
  client_.access_key_id = "TEMPORARY";
  set("X-Amz-Security-Token", "token");
  sign();
  EXPECT_EQ(verdict(), "");
  EXPECT_EQ(verdict(kWall + 1000),
            "ExpiredTokenException: The security token included in the request is expired");
  value("X-Amz-Security-Token") = "tokem";
  EXPECT_EQ(verdict(),
            "UnrecognizedClientException: The security token included in the request is invalid.");
}

TEST_F(Sigv4Verify, SaysWhatTheCredentialShouldBeScopedTo) {
  sign();
  replace("Authorization", "/us-east-1/", "/us-west-2/");
  EXPECT_EQ(verdict(),
            "InvalidSignatureException: Credential should be scoped to a valid region, not "
            "'us-west-2'. ");
  replace("Authorization", "/us-west-2/kinesis/", "/us-east-1/s3/");
  EXPECT_EQ(verdict(),
            "InvalidSignatureException: Credential should be scoped to correct service: "
            "'kinesis'. ");
  replace("Authorization", "/s3/aws4_request", "/kinesis/aws5");
  EXPECT_EQ(verdict(),
            "InvalidSignatureException: Credential should be scoped with a valid terminator: "
            "'aws4_request', not 'aws5'. ");
  replace("Authorization", "/aws5", "/aws4_request");
  replace("Authorization", "/20131202/", "/20131203/");
  EXPECT_EQ(verdict(),
            "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from "
            "ISO-8601 version of date from HTTP: '20131203' != '20131202', from "
            "'20131202T045015Z'.");
}

TEST_F(Sigv4Verify, AllowsFiveMinutesEitherWay) {
  sign();
  EXPECT_EQ(verdict(kWall + 300'000), "");
  EXPECT_EQ(verdict(kWall - 300'000), "");
  EXPECT_EQ(verdict(kWall + 301'000),
            "InvalidSignatureException: Signature expired: 20131202T045015Z is now earlier than "
            "20131202T045016Z (20131202T045516Z - 5 min.)");
  EXPECT_EQ(verdict(kWall - 301'000),
            "InvalidSignatureException: Signature not yet current: 20131202T045015Z is still later "
            "than 20131202T045014Z (20131202T044514Z + 5 min.)");
}

TEST_F(Sigv4Verify, NeedsWhatDecidesTheMeaningToBeSigned) {
  sign();
  set("X-Amz-Security-Token", "");
  EXPECT_EQ(verdict(), "");
  replace("Authorization", ";x-amz-target", "");
  EXPECT_EQ(verdict(),
            "InvalidSignatureException: 'x-amz-target' must be a signed header in the AWS "
            "Authorization.");
  replace("Authorization", "content-type;host;x-amz-date", "content-type;x-amz-date;x-amz-target");
  EXPECT_EQ(verdict(),
            "InvalidSignatureException: 'host' must be a signed header in the AWS Authorization.");
}

TEST_F(Sigv4Verify, AcceptsAPresignedQueryUntilItEnds) {
  // By botocore 1.43 with secret wJalr…; an empty body.
  verifier_ = std::make_unique<Sigv4Verifier>(
      std::make_shared<const CredentialSet>(
          std::vector<Credential>{{.access_key_id = "AKIDEXAMPLE",
                                   .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                   .session_token = {}}}),
      "us-east-1");
  body_ = "";
  target_ =
      "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20131202%2Fus-east-1%2F"
      "kinesis%2Faws4_request&X-Amz-Date=20131202T045015Z&X-Amz-Expires=300&X-Amz-SignedHeaders="
      "content-type%3Bhost%3Bx-amz-target&X-Amz-Signature="
      "e8743e7829b7557e4b1d84e6ba777bf52d47e0866385a715a0f1cd7da57d578b";
  EXPECT_EQ(verdict(), "");
  EXPECT_EQ(verdict(kWall + 300'000), "");
  EXPECT_TRUE(verdict(kWall + 301'000).starts_with("InvalidSignatureException: Signature expired"));
  target_.back() = 'c';
  EXPECT_EQ(verdict(), kMismatch);
}

}  // namespace
}  // namespace penstock::http
