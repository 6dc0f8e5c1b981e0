// What data cores are shown of a stream: the catalogue's state, less what is decided but not yet
// true in the cells. A child is shown only when all children of its split or merge can take
// records; until then its parents are shown open.
//
// Owner      pure functions
// Source     src/route/map.h
#pragma once

#include "catalog/state.h"
#include "route/map.h"

#include <functional>
#include <memory>

namespace penstock::catalog {

struct RouteView {
  route::StreamStatus status = route::StreamStatus::kActive;
  std::function<bool(const ShardEntry&)> shown;  // whether its OPEN took effect, or never will
  std::function<CoreId(CellId)> core_of;
};

[[nodiscard]] std::shared_ptr<const route::StreamRoute> make_stream_route(const StreamEntry& stream,
                                                                          const RouteView& view);

}  // namespace penstock::catalog
