#include "http/sigv4_verify.h"

#include "base/ascii.h"
#include "http/echo.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace penstock::http {
namespace {

using proto::KinesisError;

constexpr std::int64_t kAllowedSeconds = 300;
constexpr std::int64_t kExpiresMax = 604'800;

KinesisError incomplete(std::string message) {
  return {"IncompleteSignatureException", std::move(message)};
}
KinesisError invalid(std::string message) {
  return {"InvalidSignatureException", std::move(message)};
}

std::string date_text(std::int64_t second) {
  const auto text = proto::sigv4_date_time(second);
  return {text.data(), text.size()};
}

// The decoded value of a parameter of the query; nothing if it is not there.
std::optional<std::string> parameter(std::string_view target, std::string_view name) {
  std::string_view query = target.substr(std::min(target.find('?'), target.size()));
  while (!query.empty()) {
    query.remove_prefix(1);  // '?' or '&'
    const std::string_view pair = query.substr(0, std::min(query.find('&'), query.size()));
    query.remove_prefix(pair.size());
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (base::percent_decoded(pair.substr(0, equals)) != name) continue;
    return base::percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
  }
  return std::nullopt;
}

std::int64_t number(std::string_view text) {
  if (text.empty() || text.size() > 9) return -1;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

bool lists(std::string_view signed_headers, std::string_view name) {
  while (!signed_headers.empty()) {
    const std::size_t end = std::min(signed_headers.find(';'), signed_headers.size());
    if (signed_headers.substr(0, end) == name) return true;
    signed_headers.remove_prefix(std::min(end + 1, signed_headers.size()));
  }
  return false;
}

}  // namespace

// What a request says of its signature. The views of the header form point into the request, those
// of the query form into `decoded`.
struct Sigv4Verifier::Claim {
  bool in_query = false;
  std::string_view algorithm;
  proto::CredentialScope scope;
  std::string_view signed_headers;
  std::string_view signature;
  std::string_view date;
  std::string_view token;
  std::int64_t second = 0;   // of `date`
  std::int64_t expires = 0;  // query form: seconds from `date`
  std::array<std::string, 6> decoded;
};

Sigv4Verifier::Sigv4Verifier(std::shared_ptr<const CredentialSet> credentials, std::string region,
                             std::string service)
    : credentials_(std::move(credentials)),
      region_(std::move(region)),
      service_(std::move(service)) {}

std::optional<KinesisError> Sigv4Verifier::verify(const Exchange& exchange, WallMillis wall) {
  principal_ = nullptr;
  const std::string_view authorization = exchange.header("authorization");
  const bool has_query = exchange.target.find('?') != std::string_view::npos;
  const bool in_query = has_query && parameter(exchange.target, "X-Amz-Algorithm").has_value();
  if (!authorization.empty() && in_query) {
    return invalid(
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.");
  }
  if (authorization.empty() && !in_query) {
    return KinesisError{"MissingAuthenticationTokenException", "Missing Authentication Token"};
  }
  Claim claim;
  Refusal refusal = in_query ? read_query_form(exchange, claim)
                             : read_header_form(exchange, authorization, claim);
  if (!refusal) refusal = check_key(claim, wall);
  if (!refusal) refusal = check_scope(claim);
  if (!refusal) refusal = check_time(claim, wall);
  if (!refusal) refusal = check_signed_headers(exchange, claim);
  if (!refusal) refusal = check_signature(exchange, claim);
  if (refusal) principal_ = nullptr;
  return refusal;
}

Sigv4Verifier::Refusal Sigv4Verifier::read_header_form(const Exchange& exchange,
                                                       std::string_view authorization,
                                                       Claim& claim) const {
  const auto parts = proto::Authorization::parse(authorization);
  claim.date = exchange.header("x-amz-date");
  if (claim.date.empty()) claim.date = exchange.header("date");
  claim.token = exchange.header("x-amz-security-token");

  std::string missing;
  const auto need = [&missing](std::string_view part, std::string_view name) {
    if (part.empty())
      missing += fmt::format("Authorization header requires '{}' parameter. ", name);
  };
  if (parts.credential.empty() || parts.signature.empty() || parts.signed_headers.empty() ||
      claim.date.empty()) {
    need(parts.credential, "Credential");
    need(parts.signature, "Signature");
    need(parts.signed_headers, "SignedHeaders");
    if (claim.date.empty()) {
      missing +=
          "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    }
    return incomplete(fmt::format("{}Authorization={}", missing, echo(authorization)));
  }
  if (parts.algorithm != proto::kSigv4Algorithm) {
    return incomplete(fmt::format("Unsupported AWS 'algorithm': '{}'.", echo(parts.algorithm)));
  }
  claim.algorithm = parts.algorithm;
  claim.signed_headers = parts.signed_headers;
  claim.signature = parts.signature;
  claim.scope = proto::CredentialScope::parse(parts.credential);
  return std::nullopt;
}

Sigv4Verifier::Refusal Sigv4Verifier::read_query_form(const Exchange& exchange,
                                                      Claim& claim) const {
  constexpr std::string_view kNames[] = {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature",
                                         "X-Amz-SignedHeaders", "X-Amz-Date"};
  std::string missing;
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    claim.decoded[i] = parameter(exchange.target, kNames[i]).value_or("");
    if (claim.decoded[i].empty()) {
      missing += fmt::format("AWS query-string parameters must include '{}'. ", kNames[i]);
    }
  }
  if (!missing.empty()) return incomplete(missing + "Re-examine the query-string parameters.");
  if (claim.decoded[0] != proto::kSigv4Algorithm) {
    return incomplete(fmt::format("Unsupported AWS 'algorithm': '{}'.", echo(claim.decoded[0])));
  }
  const auto expires = parameter(exchange.target, "X-Amz-Expires");
  claim.expires = expires ? number(*expires) : kAllowedSeconds;
  if (claim.expires < 0 || claim.expires > kExpiresMax) {
    return incomplete(
        "AWS query-string parameters must include 'X-Amz-Expires' between 0 and 604800. "
        "Re-examine the query-string parameters.");
  }
  claim.decoded[5] = parameter(exchange.target, "X-Amz-Security-Token").value_or("");
  claim.in_query = true;
  claim.algorithm = claim.decoded[0];
  claim.scope = proto::CredentialScope::parse(claim.decoded[1]);
  claim.signature = claim.decoded[2];
  claim.signed_headers = claim.decoded[3];
  claim.date = claim.decoded[4];
  claim.token = claim.decoded[5];
  return std::nullopt;
}

Sigv4Verifier::Refusal Sigv4Verifier::check_key(const Claim& claim, WallMillis wall) {
  principal_ = credentials_->find(claim.scope.access_key_id);
  const bool known = principal_ != nullptr &&
                     proto::equal_in_constant_time(claim.token, principal_->session_token);
  if (!known) {
    return KinesisError{"UnrecognizedClientException",
                        "The security token included in the request is invalid."};
  }
  if (!principal_->session_token.empty() && wall.raw() >= principal_->expires_ms) {
    return KinesisError{"ExpiredTokenException",
                        "The security token included in the request is expired"};
  }
  return std::nullopt;
}

Sigv4Verifier::Refusal Sigv4Verifier::check_scope(const Claim& claim) const {
  const proto::CredentialScope& scope = claim.scope;
  if (scope.terminator != proto::kSigv4Terminator) {
    return invalid(
        fmt::format("Credential should be scoped with a valid terminator: '{}', not '{}'. ",
                    proto::kSigv4Terminator, echo(scope.terminator)));
  }
  if (scope.service != service_) {
    return invalid(fmt::format("Credential should be scoped to correct service: '{}'. ", service_));
  }
  if (scope.region != region_) {
    return invalid(fmt::format("Credential should be scoped to a valid region, not '{}'. ",
                               echo(scope.region)));
  }
  return std::nullopt;
}

Sigv4Verifier::Refusal Sigv4Verifier::check_time(const Claim& claim, WallMillis wall) const {
  const auto second = proto::parse_sigv4_date(claim.date);
  if (!second) {
    return incomplete(
        fmt::format("Date must be in ISO-8601 'basic format'. Got '{}'. See "
                    "http://en.wikipedia.org/wiki/ISO_8601",
                    echo(claim.date)));
  }
  // A view: every request comes by here, and must not allocate.
  const auto date_characters = proto::sigv4_date_time(*second);
  const std::string_view date(date_characters.data(), date_characters.size());
  if (claim.scope.date != date.substr(0, 8)) {
    return invalid(fmt::format(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'{}' != '{}', from '{}'.",
        echo(claim.scope.date), date.substr(0, 8), echo(claim.date)));
  }
  const std::int64_t now = wall.raw() / 1000;
  if (*second > now + kAllowedSeconds) {
    return invalid(fmt::format("Signature not yet current: {} is still later than {} ({} + 5 min.)",
                               date, date_text(now + kAllowedSeconds), date_text(now)));
  }
  if (claim.in_query) {
    if (now <= *second + claim.expires) return std::nullopt;
    return invalid(fmt::format("Signature expired: {} is now earlier than {}",
                               date_text(*second + claim.expires), date_text(now)));
  }
  if (*second >= now - kAllowedSeconds) return std::nullopt;
  return invalid(fmt::format("Signature expired: {} is now earlier than {} ({} - 5 min.)", date,
                             date_text(now - kAllowedSeconds), date_text(now)));
}

Sigv4Verifier::Refusal Sigv4Verifier::check_signed_headers(const Exchange& exchange,
                                                           const Claim& claim) const {
  // What decides the meaning of a request must be covered by its signature.
  const auto covered = [&](std::string_view name) {
    return exchange.header(name).empty() || lists(claim.signed_headers, name);
  };
  const bool date_signed =
      claim.in_query || lists(claim.signed_headers, "x-amz-date") ||
      (exchange.header("x-amz-date").empty() && lists(claim.signed_headers, "date"));
  std::string_view unsigned_name;
  if (!lists(claim.signed_headers, "host")) unsigned_name = "host";
  if (!date_signed) unsigned_name = "x-amz-date";
  for (const std::string_view name : {"x-amz-target", "content-type", "x-amz-security-token"}) {
    if (!covered(name)) unsigned_name = name;
  }
  if (unsigned_name.empty()) return std::nullopt;
  return invalid(
      fmt::format("'{}' must be a signed header in the AWS Authorization.", unsigned_name));
}

Sigv4Verifier::Refusal Sigv4Verifier::check_signature(const Exchange& exchange,
                                                      const Claim& claim) {
  std::array<char, 64> hash{};
  proto::write_hex(exchange.body_sha256, hash.data());
  const std::string_view payload(hash.data(), hash.size());
  const std::string_view stated = exchange.header("x-amz-content-sha256");
  // An unsigned payload is refused over TLS as well: its hash is known here anyway.
  bool good = stated.empty() || stated == payload;
  const proto::Sigv4Signature expected = signer_.sign(
      {.method = exchange.method,
       .target = exchange.target,
       .headers = exchange.headers,
       .signed_headers = claim.signed_headers,
       .payload_hash = payload},
      claim.date.size() == 16 ? claim.date : date_text(*proto::parse_sigv4_date(claim.date)),
      claim.scope, principal_->secret_access_key);
  good &= proto::equal_in_constant_time(claim.signature, {expected.data(), expected.size()});
  if (good) return std::nullopt;
  return invalid(
      "The request signature we calculated does not match the signature you provided. Check your "
      "AWS Secret Access Key and signing method. Consult the service documentation for details.");
}

}  // namespace penstock::http
