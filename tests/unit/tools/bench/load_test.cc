// Goal: an open loop sends at the times that were set before, counts latency from there, and admits when it fell
// behind; a closed loop never has more under way than it may. Method: a clock that the test moves, and a writer that
// takes time when it is told to.
#include "bench/load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <vector>

namespace penstock::tools::bench {
namespace {

constexpr std::int64_t kMilli = kNanosPerMilli;

class FakeClock final : public LoadClock {
 public:
  Nanos now() override { return now_; }
  void sleep_until(Nanos time) override { now_ = std::max(now_, time); }
  void step(std::int64_t nanos) { now_ = now_ + nanos; }

 private:
  Nanos now_{1'000 * kMilli};
};

// Acknowledges at once, after doing to the clock what the test wants.
class FakeWriter final : public Writer {
 public:
  FakeWriter(FakeClock& clock, Track& track) : clock_(clock), track_(track) {}
  bool put(const Outgoing& record) override {
    if (record.number == refused_at) return false;
    left.push_back(clock_.now());
    if (before_result) before_result(record.number);
    most_unresolved = std::max(most_unresolved, track_.unresolved());
    if (hold_back > 0) {
      held_.push_back(record.number);
      if (held_.size() < hold_back) return true;
      flush();
      return true;
    }
    track_.result(record.number, Outcome::kStored);
    return true;
  }
  void flush() override {
    for (; !held_.empty(); held_.pop_front()) track_.result(held_.front(), Outcome::kStored);
  }
  std::optional<Problem> problem() const override { return std::nullopt; }

  std::vector<Nanos> left;
  std::function<void(std::uint64_t)> before_result;
  std::size_t hold_back = 0;  // so many get their results together
  std::uint64_t most_unresolved = 0;
  std::uint64_t refused_at = UINT64_MAX;

 private:
  FakeClock& clock_;
  Track& track_;
  std::deque<std::uint64_t> held_;
};

struct World {
  explicit World(const LoadPlan& the_plan)
      : plan(the_plan), track(clock, times_every_record(plan)) {
    begin = clock.now();
    from = begin + static_cast<std::int64_t>(plan.warmup_seconds * 1e9);
    to = from + static_cast<std::int64_t>(plan.seconds * 1e9);
    track.measure(from, to);
  }
  bool open() { return producing().open_loop(stop); }
  bool closed() { return producing().closed_loop(stop); }
  Producing producing() { return {plan, {1, 0, begin, to}, clock, writer, track}; }

