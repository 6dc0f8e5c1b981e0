#include "http/get_codec.h"

#include "http/base64.h"
#include "http/json_writer.h"
#include "http/sequence_check.h"
#include "proto/kinesis.h"

#include <algorithm>
#include <span>

namespace penstock::http {

namespace {

constexpr std::size_t kPieceBytesMin = 64 * kKiB;
constexpr std::size_t kPieceBytesMax = 2 * kMiB;
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

bool RecordsSink::fits(const storage::RecordRef& record) const {
  if (records_ == limits_.records_max) return false;
  return records_ == 0 || data_bytes_ + record.data_bytes <= limits_.bytes_max;
}

void RecordsSink::close_room() {
  if (pieces_.empty()) {
    first_used_ = used_;
  } else {
    pieces_.back().used = used_;
  }
}

void RecordsSink::make_room(std::size_t bytes) {
  close_room();
  const std::size_t doubled = std::clamp(2 * room_.size(), kPieceBytesMin, kPieceBytesMax);
  const std::size_t size = std::max(bytes, doubled);
  pieces_.push_back({.bytes = std::make_unique_for_overwrite<char[]>(size)});
  room_ = {pieces_.back().bytes.get(), size};
  used_ = 0;
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
    const std::size_t needed = bytes_at_most(record);
    if (room_.size() - used_ < needed) make_room(needed);
    char* const begin = room_.data() + used_;
    char* out = begin;
    if (records_ > 0) *out++ = ',';
    const RecordIndex index = batch.first() + i;
    out =
        write_record(record, record_sequence(shard_created_second_, shard_, index, batch.arrival()),
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

void RecordsSink::move_to(ResponseBody& body) {
  close_room();
  body.commit(first_used_);
  std::size_t rest = 0;
  for (const Piece& piece : pieces_) rest += piece.used;
  char* out = body.reserve(rest).data();
  for (const Piece& piece : pieces_) out = write_text({piece.bytes.get(), piece.used}, out);
  body.commit(rest);
  discard();
}

}  // namespace penstock::http
