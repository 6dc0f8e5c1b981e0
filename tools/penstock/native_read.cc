#include "native_read.h"

#include "native.h"
#include "penstock/admin.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

namespace penstock::tools {
namespace {

// Without a single record for so long, a stream that has not been read to its end will not be.
constexpr std::chrono::seconds kPatience{60};

// How far it is; the library's thread tells.
class Progress {
 public:
  void made() {
    const std::lock_guard lock(mutex_);
    made_ = true;
  }
  void end(std::optional<ErrorCode> failure) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(over_, true)) failure_ = failure;
    changed_.notify_all();
  }
  // What stood in the way, or nothing.
  std::optional<ErrorCode> wait() {
    std::unique_lock lock(mutex_);
    for (;;) {
      made_ = false;
      if (changed_.wait_for(lock, kPatience, [this] { return over_; })) return failure_;
      if (!made_) return ErrorCode::kDeadline;
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  bool made_ = false;
  std::optional<ErrorCode> failure_;
};

}  // namespace

Ended native_read(Client& client, const std::string& stream,
                  const std::function<void(const Records&)>& on_records) {
  const std::string failing = fmt::format("stream '{}' cannot be read back", stream);
  // A consumer would wait for a stream that is to come.
  if (const auto described = client.admin().describe(stream); !described) {
    return std::unexpected(problem_of(described.error().code, failing));
  }
  Progress progress;
  ConsumerOptions options;
  options.on_records = [&](const Records& records) {
    on_records(records);
    progress.made();
  };
  options.on_caught_up = [&] { progress.end(std::nullopt); };
  options.on_problem = [&](ShardNumber, const Error& error) {
    // A shard without a lane is read when another gives up its own.
    if (error.code == ErrorCode::kDataLoss || error.code == ErrorCode::kOverloaded) return;
    progress.end(error.code);
  };
  const auto consumer = client.consumer(stream, std::move(options));
  const auto failure = progress.wait();
  consumer->stop();
  if (!failure) return Exit::kDone;
  Problem problem = problem_of(*failure, failing);
  if (!client.connected()) problem.cause(client.problem());
  return std::unexpected(std::move(problem));
}

}  // namespace penstock::tools