  LoadPlan plan;
  FakeClock clock;
  Track track;
  FakeWriter writer{clock, track};
  std::atomic<bool> stop{false};
  Nanos begin, from, to;
};

LoadPlan open_plan(double rate, double warmup, double seconds) {
  LoadPlan plan;
  plan.rate = rate;
  plan.record_bytes = 32;
  plan.warmup_seconds = warmup;
  plan.seconds = seconds;
  return plan;
}

TEST(BenchPacer, CountsWhatIsDue) {
  const Nanos begin(12'345);
  for (const double rate : {1.0, 3.0, 7'777.0, 2'000'000.0}) {
    const Pacer pacer(rate, begin);
    EXPECT_EQ(pacer.due(0), begin);
    EXPECT_EQ(pacer.due_before(begin), 0U);
    EXPECT_EQ(pacer.due_before(begin + 1), 1U);
    for (const std::uint64_t number : {1ULL, 2ULL, 1'000ULL, 123'456'789ULL}) {
      EXPECT_EQ(pacer.due_before(pacer.due(number)), number);
      EXPECT_EQ(pacer.due_before(pacer.due(number) + 1), number + 1);
    }
  }
  EXPECT_EQ(Pacer(1'000, begin).due(60'000) - begin, 60 * kNanosPerSecond);
}

TEST(BenchLoad, OpenLoopSendsWhenRecordsAreDue) {
  World world(open_plan(1'000, 0, 1));
  ASSERT_TRUE(world.open());
  ASSERT_EQ(world.writer.left.size(), 1'000U);
  for (std::int64_t i = 0; i < 1'000; ++i) {
    EXPECT_EQ(world.writer.left[static_cast<std::size_t>(i)] - world.begin, i * kMilli);
  }
  EXPECT_EQ(world.track.latencies().count(), 1'000U);
  EXPECT_EQ(world.track.latencies().max(), 0U);
}

TEST(BenchLoad, OpenLoopCountsLatencyFromWhenARecordWasDue) {
  World world(open_plan(1'000, 0, 1));
  // One put takes 100 ms: those behind it are late, though each is answered at once.
  world.writer.before_result = [&](std::uint64_t number) {
    if (number == 500) world.clock.step(100 * kMilli);
  };
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.track.sent(), 1'000U);
  EXPECT_NEAR(static_cast<double>(world.track.latencies().max()), 100e6, 1e5);
  // Of 1,000, the 100 that were due meanwhile waited, 50 of them 50 ms and more.
  EXPECT_NEAR(static_cast<double>(world.track.latencies().quantile(0.95)), 50e6, 2e6);
  EXPECT_LE(world.track.latencies().quantile(0.899), 1U);
}

TEST(BenchLoad, OpenLoopMeasuresWhatIsDueInItsTime) {
  World world(open_plan(1'000, 0.5, 1));
  world.writer.before_result = [&](std::uint64_t number) {
    if (number == 100) world.clock.step(50 * kMilli);  // in the warm-up
  };
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.track.stored(), 1'500U);
  EXPECT_EQ(world.track.latencies().count(), 1'000U);
  EXPECT_EQ(world.track.latencies().max(), 0U);
}

TEST(BenchLoad, OpenLoopThatFallsBehindStopsAndSaysSo) {
  World world(open_plan(1'000, 0, 1));
  world.writer.before_result = [&](std::uint64_t) { world.clock.step(2 * kMilli); };
  ASSERT_TRUE(world.open());
  LoadFigures figures;
  figures.due = world.producing().due();
  figures.sent = world.track.sent();
  EXPECT_EQ(figures.due, 1'000U);
  EXPECT_NEAR(figures.behind(), 0.5, 0.1);
  EXPECT_GT(figures.behind(), kBehindMax);
}

TEST(BenchLoad, OpenLoopThatIsAlittleLateStillSendsAll) {
  World world(open_plan(1'000, 0, 1));
  world.writer.before_result = [&](std::uint64_t number) {
    if (number == 995) world.clock.step(20 * kMilli);
  };
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.track.sent(), 1'000U);
}

TEST(BenchLoad, ClosedLoopKeepsItsLimit) {
  LoadPlan plan;
  plan.record_bytes = 32;
  plan.in_flight = 10;
  plan.warmup_seconds = 0;
  plan.seconds = 1;
  World world(plan);
  world.writer.hold_back = 10;
  world.writer.before_result = [&](std::uint64_t) { world.clock.step(kMilli); };
  ASSERT_TRUE(world.closed());
  world.writer.flush();
  EXPECT_EQ(world.writer.most_unresolved, 10U);
  EXPECT_GE(world.track.stored(), 990U);
  EXPECT_LE(world.track.stored(), 1'010U);
  EXPECT_EQ(world.track.resolved(), world.track.sent());
}

TEST(BenchLoad, AloopEndsWhenARecordIsNotTaken) {
  World world(open_plan(1'000, 0, 1));
  world.writer.refused_at = 17;
  EXPECT_FALSE(world.open());
  EXPECT_EQ(world.track.stored(), 17U);
}

TEST(BenchLoad, TimesFewerRecordsWhereThereAreMany) {
  World world(open_plan(200'000, 0, 0.1));
  ASSERT_TRUE(world.open());
  EXPECT_EQ(world.track.stored(), 20'000U);
  EXPECT_EQ(world.track.latencies().count(), 20'000U / Track::kStride);
}

TEST(BenchLoad, ProducersShareTheRateAndEachHasItsNumbers) {
  LoadPlan plan = open_plan(3'000, 0, 0.1);
  plan.producers = 3;
  FakeClock idle;
  Load load(plan, 1, machine_clock());
  const auto figures = load.run(
      [&](Track& track) -> Attempt<std::unique_ptr<Writer>> {
        return std::make_unique<FakeWriter>(idle, track);
      },
      [](double, std::uint64_t) {});
  ASSERT_TRUE(figures);
  EXPECT_NEAR(static_cast<double>(figures->due), 300, 2);
  ASSERT_EQ(load.tracks().size(), 3U);
  for (const auto& track : load.tracks()) EXPECT_GE(track->sent(), 1U);
  EXPECT_EQ(figures->stored_total, figures->sent);
}

}  // namespace
}  // namespace penstock::tools::bench
