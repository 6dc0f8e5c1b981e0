// Goal: errors have their form and their exit code. Method: failures of each kind.
#include "problem.h"

#include <gtest/gtest.h>

namespace penstock::tools {
namespace {

client::Failure service(const char* type, int status = 400) {
  client::Failure failure;
  failure.kind = client::FailureKind::kService;
  failure.type = type;
  failure.message = "the words";
  failure.http_status = status;
  return failure;
}

TEST(Problem, HasTheFormOfAllErrors) {
  Problem problem{Exit::kConflict, 4004, "it did not work", {}};
  problem.found("a").needed("b").cause("c").mend("d");
  EXPECT_EQ(problem.as_text(),
            "error PS-4004: it did not work\n  found   a\n  needed  b\n  cause   c\n  mend    d\n");
  EXPECT_EQ(problem.as_json(),
            "{\"error\":{\"code\":\"PS-4004\",\"what\":\"it did not "
            "work\",\"found\":\"a\",\"needed\":\"b\","
            "\"cause\":\"c\",\"mend\":\"d\",\"exit\":6}}\n");
}

TEST(Problem, ServiceErrorsHaveTheirExitCodes) {
  const std::pair<const char*, Exit> expected[] = {
      {"ResourceNotFoundException", Exit::kNotFound},
      {"ResourceInUseException", Exit::kConflict},
      {"ProvisionedThroughputExceededException", Exit::kThrottled},
      {"LimitExceededException", Exit::kThrottled},
      {"AccessDeniedException", Exit::kDenied},
      {"UnrecognizedClientException", Exit::kDenied},
      {"InvalidSignatureException", Exit::kDenied},
      {"ValidationException", Exit::kUsage},
      {"SomethingNewException", Exit::kFailed},
  };
  for (const auto& [type, exit] : expected) {
    const Problem problem = problem_of(service(type), "x");
    EXPECT_EQ(problem.exit, exit) << type;
    EXPECT_NE(problem.as_text().find("the words"), std::string::npos);
  }
}

TEST(Problem, WhatNeverAnsweredIsUnreachable) {
  for (const auto kind : {client::FailureKind::kUnreachable, client::FailureKind::kTimeout,
                          client::FailureKind::kTls}) {
    client::Failure failure;
    failure.kind = kind;
    EXPECT_EQ(problem_of(failure, "x").exit, Exit::kUnreachable);
  }
}

TEST(Problem, DoubtIsSaid) {
  client::Failure failure = service("InternalFailure", 500);
  failure.kind = client::FailureKind::kTimeout;
  failure.unknown = true;
  EXPECT_NE(problem_of(failure, "x").as_text().find("may have been carried out"),
            std::string::npos);
}

}  // namespace
}  // namespace penstock::tools
