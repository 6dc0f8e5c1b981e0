// Any endpoint of the Kinesis API.
#include "bench/kinesis_reader.h"
#include "bench/kinesis_writer.h"
#include "bench/metrics.h"
#include "bench/target.h"
#include "client/streams.h"

#include <fmt/format.h>

#include <utility>

namespace penstock::tools::bench {
namespace {

class KinesisTarget final : public Target {
 public:
  KinesisTarget(client::ClientOptions options, ServerMetrics metrics, std::string durability)
      : options_(std::move(options)),
        metrics_(std::move(metrics)),
        durability_(std::move(durability)),
        client_(options_) {}

  std::string name() const override { return "kinesis " + options_.endpoint.url(); }
  std::string durability() const override {
    if (!metrics_.durability().empty()) return metrics_.durability();
    return durability_.empty() ? std::string(kDurableUnknown) : durability_;
  }
  Facts facts() const override { return metrics_.facts(); }
  Facts load_facts() const override {
    Facts facts = metrics_.load_facts();
    facts.emplace_back("carrier", options_.endpoint.tls ? "HTTPS" : "HTTP");
    return facts;
  }
  bool exactly_once() const override { return false; }
  std::vector<pid_t> processes() const override {
    return local_listeners(options_.endpoint.host, options_.endpoint.port);
  }

  Ended make_stream(const std::string& stream, std::uint32_t shards) override {
    const std::string failing = fmt::format("stream '{}' cannot be made", stream);
    if (const auto made = client::create_stream(client_, stream, shards); !made) {
      return std::unexpected(problem_of(made.error(), failing));
    }
    const auto active = client::wait_active(client_, stream, options_.timeout);
    if (!active) return std::unexpected(problem_of(active.error(), failing));
    return Exit::kDone;
  }
  Ended remove_stream(const std::string& stream) override {
    const auto done = client::delete_stream(client_, stream);
    if (done || done.error().is("ResourceNotFoundException")) return Exit::kDone;
    return std::unexpected(
        problem_of(done.error(), fmt::format("stream '{}' cannot be deleted", stream)));
  }
  Attempt<std::unique_ptr<Writer>> writer(const std::string& stream, const WriterShape& shape,
                                          Track& track) override {
    return kinesis_writer(options_, stream, shape, track);
  }
  Ended read_all(const std::string& stream, const OnIncoming& on_records) override {
    return kinesis_read_all(options_, stream, on_records);
  }
  Attempt<std::unique_ptr<Reader>> reader(const std::string& stream, const ReaderShape& shape,
                                          OnIncoming on_records) override {
    return kinesis_reader(options_, stream, shape.from, std::move(on_records));
  }
  ServerCost cost() override { return metrics_.cost(); }

 private:
  client::ClientOptions options_;
  ServerMetrics metrics_;
  std::string durability_;
  client::KinesisClient client_;
};

}  // namespace

Attempt<std::unique_ptr<Target>> kinesis_target(const Session& session,
                                                const TargetChoice& choice) {
  client::ClientOptions options = session.client_options();
  auto endpoint = client::Endpoint::parse(choice.name);
  if (!endpoint) return std::unexpected(problem_of(endpoint.error(), "that is no target"));
  options.endpoint = std::move(*endpoint);
  if (!options.endpoint.tls) {
    options.tls = nullptr;
  } else if (options.tls == nullptr) {
    auto tls = client::TlsContext::make(session.ca_file());
    if (!tls) return std::unexpected(problem_of(tls.error(), "TLS cannot be used"));
    options.tls = std::move(*tls);
  }
  auto metrics = ServerMetrics::at(options.endpoint, choice.admin);
  if (!metrics) return std::unexpected(std::move(metrics.error()));
  return std::make_unique<KinesisTarget>(std::move(options), std::move(*metrics),
                                         choice.durability);
}

}  // namespace penstock::tools::bench
