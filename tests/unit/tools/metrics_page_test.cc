// Goal: figures are found by their whole name, summed over their labels. Method: a page as the
// administration writes it.
#include "fleet/metrics_page.h"

#include <gtest/gtest.h>

namespace penstock::tools {
namespace {

constexpr const char* kPage =
    R"(# HELP penstock_storage_used_bytes Bytes of segments that hold data.
# TYPE penstock_storage_used_bytes gauge
penstock_storage_used_bytes{cell="0"} 1024
penstock_storage_used_bytes{cell="1"} 512
penstock_storage_used_bytes_total 7
penstock_durability_class{class="none"} 0
penstock_durability_class{class="media"} 1
penstock_streams 3
)";

TEST(MetricsPage, SumsSeriesOfTheWholeName) {
  EXPECT_EQ(metric_sum(kPage, "penstock_storage_used_bytes"), 1536);
  EXPECT_EQ(metric_sum(kPage, "penstock_streams"), 3);
  EXPECT_FALSE(metric_sum(kPage, "penstock_storage"));
}

TEST(MetricsPage, GivesTheLabelOfTheSeriesThatHolds) {
  EXPECT_EQ(metric_label(kPage, "penstock_durability_class", "class"), "media");
  EXPECT_FALSE(metric_label(kPage, "penstock_durability_class", "other"));
  EXPECT_FALSE(metric_label(kPage, "penstock_absent", "class"));
}

}  // namespace
}  // namespace penstock::tools
