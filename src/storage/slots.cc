#include "storage/slots.h"

#include "base/assert.h"

#include <algorithm>

namespace penstock::storage {

Slots::Slots(runtime::DiskQueue& writes, void* owner, Written written)
    : writes_(writes),
      owner_(owner),
      written_(written),
      sectors_(std::tuple_size_v<decltype(headers_)> * format::kSectorBytes) {
  for (std::size_t i = 0; i < headers_.size(); ++i) {
    headers_[i].slots = this;
    headers_[i].sector = sectors_.data() + i * format::kSectorBytes;
    headers_[i].complete = finished;
  }
}

void Slots::add(FreeSlot slot) { free_.push_back(slot); }

FreeSlot Slots::take() {
  PENSTOCK_ASSERT(!free_.empty());
  const FreeSlot slot = free_.front();
  free_.pop_front();
  return slot;
}

bool Slots::can_write() const {
  return std::any_of(headers_.begin(), headers_.end(),
                     [](const HeaderWrite& w) { return w.segment == nullptr; });
}

bool Slots::quiet() const {
  return std::all_of(headers_.begin(), headers_.end(),
                     [](const HeaderWrite& w) { return w.segment == nullptr; });
}

void Slots::write_header(Segment& segment, const format::SlotHeader& header) {
  const auto free = std::find_if(headers_.begin(), headers_.end(),
                                 [](const HeaderWrite& w) { return w.segment == nullptr; });
  PENSTOCK_ASSERT(free != headers_.end());
  free->segment = &segment;
  format::store(std::span(free->sector, format::kSectorBytes), 0, header);
  free->op = env::DiskOp{.kind = env::DiskKind::kWrite,
                         .durable = true,
                         .file = segment.file,
                         .offset = 0,
                         .data = free->sector,
                         .length = format::kSectorBytes};
  writes_.start(*free);
}

void Slots::finished(runtime::DiskCall& call, std::int32_t result, Nanos) {
  HeaderWrite& write = static_cast<HeaderWrite&>(call);
  Segment& segment = *std::exchange(write.segment, nullptr);
  write.slots->written_(write.slots->owner_, segment,
                        result == static_cast<std::int32_t>(format::kSectorBytes));
}

}  // namespace penstock::storage
