#include "command.h"
#include "line_source.h"
#include "put/target.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <thread>

namespace penstock::tools {
namespace {

// A pipe that trickles is sent this long after its last line.
constexpr std::chrono::milliseconds kLinger{100};

struct Options {
  std::string stream;
  std::optional<std::string> data;
  std::string file;
  std::string key;
  std::string key_field;
  std::string via = "kinesis";
};

Attempt<std::unique_ptr<PutTarget>> target_of(const Session& session, const Options& options) {
  if (options.via == "native") return native_target(session, options.stream);
  return kinesis_target(session, options.stream);
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

Ended put_lines(PutTarget& target, const Options& options, int descriptor) {
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
        if (auto flushed = target.flush(); !flushed) return flushed;
        return std::unexpected(std::move(key.error()));
      }
      if (auto added = target.add(*key, line); !added) return added;
      continue;
    }
    if (auto flushed = target.flush(); !flushed) return flushed;
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
  auto made = target_of(*session, options);
  if (!made) return std::unexpected(std::move(made.error()));
  PutTarget& target = **made;
  Ended ended = Exit::kDone;
  if (options.data) {
    KeyField field(options.key_field);
    Attempt<std::string> key = options.key;
    if (!options.key_field.empty()) key = field.of(*options.data, 1);
    if (!key) return std::unexpected(std::move(key.error()));
    ended = target.add(*key, *options.data);
    if (ended) ended = target.flush();
  } else if (!options.file.empty() && options.file != "-") {
    const int file = ::open(options.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
      Problem problem{Exit::kUsage, kNumberLocalFile, "the input cannot be opened", {}};
      problem.found(fmt::format("{}: {}", options.file, std::strerror(errno)));
      return std::unexpected(std::move(problem));
    }
    ended = put_lines(target, options, file);
    ::close(file);
  } else {
    ended = put_lines(target, options, STDIN_FILENO);
  }
  if (ended) target.print(globals.json());
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
  command->add_option("--via", options->via, "kinesis, or native: each record is stored once")
      ->check(CLI::IsMember({"kinesis", "native"}))
      ->capture_default_str();
  command->footer(R"(
Each line becomes one record, without its line end; empty lines are none. Lines go out by 500 in the order they came; those that a
shard refuses for the moment are sent again before what follows, so the order per key stays. Via
kinesis, lines whose answer is lost are sent again and may be there twice; via native they are not.

Examples:
  penstock put fleet --key bus-1 hello
  penstock put fleet --key-field device --file telemetry.jsonl --via native
  journalctl -f -o json | penstock put logs --key-field _HOSTNAME)");
  command->callback([&context, options] {
    context.action = [&context, options] { return put(context.globals, *options); };
  });
}

}  // namespace penstock::tools
