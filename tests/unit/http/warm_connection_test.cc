// Goal: a request on a warm connection allocates nothing. Method: the program's operator new counts
// while the front door works; the fake socket's own memory is left out.
#include "http/front_door.h"
#include "tests/support/echo_service.h"
#include "tests/support/fake_socket.h"
#include "tests/support/test_certificate.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

namespace {

bool counting = false;
std::size_t allocations = 0;

void* counted(std::size_t bytes, std::size_t alignment) {
  if (counting) ++allocations;
  void* const memory =
      std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes == 0 ? 1 : bytes, 16); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace penstock::http {
namespace {

// Passes everything on, not counted.
class QuietSocket final : public env::Socket {
 public:
  explicit QuietSocket(env::Socket& real) : real_(real) {}
  Result<> listen(std::string_view address, std::uint16_t port, std::uint32_t tag) override {
    return real_.listen(address, port, tag);
  }
  void stop_listening() override { real_.stop_listening(); }
  void receive(env::ConnectionId id, std::span<std::byte> into) override {
    const Quiet quiet;
    real_.receive(id, into);
  }
  void send(env::ConnectionId id, std::span<const std::byte> bytes) override {
    const Quiet quiet;
    real_.send(id, bytes);
  }
  void send(env::ConnectionId, std::span<const std::span<const std::byte>>) override {
    FAIL() << "answers of a warm connection lie in one piece";
  }
  void send_held(env::ConnectionId, std::span<const std::byte>) override {
    FAIL() << "HTTP holds no sends";
  }
  void close(env::ConnectionId id) override { real_.close(id); }
  std::string peer(env::ConnectionId id) override { return real_.peer(id); }
  void submit() override {}
  std::size_t reap(std::span<env::SocketEvent> out) override {
    const Quiet quiet;
    return real_.reap(out);
  }

 private:
  struct Quiet {
    bool before = std::exchange(counting, false);
    ~Quiet() { counting = before; }
  };
  env::Socket& real_;
};

class WarmConnection : public testing::Test {
 protected:
  void turn() {
    counting = true;
    while (door_.poll(now_, WallMillis(now_.raw() / kNanosPerMilli)) > 0) {
      now_ = now_ + 100 * kNanosPerMilli;  // the Date changes now and then
    }
    counting = false;
  }

  test::FakeSocket fake_;
  QuietSocket socket_{fake_};
  test::EchoService service_;
  test::TestCertificate certificate_ = test::make_test_certificate();
  FrontDoor door_{
      socket_,
      service_,
      {},
      {{1, transport::TlsContext::server(certificate_.certificate_pem, certificate_.key_pem)
               .value()}}};
  Nanos now_{kNanosPerSecond};
};

std::string request(std::string_view target, std::size_t bytes) {
  return "POST " + std::string(target) +
         " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n" +
         std::string(bytes, 'x');
}

TEST_F(WarmConnection, AllocatesNothingPerRequest) {
  const env::ConnectionId id = fake_.connect();
  const std::string chunked =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" +
      std::string(100'000, 'c') + "\r\n0\r\n\r\n";
  const std::string requests[] = {request("/", 10), request("/", 700'000), request("/large", 0),
                                  chunked};
  for (int round = 0; round < 5; ++round) {
    if (round == 1) {
      EXPECT_GT(allocations, 0U);  // the first round did
      allocations = 0;
    }
    for (const std::string& text : requests) {
      fake_.give(id, text);
      turn();
      EXPECT_TRUE(fake_.taken(id).starts_with("HTTP/1.1 200 OK\r\n"));
    }
  }
  EXPECT_EQ(allocations, 0U);
}

TEST_F(WarmConnection, AllocatesNothingPerRequestOverTls) {
  const env::ConnectionId id = fake_.connect(1);
  transport::TlsSession client(transport::TlsContext::client(certificate_.certificate_pem).value(),
                               "localhost");
  client.start();
  std::size_t plain_bytes = 0;
  const auto carry = [&] {
    for (int i = 0; i < 20; ++i) {
      const std::span<const std::byte> out = client.take_output();
      if (!out.empty()) fake_.give(id, {reinterpret_cast<const char*>(out.data()), out.size()});
      turn();
      const std::string in = fake_.taken(id);
      if (in.empty()) continue;
      client.feed(std::as_bytes(std::span(in)));
      char buffer[4096];
      while (const std::size_t n = client.read(std::as_writable_bytes(std::span(buffer)))) {
        plain_bytes += n;
      }
    }
  };
  carry();
  ASSERT_EQ(client.state(), transport::TlsState::kOpen);
  // A large answer costs its ciphertext's buffer each time: idle connections do not keep it.
  const std::string requests[] = {request("/", 10), request("/", 300'000)};
  for (int round = 0; round < 5; ++round) {
    if (round == 2) allocations = 0;  // both output buffers have had their turn
    for (const std::string& text : requests) {
      plain_bytes = 0;
      client.write(std::as_bytes(std::span(text)));
      carry();
      EXPECT_GT(plain_bytes, 0U);
    }
  }
  EXPECT_EQ(allocations, 0U);
}

}  // namespace
}  // namespace penstock::http
