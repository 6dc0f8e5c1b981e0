// Goal: what others took is what the machine took less ours; the server under test is found by its port.
// Method: a /proc made by hand; a listener of our own.
#include "bench/others.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sys/socket.h>

namespace penstock::tools::bench {
namespace {

namespace fs = std::filesystem;

class FakeProc : public testing::Test {
 protected:
  FakeProc() : root_(fs::path(testing::TempDir()) / fmt::format("others_test.{}", getpid())) {
    fs::create_directories(root_);
  }
  ~FakeProc() override { fs::remove_all(root_); }

  void machine(int user, int nice, int steal) {
    std::ofstream(root_ / "stat") << fmt::format("cpu  {} {} 900 800 700 600 500 {} 0 0\n", user,
                                                 nice, steal)
                                  << "cpu0 1 2 3\n";
  }
  void process(int pid, const std::string& name, int group, int user, int of_children) {
    fs::create_directories(root_ / std::to_string(pid));
    std::ofstream(root_ / std::to_string(pid) / "stat")
        << fmt::format("{} ({}) S 1 {} 1 0 -1 0 0 0 0 0 {} 9999 {} 9999 20 0 1 0 5 6 7\n", pid,
                       name, group, user, of_children);
  }
  [[nodiscard]] CpuTicks ticks(const std::vector<pid_t>& also = {}) const {
    return cpu_ticks(root_.string(), 70, also);
  }

  fs::path root_;
};

TEST_F(FakeProc, UserNiceAndStealCount) {
  machine(100, 20, 3);
  EXPECT_EQ(ticks().all, 123U);
  EXPECT_EQ(ticks().ours, 0U);
}

TEST_F(FakeProc, OursAreTheGroupAndWhoIsNamed) {
  machine(100, 0, 0);
  process(70, "penstock", 70, 10, 1);
  process(71, "a) b (c", 70, 20, 2);
  process(80, "penstockd", 80, 30, 3);
  process(90, "other", 90, 40, 4);
  fs::create_directories(root_ / "self");
  fs::create_directories(root_ / "99");  // ended meanwhile
  std::ofstream(root_ / "91") << "";
  EXPECT_EQ(ticks().ours, 33U);
  EXPECT_EQ(ticks({80}).ours, 66U);
  EXPECT_EQ(ticks({80, 70}).ours, 66U);
}

TEST_F(FakeProc, TheShareIsWhatIsLeft) {
  EXPECT_EQ(others_share({1000, 500}, {1100, 560}, 200), 0.2);
  EXPECT_EQ(others_share({1000, 500}, {1100, 500}, 200), 0.5);
  // Ticks of a process are rounded otherwise than the machine's.
  EXPECT_EQ(others_share({1000, 500}, {1100, 650}, 200), 0);
  // One of ours ended: what it had taken is gone from the sum, and the round rather noisy.
  EXPECT_EQ(others_share({1000, 500}, {1100, 100}, 200), 0.5);
}

TEST_F(FakeProc, NothingThereIsNothing) {
  EXPECT_EQ(ticks().all, 0U);
  EXPECT_TRUE(listeners(80, root_.string()).empty());
}

TEST(Others, OfThisMachineIsAShare) {
  const Others others;
  const double share = others.share();
  EXPECT_TRUE(std::isfinite(share));
  EXPECT_GE(share, 0);
}

TEST(Others, AListenerIsFoundByItsPort) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(socket, generic, length), 0);
  ASSERT_EQ(getsockname(socket, generic, &length), 0);
  const std::uint16_t port = ntohs(address.sin_port);
  EXPECT_TRUE(listeners(port).empty());
  ASSERT_EQ(listen(socket, 1), 0);
  EXPECT_EQ(listeners(port), std::vector<pid_t>{getpid()});
  close(socket);
  EXPECT_TRUE(listeners(port).empty());
}

}  // namespace
}  // namespace penstock::tools::bench
