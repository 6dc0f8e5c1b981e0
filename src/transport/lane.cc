#include "transport/lane.h"

#include "base/assert.h"

namespace penstock::transport {

Lane* LaneTable::find(std::uint32_t number) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = home(number); slots_[at] != nullptr; at = (at + 1) & mask) {
    if (slots_[at]->number == number) return slots_[at];
  }
  return nullptr;
}

void LaneTable::place(Lane& lane) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = home(lane.number);
  while (slots_[at] != nullptr) at = (at + 1) & mask;
  slots_[at] = &lane;
}

Lane& LaneTable::open(std::uint32_t number) {
  PENSTOCK_CHECK_FULL(find(number) == nullptr);
  if (free_.empty()) {
    all_.push_back(std::make_unique<Lane>());
    free_.reserve(all_.capacity());
    free_.push_back(all_.back().get());
  }
  if ((size_ + 1) * 2 > slots_.size()) {
    std::vector<Lane*> old(slots_.size() * 2);
    old.swap(slots_);
    for (Lane* lane : old) {
      if (lane != nullptr) place(*lane);
    }
  }
  Lane& lane = *free_.back();
  free_.pop_back();
  lane.number = number;
  place(lane);
  ++size_;
  return lane;
}

void LaneTable::remove(Lane& lane) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = home(lane.number);
  while (slots_[hole] != &lane) hole = (hole + 1) & mask;
  slots_[hole] = nullptr;
  --size_;
  // Who was pushed past the hole moves into it.
  for (std::size_t at = (hole + 1) & mask; slots_[at] != nullptr; at = (at + 1) & mask) {
    const std::size_t from_home = (at - home(slots_[at]->number)) & mask;
    if (from_home < ((at - hole) & mask)) continue;
    slots_[hole] = slots_[at];
    slots_[at] = nullptr;
    hole = at;
  }
}

void LaneTable::recycle(Lane& lane) {
  PENSTOCK_ASSERT(lane.queue.empty());
  PENSTOCK_ASSERT(!lane.buffer);
  lane = Lane{};
  free_.push_back(&lane);
}

}  // namespace penstock::transport
