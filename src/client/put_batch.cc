#include "client/put_batch.h"

#include "client/base64.h"
#include "client/json_writer.h"

#include <fmt/format.h>

#include <cstring>

namespace penstock::client {
namespace {

constexpr std::string_view kDataOpen = "{\"Data\":\"";
constexpr std::string_view kKeyOpen = "\",\"PartitionKey\":\"";
constexpr std::string_view kHashOpen = "\",\"ExplicitHashKey\":\"";
constexpr std::string_view kEntryClose = "\"}";
constexpr std::string_view kBodyClose = "]}";

}  // namespace

PutBatch::PutBatch(std::string_view stream) {
  body_ = "{\"StreamName\":\"";
  json_escape(stream, body_);
  body_ += "\",\"Records\":[";
  prefix_ = body_.size();
}

bool PutBatch::full(std::size_t key_bytes, std::size_t data_bytes) const {
  const std::size_t bytes = base64_size(data_bytes) + key_bytes + 128;
  return entries_.size() >= kEntriesMax || (!empty() && body_.size() + bytes > kBodyMax);
}

void PutBatch::add(std::string_view key, std::string_view data, std::uint64_t tag,
                   std::string_view hash) {
  if (!empty()) body_ += ',';
  const std::size_t begin = body_.size();
  body_ += kDataOpen;
  base64_append(data, body_);
  body_ += kKeyOpen;
  json_escape(key, body_);
  if (!hash.empty()) {
    body_ += kHashOpen;
    body_ += hash;
  }
  body_ += kEntryClose;
  entries_.push_back({tag, begin, body_.size()});
}

void PutBatch::clear() {
  body_.resize(prefix_);
  entries_.clear();
}

void PutBatch::keep(const std::vector<bool>& refused) {
  std::size_t end = prefix_;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!refused[i]) continue;
    const Entry entry = entries_[i];
    const std::size_t bytes = entry.end - entry.begin;
    if (kept > 0) body_[end++] = ',';
    std::memmove(body_.data() + end, body_.data() + entry.begin, bytes);
    entries_[kept++] = {entry.tag, end, end + bytes};
    end += bytes;
  }
  entries_.resize(kept);
  body_.resize(end);
}

Outcome<std::size_t> PutBatch::send(KinesisClient& client, const Visitor& visitor) {
  const std::size_t open = body_.size();
  body_ += kBodyClose;
  const auto reply = client.call_once("PutRecords", body_);
  body_.resize(open);
  if (!reply) return std::unexpected(reply.error());
  const auto object = reader_.parse(*reply);
  if (!object) return std::unexpected(object.error());
  const auto results = objects_of(*object, "Records");
  if (results.size() != entries_.size()) {
    auto odd = failed(
        FailureKind::kProtocol,
        fmt::format("{} entries were answered with {} results", entries_.size(), results.size()));
    odd.error().unknown = true;
    return odd;
  }
  std::vector<bool> refused(entries_.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::string_view sequence = text_of(results[i], "SequenceNumber");
    if (!sequence.empty()) {
      if (visitor.acknowledged) {
        visitor.acknowledged({entries_[i].tag, text_of(results[i], "ShardId"), sequence});
      }
      continue;
    }
    refused[i] = true;
    const std::string_view code = text_of(results[i], "ErrorCode");
    if (visitor.refused) {
      visitor.refused({entries_[i].tag, code, text_of(results[i], "ErrorMessage"),
                       code != "ProvisionedThroughputExceededException"});
    }
  }
  keep(refused);
  return entries_.size();
}

}  // namespace penstock::client
