// Goal: the command line understands what it should, and otherwise says what was probably meant. Method: the
// whole program in process, its standard error captured; nothing here gets as far as the network.
#include "command.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock::tools {
namespace {

struct Outcome {
  int code;
  std::string out;
  std::string error;
};

Outcome run_with(std::vector<const char*> words) {
  words.insert(words.begin(), "penstock");
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = run(static_cast<int>(words.size()), words.data());
  std::string out = ::testing::internal::GetCapturedStdout();
  return {code, std::move(out), ::testing::internal::GetCapturedStderr()};
}

TEST(Run, AnUnknownVerbNamesTheNearest) {
  const Outcome top = run_with({"steam", "list"});
  EXPECT_EQ(top.code, 2);
  EXPECT_NE(top.error.find("did you mean 'stream'?"), std::string::npos) << top.error;
  const Outcome nested = run_with({"stream", "craete", "x"});
  EXPECT_EQ(nested.code, 2);
  EXPECT_NE(nested.error.find("did you mean 'create'?"), std::string::npos) << nested.error;
}

TEST(Run, AnUnknownOptionNamesTheNearest) {
  const Outcome outcome = run_with({"stream", "create", "x", "--shard", "4"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.error.find("did you mean '--shards'?"), std::string::npos) << outcome.error;
}

TEST(Run, EveryCommandTeachesByExample) {
  for (const auto& words : std::vector<std::vector<const char*>>{{"--help"},
                                                                 {"stream", "--help"},
                                                                 {"stream", "create", "--help"},
                                                                 {"stream", "list", "--help"},
                                                                 {"stream", "describe", "--help"},
                                                                 {"stream", "delete", "--help"},
                                                                 {"stream", "split", "--help"},
                                                                 {"stream", "merge", "--help"},
                                                                 {"put", "--help"},
                                                                 {"tail", "--help"},
                                                                 {"fleet", "--help"},
                                                                 {"cell", "--help"},
                                                                 {"cell", "clear", "--help"},
                                                                 {"clock", "--help"},
                                                                 {"clock", "accept", "--help"},
                                                                 {"doctor", "--help"},
                                                                 {"version", "--help"}}) {
    const Outcome outcome = run_with(words);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_NE(outcome.out.find("Example"), std::string::npos) << words.front();
  }
}

TEST(Run, AWrongValueIsAUsageError) {
  EXPECT_EQ(run_with({"version", "-o", "yaml"}).code, 2);
  EXPECT_EQ(run_with({"stream", "create", "x", "--shards", "many"}).code, 2);
  EXPECT_EQ(run_with({"stream", "create"}).code, 2);
  EXPECT_EQ(run_with({}).code, 2);
}

TEST(Run, GlobalOptionsMayFollowTheCommand) {
  const Outcome outcome = run_with({"version", "-o", "json"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("\"version\":"), std::string::npos);
}

TEST(Run, ProblemsAreJsonWhereThatWasAskedFor) {
  const Outcome outcome = run_with({"put", "fleet", "hello", "-o", "json"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.error.find("{\"error\":{\"code\":\"PS-5001\""), 0U) << outcome.error;
}

TEST(Run, ADataDirectoryWithoutCredentialsIsNamed) {
  const Outcome outcome = run_with({"--dir", "/nonexistent", "stream", "list"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.error.find("/nonexistent/credentials"), std::string::npos) << outcome.error;
}

}  // namespace
}  // namespace penstock::tools
