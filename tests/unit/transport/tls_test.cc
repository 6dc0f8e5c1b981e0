// Goal: both halves of a TLS connection understand each other, whatever pieces the ciphertext comes
// in, and failures say what they are. Method: a client and a server session in one process, their
// outputs carried across by hand.
#include "transport/tls.h"

#include "tests/support/test_certificate.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>

namespace penstock::transport {
namespace {

using test::make_test_certificate;
using test::TestCertificate;

const TestCertificate& certificate() {
  static const TestCertificate made = make_test_certificate();
  return made;
}

std::shared_ptr<TlsContext> server_context() {
  return TlsContext::server(certificate().certificate_pem, certificate().key_pem).value();
}
std::shared_ptr<TlsContext> client_context() {
  return TlsContext::client(certificate().certificate_pem).value();
}

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

// Carries what `from` has to send to `to`, in pieces, and returns the plaintext that came out.
std::string carry(TlsSession& from, TlsSession& to, std::size_t piece) {
  std::string plain;
  std::span<const std::byte> out = from.take_output();
  while (!out.empty()) {
    const std::size_t take = std::min(piece, out.size());
    to.feed(out.first(take));
    out = out.subspan(take);
    char buffer[700];
    while (const std::size_t n = to.read(std::as_writable_bytes(std::span(buffer)))) {
      plain.append(buffer, n);
    }
    if (to.state() == TlsState::kFailed || to.state() == TlsState::kEnded) break;
  }
  return plain;
}

void shake_hands(TlsSession& client, TlsSession& server, std::size_t piece = 1 << 20) {
  client.start();
  for (int round = 0; round < 4; ++round) {
    carry(client, server, piece);
    carry(server, client, piece);
  }
}

TEST(Tls, CarriesBytesBothWaysInPiecesOfAnySize) {
  std::mt19937 random(7);
  std::string large(200'000, ' ');
  for (char& c : large) c = static_cast<char>(random());
  for (const std::size_t piece : {1UL, 5UL, 1000UL, 1UL << 20}) {
    TlsSession server(server_context());
    TlsSession client(client_context(), "localhost");
    shake_hands(client, server, piece);
    ASSERT_EQ(client.state(), TlsState::kOpen) << client.failure();
    ASSERT_EQ(server.state(), TlsState::kOpen) << server.failure();
    client.write(bytes("POST / HTTP/1.1\r\n"));
    client.write(bytes("\r\n"));
    EXPECT_EQ(carry(client, server, piece), "POST / HTTP/1.1\r\n\r\n");
    server.write(bytes(large));
    EXPECT_EQ(carry(server, client, piece), large);
  }
}

TEST(Tls, KeepsWhatIsInFlightWhileMoreIsWritten) {
  TlsSession server(server_context());
  TlsSession client(client_context(), "127.0.0.1");
  shake_hands(client, server);
  server.write(bytes("first"));
  const std::span<const std::byte> in_flight = server.take_output();
  const std::vector<std::byte> copy(in_flight.begin(), in_flight.end());
  server.write(bytes(std::string(100'000, 'x')));
  EXPECT_TRUE(std::equal(copy.begin(), copy.end(), in_flight.begin(), in_flight.end()));
  EXPECT_GT(server.output_bytes(), 100'000U);
}

TEST(Tls, TellsAnEndFromAFailure) {
  TlsSession server(server_context());
  TlsSession client(client_context(), "localhost");
  shake_hands(client, server);
  client.write(bytes("last words"));
  client.end();
  EXPECT_EQ(carry(client, server, 1 << 20), "last words");
  EXPECT_EQ(server.state(), TlsState::kEnded);
  EXPECT_EQ(server.failure(), "");
}

TEST(Tls, KeepsNoLargeBuffersWhenTrimmed) {
  TlsSession server(server_context());
  TlsSession client(client_context(), "localhost");
  shake_hands(client, server);
  const std::string large(300'000, 'x');
  for (int i = 0; i < 2; ++i) {
    server.write(bytes(large));
    EXPECT_GT(server.output_memory(), large.size());
    EXPECT_EQ(carry(server, client, 1 << 20), large);
  }
  server.trim();
  EXPECT_LE(server.output_memory(), 64U * 1024);
  // What small answers need stays.
  server.write(bytes("hello"));
  EXPECT_EQ(carry(server, client, 1 << 20), "hello");
  const std::size_t small = server.output_memory();
  server.trim();
  EXPECT_EQ(server.output_memory(), small);
}

TEST(Tls, FailsOnBytesThatAreNoTls) {
  TlsSession server(server_context());
  const std::string http = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  server.feed(bytes(http));
  std::byte out[64];
  EXPECT_EQ(server.read(out), 0U);
  EXPECT_EQ(server.state(), TlsState::kFailed);
  EXPECT_EQ(server.failure(), "http request");
}

TEST(Tls, FailsOnAChangedRecord) {
  TlsSession server(server_context());
  TlsSession client(client_context(), "localhost");
  shake_hands(client, server);
  client.write(bytes("hello"));
  const std::span<const std::byte> out = client.take_output();
  std::vector<std::byte> changed(out.begin(), out.end());
  changed.back() ^= std::byte{1};
  server.feed(changed);
  std::byte plain[64];
  EXPECT_EQ(server.read(plain), 0U);
  EXPECT_EQ(server.state(), TlsState::kFailed);
}

TEST(Tls, ClientsRefuseAnotherNameAndAnotherIssuer) {
  TlsSession server(server_context());
  TlsSession elsewhere(client_context(), "example.com");
  shake_hands(elsewhere, server);
  EXPECT_EQ(elsewhere.state(), TlsState::kFailed);

  TlsSession again(server_context());
  const TestCertificate other = make_test_certificate();
  TlsSession distrustful(TlsContext::client(other.certificate_pem).value(), "localhost");
  shake_hands(distrustful, again);
  EXPECT_EQ(distrustful.state(), TlsState::kFailed);
}

std::shared_ptr<TlsContext> native_server() {
  return TlsContext::server(certificate().certificate_pem, certificate().key_pem,
                            TlsProtocol::kNative)
      .value();
}
std::shared_ptr<TlsContext> native_client() {
  return TlsContext::client(certificate().certificate_pem, TlsProtocol::kNative).value();
}

TEST(Tls, TheNativeProtocolHasItsOwnName) {
  TlsSession server(native_server());
  TlsSession client(native_client(), "localhost");
  shake_hands(client, server);
  ASSERT_EQ(client.state(), TlsState::kOpen) << client.failure();
  client.write(bytes("PWP/1"));
  EXPECT_EQ(carry(client, server, 1 << 20), "PWP/1");

  TlsSession another(native_server());
  TlsSession http(client_context(), "localhost");
  shake_hands(http, another);
  EXPECT_EQ(http.state(), TlsState::kFailed);
  EXPECT_EQ(another.state(), TlsState::kFailed);

  TlsSession http_server(server_context());
  TlsSession native(native_client(), "localhost");
  shake_hands(native, http_server);
  EXPECT_EQ(native.state(), TlsState::kFailed);
}

// By a client of OpenSSL's own that has nothing newer than TLS 1.2.
TEST(Tls, TheNativeProtocolNeedsTls13) {
  const auto opened = [](const std::shared_ptr<TlsContext>& context) {
    TlsSession server(context);
    SSL_CTX* old = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
    SSL* ssl = SSL_new(old);
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    for (int round = 0; round < 4; ++round) {
      SSL_do_handshake(ssl);
      char* sent = nullptr;
      const long n = BIO_get_mem_data(out, &sent);
      if (n > 0) {
        server.feed(std::as_bytes(std::span(sent, static_cast<std::size_t>(n))));
        std::byte plain[64];
        static_cast<void>(server.read(plain));
        static_cast<void>(BIO_reset(out));
      }
      const std::span<const std::byte> answer = server.take_output();
      BIO_write(in, answer.data(), static_cast<int>(answer.size()));
      if (server.state() == TlsState::kFailed) break;
    }
    const TlsState state = server.state();
    SSL_free(ssl);
    SSL_CTX_free(old);
    ERR_clear_error();
    return state;
  };
  EXPECT_EQ(opened(server_context()), TlsState::kOpen);
  EXPECT_EQ(opened(native_server()), TlsState::kFailed);
}

TEST(Tls, BothEndsExportTheSameKeysAndOthersDoNot) {
  const auto keys = [](std::string_view label) {
    TlsSession server(native_server());
    TlsSession client(native_client(), "localhost");
    shake_hands(client, server);
    std::array<std::byte, 32> ours{};
    std::array<std::byte, 32> theirs{};
    server.export_keying(label, ours);
    client.export_keying(label, theirs);
    EXPECT_EQ(ours, theirs);
    client.export_keying("EXPORTER-another", theirs);
    EXPECT_NE(ours, theirs);
    return ours;
  };
  EXPECT_NE(keys("EXPORTER-penstock-pwp1"), keys("EXPORTER-penstock-pwp1"));
}

TEST(Tls, RefusesMaterialThatIsNone) {
  const TestCertificate other = make_test_certificate();
  EXPECT_EQ(TlsContext::server("", certificate().key_pem).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(TlsContext::server(certificate().certificate_pem, "").error().code,
            ErrorCode::kMalformed);
  EXPECT_EQ(TlsContext::server(certificate().certificate_pem, other.key_pem).error().code,
            ErrorCode::kConfig);
  EXPECT_EQ(TlsContext::client("no certificate").error().code, ErrorCode::kMalformed);
}

}  // namespace
}  // namespace penstock::transport
