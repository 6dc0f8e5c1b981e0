#include "net/delivery_sink.h"

#include <cstring>

namespace penstock::net {

storage::BatchSink::Taken DeliverySink::on_batch(const storage::BatchView& batch,
                                                 std::uint32_t from, std::uint32_t until) {
  const std::span<const std::byte> stored = batch.stored();
  const std::uint32_t count = until - from;
  if (used_ == 0 && stored.size() > room_.size()) wanted_ = stored.size();
  if (stored.size() > room_.size() - used_ || (used_ > 0 && records_ + count > records_max_)) {
    return {.records = 0, .bytes = 0, .more = false};
  }
  if (used_ == 0) first_ = batch.first() + from;
  std::memcpy(room_.data() + used_, stored.data(), stored.size());
  used_ += stored.size();
  records_ += count;
  Taken taken{.records = count, .bytes = 0, .more = records_ < records_max_};
  if (count == batch.count()) {
    taken.bytes = batch.payload_bytes();
  } else {
    for (std::uint32_t i = from; i < until; ++i) {
      const storage::RecordRef record = batch.record(i);
      taken.bytes += std::uint64_t{record.key_bytes} + record.data_bytes;
    }
  }
  return taken;
}

}  // namespace penstock::net
