// Goal: the retention clock never expires anything early because a wall clock was wrong, and says when
// it does not know.
// Method: boots, steps of minutes, hours and years in both directions, with and without
// synchronisation, over restarts; the clock is compared with the time that truly passed.
#include "retention/clock.h"

#include <gtest/gtest.h>

namespace penstock::retention {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = kMillisPerHour;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kYear = 365 * kDay;

// A box whose true time only rises, with a wall clock that may be wrong.
class Box {
 public:
  Box() { boot(0); }
  void boot(std::int64_t off_ms) {
    const storage::RetentionClockState saved =
        clock == nullptr ? storage::RetentionClockState{} : clock->state(monotonic());
    truth += off_ms;
    uptime = 5 * kMinute;
    clock = std::make_unique<Clock>(saved);
  }
  void observe() { clock->observe(monotonic(), WallMillis(truth + wall_error), synchronised); }
  void pass(std::int64_t millis) {
    truth += millis;
    uptime += millis;
    observe();
  }
  [[nodiscard]] Nanos monotonic() const { return Nanos(uptime * kNanosPerMilli); }
  [[nodiscard]] std::int64_t reading() const { return clock->now(monotonic()).raw(); }
  // How far the clock has run beyond the truth since `mark`.
  void mark() {
    marked_truth = truth;
    marked_reading = reading();
  }
  [[nodiscard]] std::int64_t early() const {
    return (reading() - marked_reading) - (truth - marked_truth);
  }

  std::int64_t truth = 1'700'000'000'000;
  std::int64_t uptime = 0;
  std::int64_t wall_error = 0;
  bool synchronised = true;
  std::int64_t marked_truth = 0;
  std::int64_t marked_reading = 0;
  std::unique_ptr<Clock> clock;
};

TEST(Clock, RunsWithTheMonotonicClock) {
  Box box;
  box.observe();
  box.mark();
  for (int i = 0; i < 1000; ++i) box.pass(kMinute);
  EXPECT_EQ(box.early(), 0);
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.clock->reading().now.raw(), box.reading());
  EXPECT_TRUE(box.clock->reading().sure);
}

TEST(Clock, CountsTheTimeThatTheBoxWasOff) {
  Box box;
  box.observe();
  box.mark();
  box.boot(6 * kDay);
  box.observe();
  EXPECT_EQ(box.early(), 0);
  EXPECT_TRUE(box.clock->sure());
}

TEST(Clock, AStepWithinABootIsNotBelieved) {
  for (const std::int64_t step : {kHour, kYear, -kHour, -kYear, 11 * kMinute, -11 * kMinute}) {
    Box box;
    box.observe();
    box.mark();
    box.wall_error = step;
    box.pass(kMinute);
    EXPECT_FALSE(box.clock->sure()) << step;
    EXPECT_FALSE(box.clock->reading().sure);
    EXPECT_FALSE(box.clock->reason().empty());
    EXPECT_EQ(box.early(), 0) << "it runs on by itself";
    box.wall_error = 0;
    box.pass(kMinute);
    EXPECT_TRUE(box.clock->sure()) << "the wall clock came back";
    EXPECT_EQ(box.early(), 0);
    EXPECT_TRUE(box.clock->reason().empty());
  }
}

TEST(Clock, SmallStepsAddUpToTenMinutesABootAtMost) {
  Box box;
  box.observe();
  box.mark();
  for (int i = 0; i < 100; ++i) {
    box.wall_error += kMinute;
    box.pass(kMinute);
  }
  EXPECT_FALSE(box.clock->sure());
  EXPECT_LE(box.early(), kJumpWithinBootMax);
}

TEST(Clock, ASwingingWallClockDoesNotPumpItForward) {
  Box box;
  box.observe();
  box.mark();
  for (int i = 0; i < 1000; ++i) {
    box.wall_error = i % 2 == 0 ? 9 * kMinute : -9 * kMinute;
    box.pass(kMinute);
  }
  EXPECT_LE(box.early(), 9 * kMinute);
}

