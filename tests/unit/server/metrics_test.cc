// Goal: every core's counters reach /metrics under their labels. Method: reports made up by hand, the
// text searched for whole lines.
#include "server/admin_service.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penstock::server {
namespace {

using http::Operation;

std::vector<CoreReport> two_cores() {
  std::vector<CoreReport> cores(2);
  cores[1].id = CoreId(1);
  return cores;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, RequestsAreToldByOperationAndStatus) {
  std::vector<CoreReport> cores = two_cores();
  for (int i = 0; i < 3; ++i) cores[0].kinesis.answered(Operation::kPutRecords, 200);
  cores[1].kinesis.answered(Operation::kPutRecords, 503);
  cores[1].kinesis.answered(Operation::kUnknown, 404);
  cores[1].kinesis.answered(Operation::kUnknown, 418);
  const std::string text = metrics_text({}, cores);
  const std::string name = "penstock_kinesis_requests_total";
  EXPECT_TRUE(has_line(text, name + R"({core="0",operation="PutRecords",status="200"} 3)"));
  EXPECT_TRUE(has_line(text, name + R"({core="1",operation="PutRecords",status="200"} 0)"));
  EXPECT_TRUE(has_line(text, name + R"({core="1",operation="PutRecords",status="503"} 1)"));
  EXPECT_TRUE(has_line(text, name + R"({core="1",operation="unknown",status="404"} 1)"));
  EXPECT_TRUE(has_line(text, name + R"({core="1",operation="unknown",status="0"} 1)"));
  EXPECT_EQ(text.find(R"(core="0",operation="PutRecords",status="503")"), std::string::npos);
  EXPECT_EQ(text.find(R"(core="0",operation="unknown")"), std::string::npos);
}

TEST(Metrics, RecordsAndBytesAreToldInBothDirections) {
  std::vector<CoreReport> cores = two_cores();
  cores[0].kinesis.records_stored = 11;
  cores[0].kinesis.record_bytes_stored = 1100;
  cores[0].kinesis.records_throttled = 2;
  cores[1].kinesis.records_delivered = 7;
  cores[1].kinesis.record_bytes_delivered = 700;
  cores[1].kinesis.get_throttled = 5;
  const std::string text = metrics_text({}, cores);
  EXPECT_TRUE(has_line(text, R"(penstock_kinesis_acknowledged_records_total{core="0"} 11)"));
  EXPECT_TRUE(has_line(text, R"(penstock_kinesis_acknowledged_bytes_total{core="0"} 1100)"));
  EXPECT_TRUE(has_line(text, R"(penstock_kinesis_throttled_records_total{core="0"} 2)"));
  EXPECT_TRUE(has_line(text, R"(penstock_kinesis_delivered_records_total{core="1"} 7)"));
  EXPECT_TRUE(has_line(text, R"(penstock_kinesis_delivered_bytes_total{core="1"} 700)"));
  EXPECT_TRUE(has_line(text, R"(penstock_kinesis_throttled_reads_total{core="1"} 5)"));
  EXPECT_TRUE(has_line(text, R"(penstock_kinesis_throttled_reads_total{core="0"} 0)"));
}

TEST(Metrics, SendsWithoutACopyAreToldWithThoseThatWereCopied) {
  std::vector<CoreReport> cores = two_cores();
  cores[1].native_bytes.uncopied = 9;
  cores[1].native_bytes.copied = 4;
  const std::string text = metrics_text({}, cores);
  EXPECT_TRUE(has_line(text, R"(penstock_native_zero_copy_sends_total{core="1"} 9)"));
  EXPECT_TRUE(has_line(text, R"(penstock_native_zero_copy_copied_total{core="1"} 4)"));
  EXPECT_TRUE(has_line(text, R"(penstock_native_zero_copy_sends_total{core="0"} 0)"));
}

TEST(Metrics, ACounterIsWhatEndsInTotalAndNothingElse) {
  const std::string text = metrics_text({}, two_cores());
  int counters = 0;
  int gauges = 0;
  for (std::size_t at = 0; (at = text.find("# TYPE ", at)) != std::string::npos;) {
    at += 7;
    const std::string line = text.substr(at, text.find('\n', at) - at);
    const std::size_t space = line.find(' ');
    const std::string type = line.substr(space + 1);
    EXPECT_EQ(type, line.substr(0, space).ends_with("_total") ? "counter" : "gauge") << line;
    ++(type == "counter" ? counters : gauges);
  }
  EXPECT_GT(counters, 30);
  EXPECT_GT(gauges, 10);
}

TEST(Readiness, AFencedCellNamesTheCommandThatClearsIt) {
  std::vector<CoreReport> cores = two_cores();
  CellReport& cell = cores[1].cells.emplace_back();
  cell.id = CellId(3);
  cell.fenced = true;
  ServiceReport service;
  service.directory = "/var/lib/penstock";
  const std::vector<std::string> reasons = unready_reasons(service, cores);
  ASSERT_EQ(reasons.size(), 1U);
  EXPECT_NE(reasons[0].find("penstock cell clear --data-dir /var/lib/penstock --cell 3"),
            std::string::npos)
      << reasons[0];
}

// A cell that refuses puts, of a daemon that has grown as far as `growth` says.
std::string full_reason(retention::Growth growth, bool expired = false) {
  std::vector<CoreReport> cores = two_cores();
  cores[1].cells.emplace_back().full = true;
  ServiceReport service;
  service.directory = "/var/lib/penstock";
  service.slot_bytes = 32 * kMiB;
  service.storage_limit_bytes = 160 * kMiB;
  service.file_system_free_bytes = 7 * kMiB;
  retention::CellFullness& journal = service.journals.emplace_back();
  journal.slots_total = 5;
  journal.growth = growth;
  journal.expired = expired;
  EXPECT_TRUE(has_line(metrics_text(service, cores), "penstock_ready 0"));
  const std::vector<std::string> reasons = unready_reasons(service, cores);
  EXPECT_EQ(reasons.size(), 1U);
  return reasons.empty() ? std::string() : reasons.front();
}

TEST(Readiness, ACellThatRefusesPutsSaysWhichLimitAndTheMend) {
  using retention::Growth;
  const auto has = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  const std::string limit = full_reason(Growth::kSizeMax);
  EXPECT_TRUE(has(limit, "160 MiB of 160 MiB")) << limit;
  EXPECT_TRUE(has(limit, "nothing in it has expired yet")) << limit;
  EXPECT_TRUE(has(limit, "raise size_max")) << limit;
  const std::string disk = full_reason(Growth::kDiskFull);
  EXPECT_TRUE(has(disk, "/var/lib/penstock is full (7 MiB free, a slot takes 32 MiB)")) << disk;
  EXPECT_TRUE(has(disk, "free space there")) << disk;
  EXPECT_TRUE(has(full_reason(Growth::kSizeMax, true), "are being freed"));
  EXPECT_TRUE(has(full_reason(Growth::kPossible), "being made"));
}

TEST(Metrics, TheEndOfTheCertificateIsToldInSecondsSince1970) {
  ServiceReport service;
  service.certificate_expiry = 1'798'761'600;
  EXPECT_TRUE(
      has_line(metrics_text(service, {}), "penstock_tls_certificate_expiry_seconds 1798761600"));
}

TEST(Metrics, TheProcessIsToldUnderPrometheusNames) {
  ServiceReport service;
  service.process = {12.5, 65536};
  const std::string text = metrics_text(service, {});
  EXPECT_TRUE(has_line(text, "process_cpu_seconds_total 12.5"));
  EXPECT_TRUE(has_line(text, "process_resident_memory_bytes 65536"));
}

TEST(ProcessUse, RisesWithWhatIsUsed) {
  const ProcessUse before = process_use();
  EXPECT_GT(before.resident_bytes, 0U);
  ProcessUse now = before;
  // Asking takes time itself.
  for (int i = 0; i < 100'000 && now.cpu_seconds <= before.cpu_seconds; ++i) now = process_use();
  EXPECT_GT(now.cpu_seconds, before.cpu_seconds);
}

}  // namespace
}  // namespace penstock::server
