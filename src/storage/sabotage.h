// Planted bugs. Each is a defect that the simulator must find; tests switch one on, production
// leaves all off. Compiled in only where PENSTOCK_SABOTAGE is defined, constants otherwise.
#pragma once

#include <cstdint>

namespace penstock::storage {

enum class Sabotage : std::uint32_t {
  kNone = 0,
  kAckBeforeCompletion,
  kDropDsync,
  kSkipEpoch,
  kSkipChain,
  kRewriteTail,
  kIgnoreWriteError,
  kResurrectAfterTruncate,
  kAckPastHole,
  kTrimOffByOne,
  kNoIdleBlock,
  kRecycleWithoutSnapshot,
  kOpenChildrenEarly,
  kVisibleBeforeDurable,
  kForgetProducers,
};

#ifdef PENSTOCK_SABOTAGE
inline Sabotage g_sabotage = Sabotage::kNone;  // a test's switch, set before the server starts
[[nodiscard]] inline bool sabotaged(Sabotage which) { return g_sabotage == which; }
#else
[[nodiscard]] constexpr bool sabotaged(Sabotage) { return false; }
#endif

}  // namespace penstock::storage
