#include "tail/tail.h"

#include "client/base64.h"
#include "client/json_writer.h"
#include "proto/kinesis.h"
#include "reshard.h"
#include "words.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

namespace penstock::tools {

using client::Position;

namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Attempt<Position> tail_begins_at(const TailOptions& options) {
  const std::string& text = options.from;
  Position from;
  if (text == "horizon") return from;
  if (text == "latest") {
    from.kind = Position::Kind::kLatest;
    return from;
  }
  if (const auto time = parse_time(text, now_seconds())) {
    from.kind = Position::Kind::kTime;
    from.seconds = *time;
    return from;
  }
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
    from.kind = Position::Kind::kAtSequence;
    from.sequence = text;
    return from;
  }
  return std::unexpected(usage_problem("--from is no place to begin at")
                             .found(text)
                             .needed("horizon, latest, a time (2026-11-23T08:00:00Z or -15m), or a "
                                     "sequence number"));
}

Attempt<std::string> tail_shard(const TailOptions& options, const Position& from) {
  if (!options.shard.empty()) return full_shard_id(options.shard);
  if (from.kind != Position::Kind::kAtSequence) return std::string();
  // A sequence number says which shard it is of; reading goes on in that shard's children.
  const auto parsed = proto::SequenceNumber::parse(from.sequence);
  if (parsed) return proto::shard_id(parsed->shard);
  return std::unexpected(usage_problem("the sequence number does not say which shard it is of")
                             .found(from.sequence)
                             .mend("--shard SHARD"));
}

Problem tail_has_no_shard(const TailOptions& options, const std::string& shard) {
  Problem problem{Exit::kNotFound, number(ErrorCode::kNotFound), tail_failing(options), {}};
  problem.found("no shard " + shard).mend("penstock stream describe " + options.stream);
  return problem;
}

std::string tail_failing(const TailOptions& options) {
  return fmt::format("stream '{}' cannot be read", options.stream);
}

void TailPrinter::print(const std::string& shard, const client::RecordView& record) {
  std::string line;
  if (json_) {
    client::JsonWriter writer;
    writer.begin_object().field("shard", shard).field("sequence", record.sequence);
    writer.field("arrival", format_time(record.arrival)).field("key", record.key);
    if (is_utf8(record.data)) {
      writer.field("data", record.data);
    } else {
      std::string encoded;
      client::base64_append(record.data, encoded);
      writer.field("data_base64", encoded);
    }
    line = writer.end_object().text();
  } else {
    line = fmt::format("{}  {}  {}  {}", format_time(record.arrival), shard, printable(record.key),
                       printable(record.data));
  }
  line += '\n';
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) broken_pipe_ = true;
  ++printed_;
}

}  // namespace penstock::tools
