#include "net/delivery_sink.h"

#include <algorithm>
#include <cstring>

namespace penstock::net {

storage::BatchSink::Taken DeliverySink::on_batch(const storage::BatchView& batch,
                                                 std::uint32_t from, std::uint32_t until) {
  const std::span<const std::byte> stored = batch.stored();
  const auto count =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(until - from, records_max_ - records_));
  const bool first = used_ == 0;
  if (first && stored.size() > room_.size()) wanted_ = stored.size();
  if (first ? wanted_ > 0 : used_ + stored.size() > bytes_max_) {
    return {.records = 0, .bytes = 0, .more = false};
  }
  if (first) first_ = batch.first() + from;
  std::memcpy(room_.data() + used_, stored.data(), stored.size());
  used_ += stored.size();
  records_ += count;
  Taken taken{.records = count, .bytes = 0, .more = used_ < bytes_max_ && records_ < records_max_};
  if (count == batch.count()) {
    taken.bytes = batch.payload_bytes();
  } else {
    for (std::uint32_t i = from; i < from + count; ++i) {
      const storage::RecordRef record = batch.record(i);
      taken.bytes += std::uint64_t{record.key_bytes} + record.data_bytes;
    }
  }
  return taken;
}

}  // namespace penstock::net
