#include "client/json_writer.h"
#include "client/put_batch.h"
#include "command.h"
#include "line_source.h"
#include "words.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <thread>

namespace penstock::tools {
namespace {

using client::FailureKind;
using client::PutBatch;

// A pipe that trickles is sent this long after its last line.
constexpr std::chrono::milliseconds kLinger{100};
// How long one batch is tried without a single record of it being taken.
constexpr std::chrono::seconds kPatience{60};

struct Options {
  std::string stream;
  std::string data;
  std::string file;
  std::string key;
  std::string key_field;
};

// Sends what it is given, in order, until all of it is acknowledged.
class Putter {
 public:
  Putter(const Session& session, const Options& options)
      : options_(options), client_(session.client()), backoff_(1), batch_(options.stream) {}

  Ended add(std::string_view key, std::string_view data) {
    if (batch_.full(key.size(), data.size())) {
      if (auto flushed = flush(); !flushed) return flushed;
    }
    batch_.add(key, data, given_++);
    return Exit::kDone;
  }

  Ended flush();
  void print(bool json) const;

 private:
  const Options& options_;
  client::KinesisClient client_;
  client::Backoff backoff_;
  PutBatch batch_;
  std::uint64_t given_ = 0;
  std::uint64_t put_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t in_doubt_ = 0;  // sent again although an earlier attempt may have been stored
  std::string last_shard_;
  std::string last_sequence_;
  std::string last_refusal_;
};

Ended Putter::flush() {
  const PutBatch::Visitor visitor{[this](const PutBatch::Acknowledged& entry) {
                                    ++put_;
                                    last_shard_ = entry.shard;
                                    last_sequence_ = entry.sequence;
                                  },
                                  [this](const PutBatch::Refused& entry) {
                                    last_refusal_ =
                                        fmt::format("{}: {}", entry.code, entry.message);
                                    if (entry.unknown) ++in_doubt_;
                                  }};
  backoff_.reset();
  auto give_up = client::Clock::now() + kPatience;
  while (!batch_.empty()) {
    const std::uint64_t before = put_;
    const std::size_t size = batch_.size();
    ++calls_;
    const auto left = batch_.send(client_, visitor);
    const bool late = client::Clock::now() >= give_up;
    const std::string failing =
        fmt::format("{} of {} records were put into '{}'", put_, given_, options_.stream);
    if (!left) {
      if (!left.error().transient() || late)
        return std::unexpected(problem_of(left.error(), failing));
      if (left.error().unknown) in_doubt_ += size;
    } else if (put_ > before) {
      give_up = client::Clock::now() + kPatience;
      backoff_.reset();
    } else if (late) {
      Problem problem{Exit::kThrottled, number(ErrorCode::kThrottled), failing, {}};
      problem.found(last_refusal_).cause("the shard's limit, or a full journal");
      return std::unexpected(
          std::move(problem.mend("penstock stream split " + options_.stream + " SHARD")));
    }
    if (!batch_.empty()) std::this_thread::sleep_for(backoff_.next());
  }
  return Exit::kDone;
}

void Putter::print(bool json) const {
  if (json) {
    client::JsonWriter writer;
    writer.begin_object().field("stream", options_.stream).field("records", put_);
    writer.field("calls", calls_).field("in_doubt", in_doubt_);
    writer.field("last_shard", last_shard_).field("last_sequence", last_sequence_).end_object();
    fmt::print("{}\n", writer.text());
  } else if (put_ == 1) {
    fmt::print("1 record put: {} sequence {}\n", last_shard_, last_sequence_);
  } else {
    fmt::print("{} records put in {} calls\n", format_count(put_), format_count(calls_));
  }
  if (in_doubt_ > 0) {
    fmt::print(
        stderr,
        "note: {} records were sent again after an answer was lost; some may be there twice\n",
        format_count(in_doubt_));
  }
}

// The key of a line: the field's text, or a number as it is written.
class KeyField {
 public:
  explicit KeyField(std::string name) : name_(std::move(name)) {}

