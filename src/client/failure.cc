#include "client/failure.h"

#include <utility>

namespace penstock::client {

bool Failure::throttle() const {
  return type == "ProvisionedThroughputExceededException" || type == "ThrottlingException" ||
         type == "LimitExceededException" || http_status == 429;
}

bool Failure::transient() const {
  if (kind == FailureKind::kUnreachable) return true;
  return kind == FailureKind::kService && (throttle() || http_status >= 500);
}

std::unexpected<Failure> failed(FailureKind kind, std::string message, bool unknown) {
  Failure failure;
  failure.kind = kind;
  failure.unknown = unknown;
  failure.message = std::move(message);
  return std::unexpected(std::move(failure));
}

}  // namespace penstock::client
