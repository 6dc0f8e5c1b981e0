// Goal: the sum that is printed covers what the parts take, and a budget too small for them is refused.
// Method: plans over many shapes; the index's term against an index of that size.
#include "server/memory_plan.h"

#include "base/buffer_pool.h"
#include "http/get_codec.h"
#include "http/options.h"
#include "storage/append_limits.h"
#include "storage/index.h"
#include "transport/session.h"
#include "transport/staging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace penstock::server {
namespace {

Config config_with(std::uint32_t cores, std::uint64_t budget) {
  Config config;
  config.data_cpus.clear();
  for (std::uint32_t cpu = 0; cpu < cores; ++cpu) config.data_cpus.push_back(cpu);
  config.memory_budget = budget;
  return config;
}

std::uint64_t each(const MemoryPlan& plan, std::string_view name) {
  const auto term = std::ranges::find(plan.terms, name, &MemoryPlan::Term::name);
  return term == plan.terms.end() ? 0 : term->each;
}

TEST(MemoryPlan, TheIndexTermsCoverTheIndex) {
  for (const std::uint64_t mib : {32U, 33U, 64U, 100U, 256U, 512U, 513U, 1024U}) {
    const std::uint64_t slot_bytes = mib * kMiB;
    const auto plan = plan_memory(config_with(1, 4 * kGiB), 1, slot_bytes);
    ASSERT_TRUE(plan.has_value());
    const storage::AppendLimits limits = storage::append_limits({}, slot_bytes);
    const storage::Index index({.frames_max = limits.frames_max,
                                .runs_max = limits.runs_max,
                                .cache_bytes = plan->index_cache_bytes});
    const std::uint64_t planned =
        each(*plan, "index of the open segment, a cell") + each(*plan, "index pages, a cell");
    EXPECT_GE(planned, index.memory_bytes()) << mib << " MiB";
    EXPECT_LE(planned, index.memory_bytes() + kMiB) << mib << " MiB";
  }
}

// Many shapes, budgets from too small to ample: refused, or large enough for each part.
TEST(MemoryPlan, ABudgetThatIsTakenHoldsTheLargestBody) {
  const std::uint64_t largest =
      base::BufferPool::class_bytes(http::FrontDoorOptions{}.body_bytes_max + 64);
  EXPECT_EQ(largest, 24 * kMiB);
  int taken = 0;
  int refused = 0;
  for (const std::uint32_t cores : {1U, 2U, 8U, 64U}) {
    for (const std::uint32_t factor : {1U, 2U, 8U}) {
      const auto cells = static_cast<std::uint16_t>(std::min(64U, cores * factor));
      for (std::uint64_t budget = 256 * kMiB; budget <= 16 * kGiB; budget += budget / 16) {
        const auto plan = plan_memory(config_with(cores, budget), cells, 32 * kMiB);
        if (!plan) {
          ++refused;
          continue;
        }
        ++taken;
        EXPECT_GE(plan->body_bytes, largest);
        EXPECT_GE(plan->answer_bytes / 4 * 3,
                  base::BufferPool::class_bytes(http::kRecordsAnswerBytesMax + 1024));
        EXPECT_EQ(each(*plan, "HTTP answers, a core"), plan->answer_bytes);
        EXPECT_EQ(each(*plan, "one body beyond these, a core"), largest);
        EXPECT_GE(plan->tail_bytes, 40 * kMiB);
        EXPECT_LE(plan->total(), budget);
      }
    }
  }
  EXPECT_GT(taken, 100);
  EXPECT_GT(refused, 100);
}

// As many as the configuration lets in, and then one of them sends the largest message.
TEST(MemoryPlan, EverySessionHasItsFirstCreditAndALargeMessageStillComesIn) {
  constexpr transport::SessionOptions kOptions;
  transport::Staging unused(kMiB, kMiB);
  transport::Session name(kOptions, unused, Nanos(1));  // only a name to Staging
  for (const std::uint32_t sessions : {16U, 256U, 257U, 1000U, 5000U}) {
    Config config = config_with(1, 8 * kGiB);
    config.sessions_max = sessions;
    const auto plan = plan_memory(config, 1, 32 * kMiB);
    ASSERT_TRUE(plan.has_value());
    EXPECT_EQ(each(*plan, "native messages that come in, a core"), plan->staging_bytes);
    transport::Staging staging(plan->staging_bytes, kOptions.message_max);
    std::vector<transport::Staging::Account> accounts(sessions);
    for (auto& account : accounts) {
      ASSERT_TRUE(staging.open(account, name, kOptions.first_credit)) << sessions;
    }
    staging.want(accounts[0], kOptions.message_max, Nanos(1));
    EXPECT_EQ(accounts[0].granted, kOptions.message_max) << sessions;
    for (auto& account : accounts) staging.close(account, Nanos(1));
  }
}

TEST(MemoryPlan, SendsWithoutACopyHaveATermOnlyWhereTheyAreAskedFor) {
  Config config = config_with(2, 4 * kGiB);
  constexpr std::string_view kTerm = "native sends without a copy, a core";
  EXPECT_EQ(each(*plan_memory(config, 2, 32 * kMiB), kTerm), 0U);
  config.zero_copy_send = true;
  EXPECT_EQ(each(*plan_memory(config, 2, 32 * kMiB), kTerm), 16 * kMiB);
  config.native.port = 0;
  EXPECT_EQ(each(*plan_memory(config, 2, 32 * kMiB), kTerm), 0U);
}

TEST(MemoryPlan, ARefusalNamesTheLeastBudgetThatDoes) {
  const auto refused = plan_memory(config_with(2, 256 * kMiB), 4, 256 * kMiB);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().found, "256 MiB");
  const std::string& needed = refused.error().needed;
  EXPECT_NE(needed.find("2 x 64 MiB for the cores' HTTP bodies and answers"), std::string::npos)
      << needed;
  const std::uint64_t least = std::stoull(needed) * kMiB;
  EXPECT_TRUE(plan_memory(config_with(2, least), 4, 256 * kMiB).has_value());
  EXPECT_FALSE(plan_memory(config_with(2, least - kMiB), 4, 256 * kMiB).has_value());
}

}  // namespace
}  // namespace penstock::server