TEST(Clock, AVirtualMachineThatStoodStillCatchesUp) {
  Box box;
  box.observe();
  box.mark();
  box.truth += 8 * kMinute;  // the monotonic clock did not see it
  box.pass(1);
  EXPECT_EQ(box.early(), 0);
  EXPECT_TRUE(box.clock->sure());
}

TEST(Clock, NeverGoesBack) {
  Box box;
  box.observe();
  std::int64_t last = box.reading();
  for (const std::int64_t error : {0L, -kMinute, 5 * kMinute, -kYear, kYear, -kHour, 0L}) {
    box.wall_error = error;
    box.pass(1);
    EXPECT_GT(box.reading(), last);
    last = box.reading();
    box.boot(0);
    box.observe();
    EXPECT_GE(box.reading(), last);
    last = box.reading();
  }
}

TEST(Clock, AnHourWrongOverARestartIsWithinBounds) {
  for (const std::int64_t step : {kHour, -kHour}) {
    Box box;
    box.observe();
    box.mark();
    box.wall_error = step;
    box.boot(kMinute);
    box.observe();
    EXPECT_TRUE(box.clock->sure()) << step;
    EXPECT_LE(box.early(), kHour);
    EXPECT_GE(box.early(), -kHour);
    box.pass(kDay);
    EXPECT_TRUE(box.clock->sure()) << step;
  }
}

TEST(Clock, AnHourBackAndForthOverRestartsDoesNotAddUp) {
  Box box;
  box.observe();
  box.mark();
  for (int i = 0; i < 20; ++i) {
    box.wall_error = i % 2 == 0 ? kHour : 0;
    box.boot(kMinute);
    box.observe();
    box.pass(kMinute);
  }
  EXPECT_LE(box.early(), kHour);
}

TEST(Clock, AYearWrongOverARestartIsNotBelieved) {
  for (const std::int64_t step : {kYear, -kYear}) {
    Box box;
    box.observe();
    box.mark();
    box.wall_error = step;
    box.boot(kMinute);
    box.observe();
    box.pass(kDay);
    EXPECT_FALSE(box.clock->sure()) << step;
    EXPECT_LE(box.early(), 0) << "the minute off is not counted yet, nothing is early";
    box.wall_error = 0;
    box.pass(kMinute);
    EXPECT_TRUE(box.clock->sure());
    EXPECT_EQ(box.early(), -kMinute) << "nor is it ever, nothing is early";
  }
}

// The doubtful boot's own records must not age by what the next boot learns, so that boot starts from
// where this clock stood, without doubt and without a jump.
TEST(Clock, ADoubtfulBootsTimeIsNotMadeUpForLater) {
  Box box;
  box.observe();
  box.mark();
  box.wall_error = kYear;
  box.boot(kMinute);
  box.observe();
  EXPECT_FALSE(box.clock->sure());
  box.boot(kMinute);
  box.observe();
  EXPECT_FALSE(box.clock->sure()) << "a restart is no acceptance";
  box.wall_error = 0;
  box.boot(kMinute);
  box.observe();
  EXPECT_TRUE(box.clock->sure());
  EXPECT_LE(box.early(), 0);
}

TEST(Clock, MoreThanAWeekOffNeedsAcceptance) {
  Box box;
  box.observe();
  box.mark();
  box.boot(8 * kDay);
  box.observe();
  EXPECT_FALSE(box.clock->sure());
  EXPECT_EQ(box.clock->wall_ahead_ms(), 8 * kDay);
  box.clock->accept();
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.early(), 0);
  box.pass(kDay);
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.early(), 0);
}

