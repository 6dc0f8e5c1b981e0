#include "http/get_codec.h"

#include "http/base64.h"
#include "http/json_writer.h"
#include "http/put_codec.h"
#include "http/sequence_check.h"
#include "proto/kinesis.h"

#include <algorithm>
#include <span>

namespace penstock::http {

namespace {

constexpr std::size_t kKeyBytesMax = kPartitionKeyCharactersMax * 4;  // UTF-8
constexpr std::size_t kFixedBytes =
    sizeof(R"(,{"SequenceNumber":"","ApproximateArrivalTimestamp":,"Data":"","PartitionKey":""})") +
    proto::kSequenceDigits + kJsonSecondsMax;

std::size_t bytes_at_most(const storage::RecordRef& record) {
  return kFixedBytes + base64_encoded_bytes(record.data_bytes) +
         std::size_t{record.key_bytes} * kJsonEscapeFactor;
}

char* write_record(const storage::RecordRef& record, const proto::SequenceNumber& number,
                   WallMillis arrival, char* out) {
  out = write_text(R"({"SequenceNumber":")", out);
  out = number.write(out);
  out = write_text(R"(","ApproximateArrivalTimestamp":)", out);
  out = write_json_seconds(arrival.raw(), out);
  out = write_text(R"(,"Data":")", out);
  out = base64_encode({record.data, record.data_bytes}, out);
  out = write_text(R"(","PartitionKey":")", out);
  out = write_json_escaped({reinterpret_cast<const char*>(record.key), record.key_bytes}, out);
  return write_text(R"("})", out);
}

}  // namespace

std::size_t records_answer_bytes(std::uint32_t records_max, std::uint32_t record_bytes_max) {
  constexpr std::size_t kAround = kRecordsBegin.size() + kRecordsEndBytesMax;
  static_assert(kAround + kFixedBytes + base64_encoded_bytes(kRecordDataBytesMax) +
                    kKeyBytesMax * kJsonEscapeFactor <=
                kRecordsAnswerBytesMax);
  const std::size_t each =
      kFixedBytes + base64_encoded_bytes(record_bytes_max) + kKeyBytesMax * kJsonEscapeFactor;
  return std::min(kRecordsAnswerBytesMax, kAround + records_max * each);
}

bool RecordsSink::fits(const storage::RecordRef& record) const {
  if (records_ == limits_.records_max) return false;
  if (room_.size() - used_ < bytes_at_most(record)) return false;
  return records_ == 0 || data_bytes_ + record.data_bytes <= limits_.bytes_max;
}

auto RecordsSink::on_batch(const storage::BatchView& batch, std::uint32_t from, std::uint32_t until)
    -> Taken {
  Taken taken;
  for (std::uint32_t i = from; i < until; ++i) {
    const storage::RecordRef record = batch.record(i);
    if (!fits(record)) {
      taken.more = false;
      break;
    }
    char* const begin = room_.data() + used_;
    char* out = begin;
    if (records_ > 0) *out++ = ',';
    const RecordIndex index = batch.first() + i;
    out = write_record(
        record, proto::record_sequence(shard_created_second_, shard_, index, batch.arrival()),
        batch.arrival(), out);
    used_ += static_cast<std::size_t>(out - begin);
    ++records_;
    data_bytes_ += record.data_bytes;
    after_last_ = index + 1;
    ++taken.records;
    taken.bytes += std::uint64_t{record.data_bytes} + record.key_bytes;
  }
  bytes_ += taken.bytes;
  if (records_ == limits_.records_max) taken.more = false;
  return taken;
}

}  // namespace penstock::http
