// AWS Signature Version 4: what a client signs and a server checks, over header lists and without
// any HTTP library.
//
// Shape      header form (`Authorization`) and query form (presigned); service-style canonical URI,
//            whose segments are encoded twice
// Owner      one core per Signer: it keeps its hash context, its scratch text and derived keys
// Allocates  until the scratch text has grown to the size of the requests at hand
// Errors     parse_authorization gives what is there; what is missing is the caller's business
// Source     the Kinesis contract: Signature Version 4; AWS General Reference
#pragma once

#include "penstock/units.h"
#include "proto/header_field.h"
#include "proto/sha256.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::proto {

inline constexpr std::string_view kSigv4Algorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kSigv4Terminator = "aws4_request";

// 64 lower-case hex digits.
using Sigv4Signature = std::array<char, 64>;

// What is signed. The canonical request is made of exactly this.
struct SignedRequest {
  std::string_view method;
  std::string_view target;  // path and query as sent
  std::span<const HeaderField> headers;
  // Lower-case names joined by ';', in the order in which they were signed.
  std::string_view signed_headers;
  std::string_view payload_hash;  // hex, or UNSIGNED-PAYLOAD
};

// Where a signature holds. Views; `terminator` is kSigv4Terminator in every valid one.
struct CredentialScope {
  std::string_view access_key_id;
  std::string_view date;  // YYYYMMDD
  std::string_view region;
  std::string_view service;
  std::string_view terminator;
  // "<id>/<date>/<region>/<service>/aws4_request"; missing parts are empty. An id may hold '/'.
  [[nodiscard]] static CredentialScope parse(std::string_view credential);
};

// The parts of an Authorization header; empty where absent.
struct Authorization {
  std::string_view algorithm;
  std::string_view credential;
  std::string_view signed_headers;
  std::string_view signature;
  // Parts are separated by commas and/or spaces, in any order.
  [[nodiscard]] static Authorization parse(std::string_view header);
};

class Signer {
 public:
  Signer();

  // The signature of `request` at `date_time` (YYYYMMDDThhmmssZ).
  [[nodiscard]] Sigv4Signature sign(const SignedRequest& request, std::string_view date_time,
                                    const CredentialScope& scope, std::string_view secret);

  // The canonical request of the last `sign`, for diagnosis and tests.
  [[nodiscard]] std::string_view canonical_request() const { return canonical_; }

 private:
  struct CachedKey {
    std::string secret, date, region, service;
    Sha256Digest key{};
  };
  static constexpr std::size_t kCachedKeys = 16;
  struct QueryPart {
    std::string name, value;
  };

  void write_canonical(const SignedRequest& request);
  void write_query(std::string_view query);
  void write_headers(const SignedRequest& request);
  const Sha256Digest& signing_key(const CredentialScope& scope, std::string_view secret);

  Sha256 hash_;
  std::string canonical_;
  std::string to_sign_;
  std::vector<QueryPart> query_;
  std::array<CachedKey, kCachedKeys> keys_{};
  std::size_t next_key_ = 0;
};

// Equal, in a time that does not tell where they differ. Lengths are no secret.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

// "20131202T045015Z" of seconds since 1970.
[[nodiscard]] std::array<char, 16> sigv4_date_time(std::int64_t unix_second);
// Seconds since 1970 of that form, or of an HTTP date ("Mon, 02 Dec 2013 04:50:15 GMT").
[[nodiscard]] std::optional<std::int64_t> parse_sigv4_date(std::string_view text);

// A client's signature, made in one step: the headers to add to the request.
struct ClientCredentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty: none
  std::string region = "us-east-1";
  std::string service = "kinesis";
};
struct SignatureHeaders {
  std::string date_time;      // X-Amz-Date
  std::string authorization;  // Authorization
};
// `headers` must hold Host and whatever else is to be signed, without X-Amz-Date (added here) and,
// where a session token is used, with X-Amz-Security-Token.
[[nodiscard]] SignatureHeaders sign_request(Signer& signer, const ClientCredentials& credentials,
                                            std::string_view method, std::string_view target,
                                            std::span<const HeaderField> headers,
                                            std::string_view body, WallMillis wall);

}  // namespace penstock::proto