TEST(Clock, AnAcceptedClockThatIsBehindHoldsTimeWhereItIs) {
  Box box;
  box.wall_error = kYear;  // wrong from the start
  box.observe();
  box.mark();
  box.wall_error = 0;
  box.pass(kMinute);
  EXPECT_FALSE(box.clock->sure());
  box.clock->accept();
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.early(), 0) << "elapsed time is what counts";
  box.boot(kDay);
  box.observe();
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.early(), 0);
}

TEST(Clock, WithoutSynchronisationTimeOffIsNotCounted) {
  Box box;
  box.synchronised = false;
  box.wall_error = -30 * kYear;
  box.observe();
  box.mark();
  box.pass(kDay);
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.early(), 0);
  box.wall_error = -29 * kYear;
  box.boot(kDay);
  box.observe();
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.early(), -kDay) << "later, never earlier";
}

TEST(Clock, TheFirstSynchronisationEverIsNoJump) {
  Box box;
  box.synchronised = false;
  box.wall_error = -50 * kYear;  // no battery: 1970
  box.observe();
  box.mark();
  box.pass(kMinute);
  box.wall_error = 0;
  box.synchronised = true;
  box.pass(kMinute);
  EXPECT_TRUE(box.clock->sure());
  EXPECT_EQ(box.early(), 0);
  box.boot(kDay);
  box.observe();
  EXPECT_EQ(box.early(), 0) << "from now on time off is counted";
}

// Found by the simulation: records stamped before the clock was synchronised would have expired early
// by the time that the box had been off.
TEST(Clock, SynchronisationLateInABootDoesNotCountTheTimeOff) {
  Box box;
  box.observe();
  box.mark();
  box.synchronised = false;
  box.wall_error = -kYear;
  box.boot(2 * kDay);
  box.observe();
  box.pass(kHour);
  EXPECT_EQ(box.early(), -2 * kDay);
  EXPECT_TRUE(box.clock->sure());
  box.synchronised = true;
  box.wall_error = 0;
  box.pass(kHour);
  EXPECT_EQ(box.early(), -2 * kDay);
  EXPECT_TRUE(box.clock->sure());
}

// The same over two boots: the first one never synchronised, the second one at once.
TEST(Clock, RecordsOfAnUnsynchronisedBootDoNotAgeByTheTimeOffBeforeIt) {
  Box box;
  box.observe();
  box.synchronised = false;
  box.boot(2 * kDay);
  box.observe();
  box.mark();
  box.pass(kMinute);
  box.synchronised = true;
  box.boot(kMinute);
  box.observe();
  EXPECT_LE(box.early(), 0);
}

// Records of a boot that doubts the wall clock, or never hears one, do not know how long the box was off
// before it: when a later boot does, they must not age by it.
TEST(Clock, ABootThatDoubtsDoesNotAgeItsRecordsByTheTimeOffBefore) {
  Box box;
  box.pass(kHour);
  box.boot(3 * kDay);
  box.wall_error = 30 * kDay;
  box.observe();
  EXPECT_FALSE(box.clock->sure());
  box.mark();
  box.pass(kHour);
  box.boot(kHour);
  box.wall_error = 0;
  box.observe();
  EXPECT_TRUE(box.clock->sure());
  EXPECT_LE(box.early(), 0);
}

TEST(Clock, ABootThatHearsNothingDoesNotEither) {
  Box box;
  box.pass(kHour);
  box.boot(3 * kDay);
  box.synchronised = false;
  box.observe();
  box.mark();
  box.pass(kHour);
  box.boot(kHour);
  box.synchronised = true;
  box.observe();
  EXPECT_LE(box.early(), 0);
}

TEST(Clock, AJumpThatIsDoubtedIsNotBelievedAfterARestartEither) {
  Box box;
  box.pass(kHour);
  box.mark();
  box.wall_error = 5 * kDay;
  box.pass(kMinute);
  EXPECT_FALSE(box.clock->sure());
  box.boot(kMinute);
  box.observe();
  EXPECT_LE(box.early(), 0);
}

}  // namespace
}  // namespace penstock::retention
