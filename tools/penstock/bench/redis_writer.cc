#include "bench/redis_writer.h"

#include "bench/outbox.h"
#include "bench/outcomes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <sys/eventfd.h>
#include <thread>
#include <utility>
#include <vector>

namespace penstock::tools::bench {
namespace {

// What answers become: the first error's text is kept, nothing else of them.
struct Answers {
  bool error = false;
  std::string text;
};

void* note_string(const redisReadTask* task, char* text, std::size_t bytes) {
  auto* answers = static_cast<Answers*>(task->privdata);
  answers->error = task->type == REDIS_REPLY_ERROR;
  if (answers->error) answers->text.assign(text, bytes);
  return answers;
}
void* note_array(const redisReadTask* task, int) { return task->privdata; }
void* note_integer(const redisReadTask* task, long long) { return task->privdata; }
void* note_nil(const redisReadTask* task) { return task->privdata; }
void forget(void*) {}

redisReplyObjectFunctions noting = {note_string, note_array, note_integer, note_nil, forget};

class Connection {
 public:
  Connection(RedisLink link, const std::vector<std::string>& shards, const WriterShape& shape,
             Outcomes& outcomes)
      : shards_(shards),
        outcomes_(outcomes),
        link_(std::move(link)),
        woken_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        outbox_(std::max<std::uint64_t>(1, shape.buffered_bytes / shape.connections),
                [this] { wake(); }) {
    redisContext* context = link_.context();
    ::fcntl(context->fd, F_SETFL, ::fcntl(context->fd, F_GETFL) | O_NONBLOCK);
    context->flags &= ~REDIS_BLOCK;
    thread_ = std::jthread([this] { run(); });
  }
  ~Connection() {
    outbox_.close();
    if (thread_.joinable()) thread_.join();
    // The context frees its reader by the functions that it came with: nothing of ours is left in it.
    ::close(woken_);
  }
  bool put(const Outgoing& record) { return outbox_.put(record); }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(woken_, &one, sizeof one);
  }
  void run();
  bool fill();
  bool exchange(bool readable);
  void lost();

  const std::vector<std::string>& shards_;
  Outcomes& outcomes_;
  RedisLink link_;
  const int woken_;
  Outbox outbox_;
  Outbox::Box box_;
  std::string commands_;      // not yet given to the context
  bool unsent_ = false;       // the context has bytes that have not left
  bool left_behind_ = false;  // there was no room to take what lay ready
  bool broken_ = false;
  std::deque<std::uint64_t> under_way_;  // by the order of their answers
  Answers answers_;
  std::jthread thread_;
};

void Connection::run() {
  redisReader* reader = link_.context()->reader;
  reader->fn = &noting;
  reader->privdata = &answers_;
  bool open = true;
  while (open || !under_way_.empty()) {
    pollfd files[2] = {{link_.context()->fd, POLLIN, 0}, {woken_, POLLIN, 0}};
    if (unsent_) files[0].events = POLLIN | POLLOUT;
    if (broken_) files[0].fd = -1;
    // What was left in the outbox while there was no room is nobody's to wake for.
    ::poll(files, 2, left_behind_ && !unsent_ ? 0 : -1);
    if ((files[1].revents & POLLIN) != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto read = ::read(woken_, &count, sizeof count);
    }
    open = fill();
    const bool readable = (files[0].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
    if (!broken_ && !exchange(readable)) lost();
  }
}

// Makes commands of what lies ready, once those before have left. False: nothing will any more.
bool Connection::fill() {
  left_behind_ = unsent_;
  if (unsent_) return true;
  const bool open = outbox_.take(box_, false);
  box_.each([this](const Outbox::Entry& entry, std::string_view key,
                   std::span<const std::byte> data) {
    if (broken_) {
      outcomes_.result(entry.number, Outcome::kRefused);
      return;
    }
    const std::string& shard =
        shards_[entry.hash ? entry.hash->high % shards_.size() : entry.key_number % shards_.size()];
    append_command(
        commands_,
        {"XADD", shard, "*", key, {reinterpret_cast<const char*>(data.data()), data.size()}});
    under_way_.push_back(entry.number);
  });
  box_.clear();
  return open;
}

// Sends what can be sent, and takes the answers that are there. False: the connection is lost.
bool Connection::exchange(bool readable) {
  redisContext* context = link_.context();
  if (!commands_.empty()) {
    if (redisAppendFormattedCommand(context, commands_.data(), commands_.size()) != REDIS_OK) {
      return false;
    }
    commands_.clear();
    unsent_ = true;
  }
  if (unsent_) {
    int done = 0;
    if (redisBufferWrite(context, &done) != REDIS_OK) return false;
    unsent_ = done == 0;
  }
  if (readable && redisBufferRead(context) != REDIS_OK) return false;
  for (;;) {
    void* answer = nullptr;
    if (redisGetReplyFromReader(context, &answer) != REDIS_OK) return false;
    if (answer == nullptr || under_way_.empty()) return true;
    if (answers_.error)
      outcomes_.failed(redis_problem("Redis does not take every record", answers_.text));
    outcomes_.result(under_way_.front(), answers_.error ? Outcome::kRefused : Outcome::kStored);
    under_way_.pop_front();
  }
}

void Connection::lost() {
  broken_ = true;
  unsent_ = false;
  outcomes_.failed(redis_problem("the connection to Redis was lost", link_.context()->errstr));
  for (; !under_way_.empty(); under_way_.pop_front()) {
    outcomes_.result(under_way_.front(), Outcome::kUnknown);
  }
}

class RedisWriter final : public Writer {
 public:
  RedisWriter(const std::string& stream, std::uint32_t shards, Track& track) : outcomes_(track) {
    for (std::uint32_t i = 0; i < shards; ++i) shards_.push_back(redis_shard(stream, i));
  }
  void connect(RedisLink link, const WriterShape& shape) {
    connections_.push_back(
        std::make_unique<Connection>(std::move(link), shards_, shape, outcomes_));
  }
  bool put(const Outgoing& record) override {
    return connections_[record.key_number % connections_.size()]->put(record);
  }
  void flush() override { outcomes_.wait(); }
  std::optional<Problem> problem() const override { return outcomes_.problem(); }

 private:
  Outcomes outcomes_;
  std::vector<std::string> shards_;
  std::vector<std::unique_ptr<Connection>> connections_;  // last: their results need the others
};

}  // namespace

std::string redis_shard(const std::string& stream, std::uint32_t shard) {
  return fmt::format("{}:{}", stream, shard);
}

Attempt<std::unique_ptr<Writer>> redis_writer(const RedisAddress& address,
                                              const std::string& stream, std::uint32_t shards,
                                              const WriterShape& shape, Track& track) {
  auto writer = std::make_unique<RedisWriter>(stream, shards, track);
  for (std::uint32_t i = 0; i < shape.connections; ++i) {
    auto link = RedisLink::connect(address);
    if (!link) return std::unexpected(std::move(link.error()));
    writer->connect(std::move(*link), shape);
  }
  return writer;
}

}  // namespace penstock::tools::bench
