// The consumer that threads see.
#include "penstock/consumer.h"

#include "client/native/client_impl.h"
#include "client/native/consumer_engine.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace penstock {

using client::native::ConsumerEngine;
using client::native::ConsumerHandlers;
using client::native::ConsumerSettings;

struct Consumer::Impl final : client::native::Agent {
  Impl(std::shared_ptr<Client> the_client, std::shared_ptr<Client::Impl> the_thread,
       const std::string& stream, ConsumerOptions the_options)
      : client(std::move(the_client)), thread(std::move(the_thread)) {
    settings.stream = stream;
    settings.start = the_options.start;
    settings.shards = std::move(the_options.shards);
    settings.checkpoints = the_options.checkpoints;
    settings.credit_bytes = std::max<std::uint64_t>(the_options.credit_bytes, 64 * kKiB);
    settings.delivery_bytes = the_options.delivery_bytes;
    settings.polling = the_options.polling;
    settings.poll_wait_ms = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(the_options.poll_wait.count(), 0, 20'000));
    points = std::move(the_options.checkpoints);
    handlers.on_records = std::move(the_options.on_records);
    handlers.on_shard_end = std::move(the_options.on_shard_end);
    handlers.on_caught_up = std::move(the_options.on_caught_up);
    handlers.on_problem = std::move(the_options.on_problem);
    handlers.on_progress = [this](ShardNumber shard, const Checkpoints::Point& point) {
      const std::lock_guard lock(mutex);
      points.shards[shard] = point;
    };
    handlers.on_new_stream = [this] {
      const std::lock_guard lock(mutex);
      points = {};
    };
  }

  void begin(Nanos now) {
    engine = std::make_unique<ConsumerEngine>(thread->link, thread->maps, settings,
                                              std::move(handlers), now);
  }
  void tick(Nanos now) override {
    engine->tick(now);
    const std::lock_guard lock(mutex);
    counters = engine->counters();
  }
  [[nodiscard]] Nanos next_deadline() const override { return engine->next_deadline(); }
  void stop() override { engine.reset(); }

  std::shared_ptr<Client> client;  // stays as long as this
  std::shared_ptr<Client::Impl> thread;
  ConsumerSettings settings;
  ConsumerHandlers handlers;
  std::unique_ptr<ConsumerEngine> engine;  // the thread's
  std::mutex mutex;                        // of what follows
  Checkpoints points;
  ConsumerCounters counters;
};

std::shared_ptr<Consumer> Client::consumer(const std::string& stream, ConsumerOptions options) {
  auto consumer =
      std::make_shared<Consumer::Impl>(shared_from_this(), impl_, stream, std::move(options));
  static_cast<void>(impl_->post([consumer, thread = impl_.get()](Nanos now) {
    consumer->begin(now);
    thread->agents.push_back(consumer);
  }));
  return std::make_shared<Consumer>(std::move(consumer));
}

Consumer::Consumer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Consumer::~Consumer() { stop(); }

void Consumer::stop() {
  // In a callback nothing more is handed on from here; the rest ends when the callback has.
  if (impl_->thread->on_thread() && impl_->engine != nullptr) impl_->engine->stop();
  impl_->thread->release(impl_);
}

Checkpoints Consumer::checkpoints() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->points;
}

ConsumerCounters Consumer::counters() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->counters;
}

}  // namespace penstock
