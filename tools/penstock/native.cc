#include "native.h"

#include <fmt/format.h>

#include <utility>

namespace penstock::tools {

Problem problem_of(ErrorCode code, std::string what) {
  Exit exit = Exit::kFailed;
  switch (code) {
    case ErrorCode::kNotFound:
      exit = Exit::kNotFound;
      break;
    case ErrorCode::kDenied:
      exit = Exit::kDenied;
      break;
    case ErrorCode::kConflict:
    case ErrorCode::kProducerFenced:
      exit = Exit::kConflict;
      break;
    case ErrorCode::kThrottled:
    case ErrorCode::kOverloaded:
    case ErrorCode::kJournalFull:
    case ErrorCode::kDeadline:
      exit = Exit::kThrottled;
      break;
    default:
      break;
  }
  Problem problem{exit, number(code), std::move(what), {}};
  problem.found(std::string(text(code)));
  return problem;
}

std::string native_endpoint(const client::Endpoint& kinesis) {
  const bool literal = kinesis.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", kinesis.tls ? "tls" : "tcp", literal ? "[" : "",
                     kinesis.host, literal ? "]" : "", kinesis.port + (kinesis.tls ? 2 : 1));
}

Attempt<std::shared_ptr<Client>> connect_native(const Session& session) {
  const client::ClientOptions& kinesis = session.client_options();
  ClientOptions options;
  options.endpoints = {session.native_endpoint().empty() ? native_endpoint(kinesis.endpoint)
                                                         : session.native_endpoint()};
  options.ca_file = session.ca_file();
  options.access_key = kinesis.credentials.access_key;
  options.secret_key = kinesis.credentials.secret_key;
  options.name = "penstock";
  options.connect_timeout = kinesis.timeout;
  auto client = Client::connect(options);
  if (client) return std::move(*client);
  Problem problem = problem_of(client.error().code,
                               fmt::format("{} cannot be reached", options.endpoints.front()));
  if (client.error().code == ErrorCode::kSystem) {
    problem.exit = Exit::kUnreachable;
    problem.number = kNumberUnreachable;
    problem.mend(
        "penstockd --dev DIR; or name its [native] listen: --native-endpoint tls://HOST:PORT");
  }
  return std::unexpected(std::move(problem));
}

}  // namespace penstock::tools
