#include "http/get_codec.h"

#include "http/base64.h"
#include "http/json_writer.h"
#include "http/sequence_check.h"
#include "proto/kinesis.h"

#include <algorithm>
#include <span>

namespace penstock::http {

namespace {

// What is asked of the response at once, so that its virtual calls are few.
constexpr std::size_t kPieceBytes = 64 * kKiB;
constexpr std::size_t kFixedBytes =
    sizeof(R"(,{"SequenceNumber":"","ApproximateArrivalTimestamp":,"Data":"","PartitionKey":""})") +
    proto::kSequenceDigits + kJsonSecondsMax;

std::size_t bytes_at_most(const storage::RecordRef& record) {
  return kFixedBytes + base64_encoded_bytes(record.data_bytes) +
         std::size_t{record.key_bytes} * kJsonEscapeFactor;
}

}  // namespace

bool RecordsSink::fits(const storage::RecordRef& record) const {
  if (records_ == records_max_) return false;
  return records_ == 0 || data_bytes_ + record.data_bytes <= bytes_max_;
}

char* RecordsSink::write_record(const storage::RecordRef& record, RecordIndex index,
                                WallMillis arrival, char* out) const {
  out = write_text(R"({"SequenceNumber":")", out);
  out = record_sequence(shard_created_second_, shard_, index, arrival).write(out);
  out = write_text(R"(","ApproximateArrivalTimestamp":)", out);
  out = write_json_seconds(arrival.raw(), out);
  out = write_text(R"(,"Data":")", out);
  out = base64_encode({record.data, record.data_bytes}, out);
  out = write_text(R"(","PartitionKey":")", out);
  out = write_json_escaped({reinterpret_cast<const char*>(record.key), record.key_bytes}, out);
  return write_text(R"("})", out);
}

auto RecordsSink::on_batch(const storage::BatchView& batch, std::uint32_t from, std::uint32_t until)
    -> Taken {
  Taken taken;
  std::span<char> room;
  char* out = nullptr;
  for (std::uint32_t i = from; i < until; ++i) {
    const storage::RecordRef record = batch.record(i);
    if (!fits(record)) {
      taken.more = false;
      break;
    }
    const std::size_t needed = bytes_at_most(record);
    if (out == nullptr || static_cast<std::size_t>(room.data() + room.size() - out) < needed) {
      if (out != nullptr) body_.commit(static_cast<std::size_t>(out - room.data()));
      room = body_.reserve(std::max(needed, kPieceBytes));
      out = room.data();
    }
    if (records_ > 0) *out++ = ',';
    const RecordIndex index = batch.first() + i;
    out = write_record(record, index, batch.arrival(), out);
    ++records_;
    data_bytes_ += record.data_bytes;
    after_last_ = index + 1;
    ++taken.records;
    taken.bytes += std::uint64_t{record.data_bytes} + record.key_bytes;
  }
  if (out != nullptr) body_.commit(static_cast<std::size_t>(out - room.data()));
  bytes_ += taken.bytes;
  if (records_ == records_max_) taken.more = false;
  return taken;
}

}  // namespace penstock::http
