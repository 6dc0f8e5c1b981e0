// Penstock by its own protocol: a producer for each writer, idempotent unless asked otherwise, on a connection of its own.
#include "bench/metrics.h"
#include "bench/native_reader.h"
#include "bench/target.h"
#include "native.h"
#include "penstock/admin.h"
#include "penstock/client.h"
#include "penstock/producer.h"

#include <fmt/format.h>

#include <mutex>
#include <thread>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr std::chrono::milliseconds kAskAgain{10};
constexpr int kAsksMax = 3'000;

class NativeWriter final : public Writer {
 public:
  NativeWriter(std::shared_ptr<Client> client, const std::string& stream, const WriterShape& shape,
               bool idempotent, Track& track)
      : stream_(stream), track_(track), client_(std::move(client)) {
    ProducerOptions options;
    options.batch_bytes = shape.batch_bytes;
    options.linger = std::chrono::microseconds(shape.linger_micros);
    options.buffered_bytes_max = shape.buffered_bytes;
    options.idempotent = idempotent;
    producer_ = client_->producer(stream, options);
  }

  bool put(const Outgoing& record) override {
    std::optional<ExplicitHash> hash;
    if (record.hash) hash = ExplicitHash{record.hash->high, record.hash->low};
    // Small enough to stand in PutDone itself: nothing is allocated for it.
    const Result<> taken = producer_->put(
        record.key, record.data,
        [this, number = record.number](const Result<Stored>& stored) { settle(number, stored); },
        hash);
    if (!taken) note(taken.error().code);
    return taken.has_value();
  }
  void flush() override { producer_->flush(); }
  std::optional<Problem> problem() const override {
    const std::lock_guard lock(mutex_);
    if (!failure_) return std::nullopt;
    return problem_of(*failure_, fmt::format("stream '{}' does not take every record", stream_));
  }

 private:
  void settle(std::uint64_t number, const Result<Stored>& stored) {
    // A sequence that is too old is of a batch that was stored: only where is forgotten.
    if (stored || stored.error().code == ErrorCode::kSequenceOld) {
      track_.result(number, Outcome::kStored);
      return;
    }
    note(stored.error().code);
    track_.result(number, stored.error().code == ErrorCode::kUnknownOutcome ? Outcome::kUnknown
                                                                            : Outcome::kRefused);
  }
  void note(ErrorCode code) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = code;
  }

  std::string stream_;
  Track& track_;
  mutable std::mutex mutex_;
  std::optional<ErrorCode> failure_;
  std::shared_ptr<Client> client_;
  std::shared_ptr<Producer> producer_;  // last: its results need the others
};

class NativeTarget final : public Target {
 public:
  NativeTarget(const Session& session, std::shared_ptr<Client> client, ServerMetrics metrics,
               bool idempotent)
      : session_(session),
        client_(std::move(client)),
        metrics_(std::move(metrics)),
        idempotent_(idempotent) {
    endpoint_ = session.native_endpoint().empty()
                    ? native_endpoint(session.client_options().endpoint)
                    : session.native_endpoint();
  }

  std::string name() const override { return "native " + endpoint_; }
  std::string durability() const override {
    return metrics_.durability().empty() ? "unknown" : metrics_.durability();
  }
  Facts facts() const override { return metrics_.facts(); }
  Facts load_facts() const override {
    Facts facts = metrics_.load_facts();
    facts.emplace_back("carrier", endpoint_.starts_with("tcp://") ? "TCP" : "TLS");
    if (!idempotent_) facts.emplace_back("idempotent", "no");
    return facts;
  }
  std::vector<pid_t> processes() const override {
    const client::Endpoint& api = session_.client_options().endpoint;
    return local_listeners(api.host, api.port);
  }
  bool exactly_once() const override { return idempotent_; }
  bool keeps_order() const override { return idempotent_; }

  Ended make_stream(const std::string& stream, std::uint32_t shards) override;
  Ended remove_stream(const std::string& stream) override;
  Attempt<std::unique_ptr<Writer>> writer(const std::string& stream, const WriterShape& shape,
                                          Track& track) override {
    // A producer would wait for the stream as long as its records may; a name that is wrong is told at once.
    if (const auto described = client_->admin().describe(stream); !described) {
      return std::unexpected(
          problem_of(described.error().code, fmt::format("stream '{}' cannot be written", stream))
              .mend("penstock stream list"));
    }
    auto client = connect_native(session_);
    if (!client) return std::unexpected(std::move(client.error()));
    return std::make_unique<NativeWriter>(std::move(*client), stream, shape, idempotent_, track);
  }
  Ended read_all(const std::string& stream, const OnIncoming& on_records) override {
    return native_read_all(*client_, stream, on_records);
  }
  Attempt<std::unique_ptr<Reader>> reader(const std::string& stream, const ReaderShape& shape,
                                          OnIncoming on_records) override {
    auto client = connect_native(session_);
    if (!client) return std::unexpected(std::move(client.error()));
    return native_reader(std::move(*client), stream, shape, std::move(on_records));
  }
  ServerCost cost() override { return metrics_.cost(); }

 private:
  const Session& session_;
  std::shared_ptr<Client> client_;
  ServerMetrics metrics_;
  bool idempotent_;
  std::string endpoint_;
};

Ended NativeTarget::make_stream(const std::string& stream, std::uint32_t shards) {
  const std::string failing = fmt::format("stream '{}' cannot be made", stream);
  if (const auto made = client_->admin().create_stream(stream, shards); !made) {
    return std::unexpected(problem_of(made.error().code, failing));
  }
  for (int i = 0; i < kAsksMax; ++i) {
    const auto described = client_->admin().describe(stream);
    if (!described) return std::unexpected(problem_of(described.error().code, failing));
    if (described->state == StreamState::kActive) return Exit::kDone;
    std::this_thread::sleep_for(kAskAgain);
  }
  return std::unexpected(problem_of(ErrorCode::kDeadline, failing));
}

Ended NativeTarget::remove_stream(const std::string& stream) {
  const auto done = client_->admin().delete_stream(stream);
  if (done || done.error().code == ErrorCode::kNotFound) return Exit::kDone;
  return std::unexpected(
      problem_of(done.error().code, fmt::format("stream '{}' cannot be deleted", stream))
          .mend(fmt::format("penstock stream delete {} --yes", stream)));
}

}  // namespace

Attempt<std::unique_ptr<Target>> native_target(const Session& session, const TargetChoice& choice) {
  auto metrics = ServerMetrics::at(session.client_options().endpoint, choice.admin);
  if (!metrics) return std::unexpected(std::move(metrics.error()));
  auto client = connect_native(session);
  if (!client) return std::unexpected(std::move(client.error()));
  return std::make_unique<NativeTarget>(session, std::move(*client), std::move(*metrics),
                                        choice.idempotent);
}

}  // namespace penstock::tools::bench
