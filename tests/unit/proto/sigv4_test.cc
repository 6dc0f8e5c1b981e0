// Goal: signatures are those that AWS clients make. Method: requests signed by botocore 1.43 with
// fixed keys and a fixed time, their signatures written down here.
#include "proto/sigv4.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penstock::proto {
namespace {

constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kDate = "20131202T045015Z";
const CredentialScope kScope =
    CredentialScope::parse("AKIDEXAMPLE/20131202/us-east-1/kinesis/aws4_request");

std::vector<HeaderField> headers() {
  return {{"Content-Type", "application/x-amz-json-1.1"},
          {"X-Amz-Target", "Kinesis_20131202.ListStreams"},
          {"Host", "localhost:4567"},
          {"X-Amz-Date", kDate}};
}

std::string signature(Signer& signer, std::string_view target,
                      const std::vector<HeaderField>& fields, std::string_view signed_headers,
                      std::string_view body) {
  std::string payload(64, ' ');
  write_hex(sha256(body), payload.data());
  const Sigv4Signature made = signer.sign({.method = "POST",
                                           .target = target,
                                           .headers = fields,
                                           .signed_headers = signed_headers,
                                           .payload_hash = payload},
                                          kDate, kScope, kSecret);
  return {made.data(), made.size()};
}

TEST(Sigv4, SignsAsBotocoreDoes) {
  Signer signer;
  EXPECT_EQ(signature(signer, "/", headers(), "content-type;host;x-amz-date;x-amz-target", "{}"),
            "051ce464005e14d4ec48e4003603ae56b06a84d7b2b8468af4d587ea4f9d3192");
  auto with_token = headers();
  with_token.push_back({"X-Amz-Security-Token", "session/token+=="});
  EXPECT_EQ(
      signature(signer, "/", with_token,
                "content-type;host;x-amz-date;x-amz-security-token;x-amz-target", R"({"Limit":1})"),
      "ddd2c3d8fd5e3c1adef9e55c177400313867b1c90e86f841373b63968da3a1cb");
}

TEST(Sigv4, NormalisesPathQueryAndHeaderValues) {
  Signer signer;
  auto fields = headers();
  fields.push_back({"X-Amz-Meta", "  a   b  c "});
  EXPECT_EQ(signature(signer, "/a%20b//c/../d~e/?b=2&a=1&a=0", fields,
                      "content-type;host;x-amz-date;x-amz-meta;x-amz-target", "{}"),
            "d46b09a6845c04125670963a7d665ccde85d725c9192e2c4765c057afd6813dd");
  EXPECT_EQ(signer.canonical_request().substr(0, 38), "POST\n/a%2520b/d~e/\na=0&a=1&b=2\ncontent");
}

TEST(Sigv4, SignsTheQueryFormWithoutItsSignature) {
  Signer signer;
  const std::string target =
      "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20131202%2Fus-east-1%2F"
      "kinesis%2Faws4_request&X-Amz-Date=20131202T045015Z&X-Amz-Expires=300&X-Amz-SignedHeaders="
      "content-type%3Bhost%3Bx-amz-target&X-Amz-Signature=feed";
  // botocore presigns an empty body.
  EXPECT_EQ(signature(signer, target, headers(), "content-type;host;x-amz-target", ""),
            "e8743e7829b7557e4b1d84e6ba777bf52d47e0866385a715a0f1cd7da57d578b");
}

TEST(Sigv4, JoinsRepeatedHeadersAndKeepsKeysOfManyScopes) {
  Signer signer;
  const std::vector<HeaderField> repeated = {{"Host", "h"}, {"A", "1"}, {"a", "2"}};
  const std::string first = signature(signer, "/", repeated, "a;host", "");
  EXPECT_NE(signer.canonical_request().find("\na:1,2\nhost:h\n"), std::string_view::npos);
  // More scopes than the cache holds, then the first again.
  for (int day = 10; day < 40; ++day) {
    CredentialScope scope = kScope;
    const std::string date = "201301" + std::to_string(day);
    scope.date = date;
    const auto other = signer.sign({.method = "POST",
                                    .target = "/",
                                    .headers = repeated,
                                    .signed_headers = "a;host",
                                    .payload_hash = ""},
                                   kDate, scope, kSecret);
    EXPECT_NE(std::string(other.data(), other.size()), first);
  }
  EXPECT_EQ(signature(signer, "/", repeated, "a;host", ""), first);
}

TEST(Sigv4, MakesTheHeadersOfAClientInOneStep) {
  Signer signer;
  const ClientCredentials credentials{.access_key_id = "AKIDEXAMPLE",
                                      .secret_access_key = std::string(kSecret),
                                      .session_token = {}};
  auto fields = headers();
  fields.pop_back();  // X-Amz-Date is added
  const SignatureHeaders made =
      sign_request(signer, credentials, "POST", "/", fields, "{}", WallMillis(1385959815'000));
  EXPECT_EQ(made.date_time, kDate);
  EXPECT_EQ(made.authorization,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20131202/us-east-1/kinesis/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
            "Signature=051ce464005e14d4ec48e4003603ae56b06a84d7b2b8468af4d587ea4f9d3192");
}

TEST(Authorization, IsReadWithCommasOrSpacesInAnyOrder) {
  for (const char* text : {"AWS4-HMAC-SHA256 Credential=c/1, SignedHeaders=a;b, Signature=s",
                           "AWS4-HMAC-SHA256 Signature=s,Credential=c/1,SignedHeaders=a;b",
                           "AWS4-HMAC-SHA256  SignedHeaders=a;b Signature=s  Credential=c/1,"}) {
    const Authorization parts = Authorization::parse(text);
    EXPECT_EQ(parts.algorithm, "AWS4-HMAC-SHA256") << text;
    EXPECT_EQ(parts.credential, "c/1") << text;
    EXPECT_EQ(parts.signed_headers, "a;b") << text;
    EXPECT_EQ(parts.signature, "s") << text;
  }
  const Authorization nothing = Authorization::parse("a");
  EXPECT_TRUE(nothing.credential.empty());
  EXPECT_TRUE(nothing.signature.empty());
}

TEST(CredentialScope, IsReadFromItsEnd) {
  const CredentialScope scope =
      CredentialScope::parse("id/with/slash/20131202/r/kinesis/aws4_request");
  EXPECT_EQ(scope.access_key_id, "id/with/slash");
  EXPECT_EQ(scope.date, "20131202");
  EXPECT_EQ(scope.region, "r");
  EXPECT_EQ(scope.service, "kinesis");
  EXPECT_EQ(scope.terminator, "aws4_request");
  EXPECT_TRUE(CredentialScope::parse("id").date.empty());
}

TEST(Sigv4Date, IsReadInBothFormsAndWrittenInOne) {
  EXPECT_EQ(parse_sigv4_date("20131202T045015Z"), 1385959815);
  EXPECT_EQ(parse_sigv4_date("Mon, 02 Dec 2013 04:50:15 GMT"), 1385959815);
  EXPECT_EQ(parse_sigv4_date("19700101T000000Z"), 0);
  for (const char* bad :
       {"", "20131302T045015Z", "20130231T000000Z", "20131202T245015Z", "2013-12-02T04:50Z",
        "20131202T04501aZ", "Mon, 02 Foo 2013 04:50:15 GMT", "Mon, 02 Dec 2013 04:50:15 CET"}) {
    EXPECT_FALSE(parse_sigv4_date(bad).has_value()) << bad;
  }
  const auto text = sigv4_date_time(1385959815);
  EXPECT_EQ(std::string(text.data(), text.size()), kDate);
  const auto leap = sigv4_date_time(1709164800);
  EXPECT_EQ(std::string(leap.data(), leap.size()), "20240229T000000Z");
}

TEST(ConstantTime, TellsEqualFromDifferent) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

}  // namespace
}  // namespace penstock::proto