  Attempt<std::string> of(std::string_view line, std::uint64_t line_number) {
    simdjson::dom::element document;
    simdjson::dom::element value;
    const auto problem = [&](std::string what) {
      return std::unexpected(
          Problem{Exit::kUsage,
                  number(ErrorCode::kMalformed),
                  fmt::format("line {} cannot be put", line_number),
                  {{"found", std::move(what)},
                   {"needed", "one JSON object a line with the field '" + name_ + "'"},
                   {"mend", "--key KEY gives every line the same key"}}});
    };
    if (const auto error = parser_.parse(line.data(), line.size()).get(document)) {
      return problem(simdjson::error_message(error));
    }
    if (document[name_].get(value)) return problem("no field '" + name_ + "'");
    std::string_view text;
    if (!value.get(text)) {
      if (text.empty()) return problem("the field '" + name_ + "' is empty");
      return std::string(text);
    }
    if (value.is_number() || value.is_bool()) return simdjson::to_string(value);
    return problem("the field '" + name_ + "' is neither text nor a number");
  }

 private:
  std::string name_;
  simdjson::dom::parser parser_;
};

Ended put_lines(Putter& putter, const Options& options, int descriptor) {
  LineSource lines(descriptor);
  KeyField field(options.key_field);
  std::uint64_t line_number = 0;
  std::string_view line;
  for (;;) {
    const LineSource::Got got = lines.next(line, kLinger);
    if (got == LineSource::Got::kLine) {
      ++line_number;
      if (line.empty()) continue;
      Attempt<std::string> key = options.key;
      if (!options.key_field.empty()) key = field.of(line, line_number);
      if (!key) {
        // What stands before the bad line is put all the same: it was in order.
        if (auto flushed = putter.flush(); !flushed) return flushed;
        return std::unexpected(std::move(key.error()));
      }
      if (auto added = putter.add(*key, line); !added) return added;
      continue;
    }
    if (auto flushed = putter.flush(); !flushed) return flushed;
    if (got == LineSource::Got::kEnd) break;
  }
  if (lines.error() == 0) return Exit::kDone;
  Problem problem{
      Exit::kFailed, number(ErrorCode::kSystem), "the input cannot be read to its end", {}};
  problem.found(std::strerror(lines.error()));
  return std::unexpected(std::move(problem));
}

Ended put(const GlobalOptions& globals, const Options& options) {
  if (options.key.empty() == options.key_field.empty()) {
    return std::unexpected(
        usage_problem("a record needs a partition key")
            .needed("--key KEY, or --key-field NAME for lines that are JSON objects")
            .mend("penstock put --help"));
  }
  auto session = Session::open(globals);
  if (!session) return std::unexpected(std::move(session.error()));
  Putter putter(*session, options);
  Ended ended = Exit::kDone;
  if (!options.data.empty()) {
    KeyField field(options.key_field);
    Attempt<std::string> key = options.key;
    if (!options.key_field.empty()) key = field.of(options.data, 1);
    if (!key) return std::unexpected(std::move(key.error()));
    ended = putter.add(*key, options.data);
    if (ended) ended = putter.flush();
  } else if (!options.file.empty() && options.file != "-") {
    const int file = ::open(options.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
      Problem problem{Exit::kUsage, kNumberLocalFile, "the input cannot be opened", {}};
      problem.found(fmt::format("{}: {}", options.file, std::strerror(errno)));
      return std::unexpected(std::move(problem));
    }
    ended = put_lines(putter, options, file);
    ::close(file);
  } else {
    ended = put_lines(putter, options, STDIN_FILENO);
  }
  if (ended) putter.print(globals.json());
  return ended;
}

}  // namespace

void add_put(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("put", "put records into a stream: one a line");
  command->add_option("stream", options->stream, "the stream")->required();
  command->add_option("data", options->data, "one record, instead of lines from standard input");
  command->add_option("--file", options->file, "take the lines from a file; - is standard input");
  command->add_option("--key", options->key, "partition key of every record");
  command->add_option("--key-field", options->key_field,
                      "lines are JSON objects: this field of each is its partition key");
  command->footer(R"(
Each line becomes one record, as it is. Lines go out by 500 in the order they came; those that a
shard refuses for the moment are sent again before what follows, so the order per key stays.

Examples:
  penstock put fleet --key bus-1 hello
  penstock put fleet --key-field device --file telemetry.jsonl
  journalctl -f -o json | penstock put logs --key-field _HOSTNAME)");
  command->callback([&context, options] {
    context.action = [&context, options] { return put(context.globals, *options); };
  });
}

}  // namespace penstock::tools
