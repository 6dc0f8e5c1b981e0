#include "problem.h"

#include "client/json_writer.h"

#include <fmt/format.h>

namespace penstock::tools {
namespace {

using client::FailureKind;

struct ServiceError {
  std::string_view type;
  Exit exit;
  int number;
  std::string_view cause;
  std::string_view mend;
};

constexpr std::string_view kSeeCredentials =
    "penstock --dir DIR … takes the credentials that penstockd --dev DIR wrote";

constexpr ServiceError kServiceErrors[] = {
    {"ResourceNotFoundException", Exit::kNotFound, number(ErrorCode::kNotFound),
     "the name is misspelt, or it was deleted", "penstock stream list"},
    {"ResourceInUseException", Exit::kConflict, number(ErrorCode::kConflict),
     "it exists already, or another change of the stream is under way",
     "penstock stream describe NAME shows its status"},
    {"LimitExceededException", Exit::kThrottled, number(ErrorCode::kThrottled),
     "a limit on streams, shards or administrative calls", "penstock stream list"},
    {"ProvisionedThroughputExceededException", Exit::kThrottled, number(ErrorCode::kThrottled),
     "a shard takes 1,000 records/s and 1 MiB/s unless its limits are raised",
     "penstock stream split NAME SHARD"},
    {"ThrottlingException", Exit::kThrottled, number(ErrorCode::kThrottled),
     "too many calls a second", "wait a moment and try again"},
    {"AccessDeniedException", Exit::kDenied, number(ErrorCode::kDenied),
     "the credentials do not permit this", kSeeCredentials},
    {"UnrecognizedClientException", Exit::kDenied, number(ErrorCode::kDenied),
     "the access key is not known to this server", kSeeCredentials},
    {"InvalidSignatureException", Exit::kDenied, number(ErrorCode::kDenied),
     "the secret key is not the one that belongs to the access key, or a clock is wrong",
     kSeeCredentials},
    {"IncompleteSignatureException", Exit::kDenied, number(ErrorCode::kDenied),
     "something between here and the server changed the request", "use the endpoint directly"},
    {"MissingAuthenticationTokenException", Exit::kDenied, number(ErrorCode::kDenied),
     "no credentials were sent", kSeeCredentials},
    {"ValidationException", Exit::kUsage, number(ErrorCode::kMalformed), "", ""},
    {"InvalidArgumentException", Exit::kUsage, number(ErrorCode::kMalformed), "", ""},
};

Problem service_problem(const client::Failure& failure, std::string what) {
  Problem problem{Exit::kFailed, number(ErrorCode::kSystem), std::move(what), {}};
  problem.found(fmt::format("{}: {}", failure.type, failure.message));
  for (const ServiceError& error : kServiceErrors) {
    if (failure.type != error.type) continue;
    problem.exit = error.exit;
    problem.number = error.number;
    if (!error.cause.empty()) problem.cause(std::string(error.cause));
    if (!error.mend.empty()) problem.mend(std::string(error.mend));
    return problem;
  }
  if (failure.http_status >= 500) {
    problem.cause("the server failed; its log and GET /readyz of its administration say why");
  }
  return problem;
}

}  // namespace

Problem& Problem::line(std::string label, std::string text) {
  lines.emplace_back(std::move(label), std::move(text));
  return *this;
}

std::string Problem::as_text() const {
  std::string text = fmt::format("error PS-{}: {}\n", number, what);
  for (const auto& [label, value] : lines) {
    fmt::format_to(std::back_inserter(text), "  {:<7} {}\n", label, value);
  }
  return text;
}

std::string Problem::as_json() const {
  client::JsonWriter writer;
  writer.begin_object().key("error").begin_object();
  writer.field("code", fmt::format("PS-{}", number)).field("what", what);
  for (const auto& [label, value] : lines) writer.field(label, value);
  writer.field("exit", static_cast<int>(exit)).end_object().end_object();
  return writer.text() + "\n";
}

Problem usage_problem(std::string what) {
  return {Exit::kUsage, kNumberUsage, std::move(what), {}};
}

Problem problem_of(const client::Failure& failure, std::string what) {
  Problem problem{Exit::kUnreachable, kNumberUnreachable, std::move(what), {}};
  switch (failure.kind) {
    case FailureKind::kService:
      return service_problem(failure, std::move(problem.what));
    case FailureKind::kUnreachable:
      problem.found(failure.message)
          .needed("a Penstock or Kinesis service that listens there")
          .cause("the server is not running, or the endpoint is another one")
          .mend("penstockd --dev DIR, or --endpoint URL");
      break;
    case FailureKind::kTimeout:
      problem.number = kNumberTimeout;
      problem.found(failure.message)
          .cause("the server is overloaded or stopped")
          .mend("--timeout 30s");
      break;
    case FailureKind::kTls:
      problem.number = kNumberTls;
      problem.found(failure.message)
          .needed("a certificate for this host name from an authority in the CA bundle")
          .cause("the CA bundle is another server's, or the port does not speak TLS")
          .mend("--ca DIR/ca.pem, or --dir DIR, of the data directory that penstockd serves");
      break;
    case FailureKind::kProtocol:
      problem.exit = Exit::kFailed;
      problem.number = kNumberProtocol;
      problem.found(failure.message).cause("something else listens at this endpoint");
      break;
    case FailureKind::kLocal:
      problem.exit = Exit::kUsage;
      problem.number = kNumberLocalFile;
      problem.found(failure.message);
      break;
  }
  if (failure.unknown) {
    problem.line("note", "the request may have been carried out all the same");
  }
  return problem;
}

}  // namespace penstock::tools
