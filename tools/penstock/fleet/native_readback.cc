#include "fleet/readback.h"
#include "native.h"
#include "penstock/admin.h"
#include "penstock/consumer.h"

#include <chrono>
#include <string_view>
#include <utility>

namespace penstock::tools {
namespace {

constexpr std::chrono::seconds kPatience{30};  // while nothing comes

// A consumer that hands on until it has caught up.
class NativeReadback final : public Readback {
 public:
  NativeReadback(const Session& session, std::string stream, Visit visit)
      : session_(session), stream_(std::move(stream)), visit_(std::move(visit)) {}

  Ended run(std::uint32_t threads) override;

 private:
  void on_records(const Records& records);
  void end(std::optional<Problem> problem) {
    const std::lock_guard lock(mutex_);
    if (!over_) problem_ = std::move(problem);
    over_ = true;
    changed_.notify_one();
  }

  const Session& session_;
  std::string stream_;
  Visit visit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::optional<Problem> problem_;
};

// The library has a thread of its own, which does it all.
Ended NativeReadback::run(std::uint32_t /*threads*/) {
  const auto client = connect_native(session_);
  if (!client) return std::unexpected(client.error());
  // A consumer would wait for a stream that is to come.
  if (const auto stream = (*client)->admin().describe(stream_); !stream) {
    return std::unexpected(problem_of(stream.error().code, "the stream cannot be read back"));
  }
  ConsumerOptions options;
  options.on_records = [this](const Records& records) { on_records(records); };
  options.on_caught_up = [this] { end(std::nullopt); };
  options.on_problem = [this](ShardNumber, const Error& error) {
    end(problem_of(error.code, "the stream cannot be read back"));
  };
  const auto consumer = (*client)->consumer(stream_, std::move(options));
  {
    std::unique_lock lock(mutex_);
    std::uint64_t before = 0;
    while (!changed_.wait_for(lock, kPatience, [this] { return over_; })) {
      if (std::exchange(before, records_) != records_) continue;
      problem_ = Problem{Exit::kUnreachable, kNumberTimeout, "the stream cannot be read back", {}};
      problem_->found((*client)->problem());
      break;
    }
  }
  consumer->stop();
  if (problem_) return std::unexpected(std::move(*problem_));
  return Exit::kDone;
}

void NativeReadback::on_records(const Records& records) {
  for (const Record& record : records.records) {
    visit_(record.key, {reinterpret_cast<const char*>(record.data.data()), record.data.size()});
  }
  records_ += records.records.size();
}

}  // namespace

std::unique_ptr<Readback> native_readback(const Session& session, std::string stream,
                                          Readback::Visit visit) {
  return std::make_unique<NativeReadback>(session, std::move(stream), std::move(visit));
}

}  // namespace penstock::tools
