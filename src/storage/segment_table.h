// All segments of a journal, by number.
//
// Owner      its journal. Addresses are stable until `erase`
// Allocates  when a segment is opened
#pragma once

#include "base/assert.h"
#include "storage/segment.h"

#include <map>
#include <memory>

namespace penstock::storage {

class SegmentTable {
 public:
  using Map = std::map<SegmentNumber, std::unique_ptr<Segment>>;

  Segment& add(SegmentNumber number) {
    auto [at, fresh] = segments_.emplace(number, std::make_unique<Segment>());
    PENSTOCK_ASSERT(fresh);
    at->second->number = number;
    return *at->second;
  }
  [[nodiscard]] Segment* find(SegmentNumber number) const {
    const auto at = segments_.find(number);
    return at == segments_.end() ? nullptr : at->second.get();
  }
  void erase(SegmentNumber number) { segments_.erase(number); }
  [[nodiscard]] const Map& all() const { return segments_; }

 private:
  Map segments_;
};

}  // namespace penstock::storage
