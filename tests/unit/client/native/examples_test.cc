// Goal: what docs/examples shows works. Method: the programs are run against the server in memory.
#include "tests/unit/client/native/loopback.h"

#include <signal.h>
#include <spawn.h>

#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>

namespace penstock::client::native {
namespace {

using test::FakeServer;
using test::Loopback;

class Examples : public testing::Test {
 protected:
  Examples() {
    ::setenv("AWS_ACCESS_KEY_ID", FakeServer::kKey, 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", FakeServer::kSecret, 1);
    ::unsetenv("AWS_PROFILE");
    loopback_.with([](FakeServer& server) { server.create("s", 1); });
  }
  Loopback loopback_;
};

TEST_F(Examples, PutStoresEachLineAndTailWritesThem) {
  const std::string put = std::string("printf 'one\\ntwo\\nthree\\n' | ") + EXAMPLE_PUT + " " +
                          loopback_.endpoint() + " s";
  EXPECT_EQ(std::system(put.c_str()), 0);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"one", "one"}, {"two", "two"}, {"three", "three"}};
  EXPECT_EQ(loopback_.with([](FakeServer& server) { return server.streams.at("s").all(); }),
            expected);

  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string program = EXAMPLE_TAIL, endpoint = loopback_.endpoint(), stream = "s";
  char* arguments[] = {program.data(), endpoint.data(), stream.data(), nullptr};
  pid_t tail = 0;
  ASSERT_EQ(::posix_spawn(&tail, program.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::FILE* output = ::fdopen(ends[0], "r");
  std::string read;
  char line[64];
  for (int i = 0; i < 3 && std::fgets(line, sizeof line, output) != nullptr; ++i) read += line;
  EXPECT_EQ(read, "one\ntwo\nthree\n");
  ::kill(tail, SIGTERM);
  ::waitpid(tail, nullptr, 0);
  std::fclose(output);
}

}  // namespace
}  // namespace penstock::client::native
