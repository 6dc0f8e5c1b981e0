// Who a request comes from: its signature checked against the keys that this server knows, with the
// service's own refusals.
//
// Owner      one core per Verifier
// Allocates  for refusals only, once warm
// Source     the Kinesis contract: Signature Version 4, outcomes
#pragma once

#include "http/exchange.h"
#include "penstock/units.h"
#include "proto/credentials.h"
#include "proto/kinesis.h"
#include "proto/sigv4.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::http {

using proto::Credential;
using proto::CredentialSet;

class Sigv4Verifier {
 public:
  Sigv4Verifier(std::shared_ptr<const CredentialSet> credentials, std::string region,
                std::string service = "kinesis");

  // Nothing: the request is authentic and `principal()` signed it.
  [[nodiscard]] std::optional<proto::KinesisError> verify(const Exchange& exchange,
                                                          WallMillis wall);
  // Of the last request that `verify` found authentic; null otherwise.
  [[nodiscard]] const Credential* principal() const { return principal_; }

 private:
  struct Claim;
  using Refusal = std::optional<proto::KinesisError>;
  [[nodiscard]] Refusal read_header_form(const Exchange& exchange, std::string_view authorization,
                                         Claim& claim) const;
  [[nodiscard]] Refusal read_query_form(const Exchange& exchange, Claim& claim) const;
  [[nodiscard]] Refusal check_key(const Claim& claim, WallMillis wall);
  [[nodiscard]] Refusal check_scope(const Claim& claim) const;
  [[nodiscard]] Refusal check_time(const Claim& claim, WallMillis wall) const;
  [[nodiscard]] Refusal check_signed_headers(const Exchange& exchange, const Claim& claim) const;
  [[nodiscard]] Refusal check_signature(const Exchange& exchange, const Claim& claim);

  std::shared_ptr<const CredentialSet> credentials_;
  std::string region_;
  std::string service_;
  proto::Signer signer_;
  const Credential* principal_ = nullptr;
};

}  // namespace penstock::http
