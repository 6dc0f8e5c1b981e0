#include "bench/kinesis_reader.h"

#include "client/records.h"
#include "client/streams.h"
#include "fleet/readback.h"

#include <fmt/format.h>

#include <chrono>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::tools::bench {
namespace {

constexpr std::uint32_t kReadersMax = 8;
constexpr std::uint32_t kPageLimit = 10'000;
constexpr std::chrono::milliseconds kPause{20};
// A shard with the service's read limit refuses for up to five seconds after a large page.
constexpr int kAttemptsMax = 30;

std::span<const std::byte> octets(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string failing(const std::string& stream) {
  return fmt::format("stream '{}' cannot be read", stream);
}

class KinesisReader final : public Reader {
 public:
  KinesisReader(client::ClientOptions options, std::string stream, OnIncoming on_records)
      : options_(std::move(options)),
        stream_(std::move(stream)),
        on_records_(std::move(on_records)) {}
  ~KinesisReader() override {
    for (std::jthread& thread : threads_) thread.request_stop();
  }

  // The iterators are there when it returns: LATEST is then a moment that has passed.
  client::Outcome<> start(From from) {
    client::KinesisClient client(options_);
    const auto shards = client::list_shards(client, stream_);
    if (!shards) return std::unexpected(shards.error());
    client::Position position;
    if (from == From::kLatest) position.kind = client::Position::Kind::kLatest;
    std::vector<std::string> iterators;
    for (const auto& shard : *shards) {
      auto iterator = client::shard_iterator(client, stream_, shard.id, position);
      if (!iterator) return std::unexpected(std::move(iterator.error()));
      iterators.push_back(std::move(*iterator));
    }
    for (std::string& iterator : iterators) {
      threads_.emplace_back(
          [this, at = std::move(iterator)](const std::stop_token& stop) { read(stop, at); });
    }
    return {};
  }
  std::optional<Problem> problem() const override {
    const std::lock_guard lock(mutex_);
    return problem_;
  }

 private:
  void read(const std::stop_token& stop, std::string iterator) {
    client::KinesisClient client(options_);
    client::RecordPages pages;
    while (!stop.stop_requested() && !iterator.empty()) {
      auto page =
          pages.next(client, iterator, kPageLimit, [this](const client::RecordView& record) {
            const Incoming incoming{record.key, octets(record.data)};
            on_records_({&incoming, 1});
          });
      if (!page) {
        const std::lock_guard lock(mutex_);
        if (!problem_) problem_ = problem_of(page.error(), failing(stream_));
        return;
      }
      iterator = std::move(page->next_iterator);
      if (page->records == 0) std::this_thread::sleep_for(kPause);
    }
  }

  client::ClientOptions options_;
  std::string stream_;
  OnIncoming on_records_;
  mutable std::mutex mutex_;
  std::optional<Problem> problem_;
  std::vector<std::jthread> threads_;  // last: they use all of the others
};

}  // namespace

Attempt<std::unique_ptr<Reader>> kinesis_reader(const client::ClientOptions& options,
                                                const std::string& stream, From from,
                                                OnIncoming on_records) {
  client::ClientOptions patient = options;
  patient.attempts_max = kAttemptsMax;
  auto reader = std::make_unique<KinesisReader>(patient, stream, std::move(on_records));
  if (auto started = reader->start(from); !started) {
    return std::unexpected(problem_of(started.error(), failing(stream)));
  }
  return reader;
}

Ended kinesis_read_all(const client::ClientOptions& options, const std::string& stream,
                       const OnIncoming& on_records) {
  KinesisReadback reader(stream, options, [&](std::string_view key, std::string_view data) {
    const Incoming incoming{key, octets(data)};
    on_records({&incoming, 1});
  });
  return reader.run(kReadersMax);
}

}  // namespace penstock::tools::bench
