// A KinesisService over planes in memory: calls go in as JSON, answers come out as text.
//
// Owner      the test
#pragma once

#include "env/entropy.h"
#include "http/kinesis_service.h"
#include "tests/support/fake_exchange.h"
#include "tests/support/fake_planes.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::test {

class CountingEntropy final : public env::Entropy {
 public:
  void fill(std::span<std::byte> out) override {
    for (std::byte& b : out) b = static_cast<std::byte>(next_++);
  }

 private:
  unsigned next_ = 1;
};

struct Answer {
  int status = 0;
  std::string body;
  friend bool operator==(const Answer&, const Answer&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Answer& answer) {
    return out << answer.status << ' ' << answer.body;
  }
};

class KinesisHarness {
 public:
  static constexpr std::int64_t kStartMillis = 1'700'000'000'000;

  explicit KinesisHarness(http::KinesisOptions options = {})
      : data(WallMillis(kStartMillis)),
        control(data),
        service(data, control, entropy, complete(std::move(options))) {
    client.access_key_id = "AKIAPENSTOCK";
    client.secret_access_key = "a secret";
  }

  // One call from its first byte to its answer.
  Answer call(std::string_view operation, std::string_view json) {
    FakeExchange exchange;
    prepare(exchange, operation, json);
    send(exchange);
    return {exchange.status(), std::string(exchange.text())};
  }
  // A signed request, not yet handed in.
  void prepare(FakeExchange& exchange, std::string_view operation, std::string_view json) {
    exchange.method = "POST";
    exchange.received = now;
    exchange.target = "/";
    exchange.set_header("Host", "localhost:4567");
    exchange.set_header("Content-Type", "application/x-amz-json-1.1");
    exchange.set_header("X-Amz-Target", std::string("Kinesis_20131202.").append(operation));
    exchange.set_body(json);
    exchange.sign(client, data.wall());
  }
  void send(FakeExchange& exchange) {
    service.handle(exchange, now, data.wall());
    run();
  }
  // Lets the planes answer what they were asked.
  void run() {
    data.run(now);
    control.run(now);
  }
  void advance(std::int64_t millis) {
    now = now + millis * kNanosPerMilli;
    data.set_wall(data.wall() + millis);
  }

  Nanos now{1'000'000'000};
  CountingEntropy entropy;
  FakeDataPlane data;
  FakeControlPlane control;
  http::KinesisService service;
  proto::ClientCredentials client;

  // With the key that `client` signs with; for a service of one's own, too.
  static http::KinesisOptions complete(http::KinesisOptions options) {
    options.credentials = std::make_shared<const proto::CredentialSet>(
        std::vector<proto::Credential>{{.access_key_id = "AKIAPENSTOCK",
                                        .secret_access_key = "a secret",
                                        .session_token = {}}});
    for (std::size_t i = 0; i < options.token_key.size(); ++i) {
      options.token_key[i] = static_cast<std::byte>(i);
    }
    return options;
  }
};

}  // namespace penstock::test
