// Puts what the standard input says by the C++ library, and keeps a journal that checker.py judges:
//   native_load ENDPOINT STREAM JOURNAL BATCH_BYTES
//
// A line of the input is `identity TAB key TAB data`. The journal has `begin TAB identity TAB key` before a record is
// put, and then `stored TAB identity TAB shard TAB sequence number`, `refused TAB identity TAB error` or `unknown TAB
// identity TAB error`. Each line is one write, so that it outlives a kill of this program; a kill may cut the last one.
// When the input has ended and everything has its result, the producer's counters go to the standard error.
#include <fcntl.h>
#include <penstock/client.h>
#include <penstock/producer.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <string_view>

namespace {

using penstock::ErrorCode;

class Journal {
 public:
  explicit Journal(const char* path)
      : file_(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
    if (file_ < 0) give_up();
  }
  // From any thread: what is appended by one write is not torn by another.
  void say(std::string line) const {
    line += '\n';
    if (write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) give_up();
  }

 private:
  // Without a journal nothing may be put.
  [[noreturn]] static void give_up() {
    std::perror("journal");
    std::_Exit(3);
  }
  int file_;
};

std::string outcome(const std::string& identity, const penstock::Result<penstock::Stored>& result) {
  if (result) {
    char shard[32];
    std::snprintf(shard, sizeof(shard), "shardId-%012u", result->shard.raw());
    return "stored\t" + identity + '\t' + shard + '\t' + result->sequence_number();
  }
  const ErrorCode code = result.error().code;
  // Of the second nobody knows where it is: the reader says whether.
  const bool open = code == ErrorCode::kUnknownOutcome || code == ErrorCode::kSequenceOld;
  return (open ? "unknown\t" : "refused\t") + identity + '\t' + std::string(penstock::name(code));
}

void put(penstock::Producer& producer, const Journal& journal, std::string_view line) {
  const std::size_t first = line.find('\t');
  const std::size_t second = line.find('\t', first + 1);
  const std::string identity(line.substr(0, first));
  const std::string_view key = line.substr(first + 1, second - first - 1);
  journal.say("begin\t" + identity + '\t' + std::string(key));
  const penstock::Result<> taken =
      producer.put(key, std::as_bytes(std::span(line.substr(second + 1))),
                   [&journal, identity](const penstock::Result<penstock::Stored>& result) {
                     journal.say(outcome(identity, result));
                   });
  if (!taken) journal.say("refused\t" + identity + '\t' + std::string(name(taken.error().code)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  penstock::ClientOptions at;
  at.endpoints = {argv[1]};
  at.connect_timeout = std::chrono::seconds(60);
  const auto client = penstock::Client::connect(at);
  if (!client) return std::cerr << penstock::text(client.error().code) << '\n', 1;
  const Journal journal(argv[3]);
  penstock::ProducerOptions options;
  options.batch_bytes = static_cast<std::uint32_t>(std::strtoul(argv[4], nullptr, 10));
  options.deadline = std::chrono::seconds(60);
  const auto producer = (*client)->producer(argv[2], options);
  for (std::string line; std::getline(std::cin, line);) put(*producer, journal, line);
  producer->flush();
  const penstock::ProducerCounters counters = producer->counters();
  std::cerr << counters.records_stored << " stored, " << counters.batches_sent << " batches, "
            << counters.batches_repeated << " of them repeated, " << counters.lanes_opened
            << " lanes\n";
  return 0;
}
