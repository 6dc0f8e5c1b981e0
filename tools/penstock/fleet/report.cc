#include "fleet/report.h"

#include "client/json_writer.h"
#include "words.h"

#include <fmt/format.h>

namespace penstock::tools {
namespace {

constexpr double kNanosPerMilli = 1e6;

double millis(const base::Histogram& latencies, double quantile) {
  return static_cast<double>(latencies.quantile(quantile)) / kNanosPerMilli;
}

std::string line(std::string_view label, const std::string& text) {
  return fmt::format("{:<12}{}\n", label, text);
}

std::string verified_line(const FleetReport& report) {
  const Verdict& verdict = *report.verdict;
  std::string text;
  if (verdict.clean()) {
    text = fmt::format(
        "order ({} vehicles), completeness ({} acknowledged records, each there once), content "
        "(every checksum)",
        format_count(report.vehicles), format_count(verdict.acknowledged));
    if (verdict.repeated > 0) {
      text += fmt::format("; {} further copies of attempts whose outcome was unknown",
                          format_count(verdict.repeated));
    }
    return line("verified", text);
  }
  text = fmt::format("{} missing, {} too often, {} out of order, {} damaged, {} never sent",
                     format_count(verdict.missing), format_count(verdict.twice),
                     format_count(verdict.disordered), format_count(verdict.damaged),
                     format_count(verdict.never_sent));
  std::string lines = line("NOT VERIFIED", " " + text);
  for (const std::string& example : verdict.examples) lines += line("", example);
  return lines;
}

void write_verdict(client::JsonWriter& writer, const FleetReport& report) {
  const Verdict& verdict = *report.verdict;
  writer.field("verified", verdict.clean()).key("verification").begin_object();
  writer.field("acknowledged", verdict.acknowledged)
      .field("unacknowledged", verdict.unacknowledged);
  writer.field("found", verdict.found).field("repeated", verdict.repeated);
  writer.field("foreign", verdict.foreign).field("missing", verdict.missing);
  writer.field("twice", verdict.twice).field("disordered", verdict.disordered);
  writer.field("damaged", verdict.damaged).field("never_sent", verdict.never_sent);
  writer.field("records_read", report.read_back).field("read_seconds", report.read_seconds);
  writer.key("examples").begin_array();
  for (const std::string& example : verdict.examples) writer.value(example);
  writer.end_array().end_object();
}

}  // namespace

std::string FleetReport::as_text() const {
  const double rate = seconds > 0 ? static_cast<double>(records) / seconds : 0;
  std::string text;
  text += line("fleet",
               fmt::format("{} vehicles on {} connections into '{}' ({} open shards) via {}, {}",
                           format_count(vehicles), connections, stream, shards, via,
                           rate_wanted > 0 ? fmt::format("{:.0f} records/s wanted", rate_wanted)
                                           : std::string("as fast as acknowledged")));
  text += line(
      "records in",
      fmt::format("{} in {:.1f} s ({}, {:.0f} B each)", format_count(records), seconds,
                  format_bytes(static_cast<double>(bytes)),
                  records == 0 ? 0.0 : static_cast<double>(bytes) / static_cast<double>(records)));
  text += line("records/s",
               fmt::format("{} ({}/s)", format_count(static_cast<std::uint64_t>(rate)),
                           format_bytes(seconds > 0 ? static_cast<double>(bytes) / seconds : 0)));
  text += line(
      "ack", fmt::format("p50 {:.2f} ms, p99 {:.2f} ms, longest {:.2f} ms", millis(latencies, 0.5),
                         millis(latencies, 0.99), millis(latencies, 1)));
  if (refused > 0) {
    text += line("sent again", fmt::format("{} entries ({})", format_count(refused), last_refusal));
  }
  text += line("on disk", storage_used ? format_bytes(*storage_used) : "not told by this service");
  text += line("durability", durability ? "class " + *durability : "not told by this service");
  if (!verdict) return text + line("verified", "no: --no-verify");
  text += line("read back",
               fmt::format("{} records in {:.1f} s{}", format_count(read_back), read_seconds,
                           verdict->foreign == 0 ? ""
                                                 : fmt::format(", {} of other runs among them",
                                                               format_count(verdict->foreign))));
  if (verdict->unacknowledged > 0) {
    text += line("not taken", fmt::format("{} records were never acknowledged",
                                          format_count(verdict->unacknowledged)));
  }
  return text + verified_line(*this);
}

std::string FleetReport::as_json() const {
  client::JsonWriter writer;
  writer.begin_object()
      .field("stream", stream)
      .field("via", via)
      .field("shards", shards)
      .field("vehicles", vehicles);
  writer.field("connections", connections)
      .field("run", fmt::format("{:08x}", run))
      .field("seed", seed);
  writer.field("records", records)
      .field("bytes", bytes)
      .field("calls", calls)
      .field("resent", refused);
  writer.field("seconds", seconds);
  writer.field("records_per_second", seconds > 0 ? static_cast<double>(records) / seconds : 0.0);
  writer.key("ack_ms").begin_object();
  writer.field("p50", millis(latencies, 0.5)).field("p90", millis(latencies, 0.9));
  writer.field("p99", millis(latencies, 0.99)).field("p999", millis(latencies, 0.999));
  writer.field("max", millis(latencies, 1)).end_object();
  writer.key("storage_used_bytes");
  storage_used ? writer.value(*storage_used) : writer.null();
  writer.key("durability_class");
  durability ? writer.value(*durability) : writer.null();
  if (verdict) write_verdict(writer, *this);
  return writer.end_object().text() + "\n";
}

}  // namespace penstock::tools
