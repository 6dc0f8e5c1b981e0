#include "bench/native_reader.h"

#include "native.h"
#include "native_read.h"
#include "penstock/consumer.h"

#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace penstock::tools::bench {
namespace {

class NativeReader final : public Reader {
 public:
  NativeReader(std::shared_ptr<Client> client, const std::string& stream, const ReaderShape& shape,
               OnIncoming on_records)
      : stream_(stream), on_records_(std::move(on_records)), client_(std::move(client)) {
    ConsumerOptions options;
    options.start.kind =
        shape.from == From::kHorizon ? StartAt::Kind::kHorizon : StartAt::Kind::kLatest;
    options.polling = shape.pull;
    options.on_records = [this](const Records& records) { hand_on(records); };
    options.on_problem = [this](ShardNumber, const Error& error) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = error.code;
    };
    consumer_ = client_->consumer(stream, std::move(options));
  }
  ~NativeReader() override { consumer_->stop(); }

  std::optional<Problem> problem() const override {
    const std::lock_guard lock(mutex_);
    if (!failure_) return std::nullopt;
    return problem_of(*failure_, fmt::format("stream '{}' cannot be read", stream_));
  }

 private:
  void hand_on(const Records& records) {
    incoming_.clear();
    for (const Record& record : records.records) incoming_.push_back({record.key, record.data});
    on_records_(incoming_);
  }

  std::string stream_;
  OnIncoming on_records_;
  std::vector<Incoming> incoming_;
  mutable std::mutex mutex_;
  std::optional<ErrorCode> failure_;
  std::shared_ptr<Client> client_;
  std::shared_ptr<Consumer> consumer_;  // last: it calls into the others
};

}  // namespace

std::unique_ptr<Reader> native_reader(std::shared_ptr<Client> client, const std::string& stream,
                                      const ReaderShape& shape, OnIncoming on_records) {
  return std::make_unique<NativeReader>(std::move(client), stream, shape, std::move(on_records));
}

Ended native_read_all(Client& client, const std::string& stream, const OnIncoming& on_records) {
  std::vector<Incoming> incoming;
  return native_read(client, stream, [&](const Records& records) {
    incoming.clear();
    for (const Record& record : records.records) incoming.push_back({record.key, record.data});
    on_records(incoming);
  });
}

}  // namespace penstock::tools::bench
