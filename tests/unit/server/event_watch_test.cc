// Goal: the log says when something begins to be wrong and when it is right again, once each, and who
// changed what. Method: reports and requests made up by hand; the sink remembers.
#include "server/event_watch.h"

#include "server/audit.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace penstock::server {
namespace {

struct Event {
  LogLevel level;
  std::string name;
  std::map<std::string, std::string> fields;
};

class EventWatchTest : public testing::Test {
 protected:
  EventWatchTest() {
    cores.front().cells.resize(2);
    cores.front().cells[1].id = CellId(1);
    service.directory = "/var/lib/penstock";
    service.slot_bytes = 32 * kMiB;
    service.journals.resize(2);
  }
  // The names of what a look tells.
  std::vector<std::string> look(int times = 1) {
    events.clear();
    for (; times > 0; --times) watch.observe(service, cores);
    std::vector<std::string> names;
    for (const Event& event : events) names.push_back(event.name);
    return names;
  }
  // The same of an administrative call that was answered.
  std::vector<std::string> answered(decltype(proto::ControlRequest::call) call,
                                    std::int64_t hours_before = 0, bool refused = false) {
    events.clear();
    proto::ControlRequest request;
    request.call = std::move(call);
    request.by = "AKEXAMPLE";
    request.hours_before = hours_before;
    if (refused) request.error = proto::KinesisError{.type = "Refused", .message = {}};
    tell_change(request, sink);
    std::vector<std::string> names;
    for (const Event& event : events) {
      names.push_back(event.name);
      EXPECT_EQ(event.fields.at("by"), "AKEXAMPLE");
      EXPECT_EQ(event.fields.at("stream"), "fleet");
    }
    return names;
  }
  using Names = std::vector<std::string>;

  std::vector<Event> events;
  LogSink sink = [this](LogLevel level, std::string_view event, std::string_view,
                        std::initializer_list<LogField> fields) {
    Event& told = events.emplace_back(level, std::string(event));
    for (const LogField& field : fields) told.fields.emplace(field.name, field.value);
  };
  runtime::PostOffice office{2};
  MetricsGatherer gatherer{office.post(CoreId(1)), {}};
  EventWatch watch{gatherer, [] { return ServiceReport(); }, sink};
  ServiceReport service;
  std::vector<CoreReport> cores{1};
};

TEST_F(EventWatchTest, ReadinessIsToldWhenItChanges) {
  service.not_ready = {"the catalogue is being recovered"};
  EXPECT_EQ(look(3), Names{}) << "no news before it was ready";
  service.not_ready.clear();
  EXPECT_EQ(look(3), Names{"ready"});
  service.not_ready = {"one reason", "another"};
  EXPECT_EQ(look(3), Names{"not_ready"});
  EXPECT_EQ(events[0].fields.at("reasons"), "one reason; another");
  service.draining = true;
  EXPECT_EQ(look(3), Names{});
}

TEST_F(EventWatchTest, AFenceIsToldOnceWithItsMend) {
  EXPECT_EQ(look(), Names{"ready"});
  cores[0].cells[1].fenced = true;
  EXPECT_EQ(look(100), (Names{"cell_fenced", "not_ready"}));
  EXPECT_EQ(events[0].level, LogLevel::kError);
  EXPECT_EQ(events[0].fields.at("cell"), "1");
  EXPECT_NE(events[0].fields.at("mend").find("cell clear --data-dir /var/lib/penstock --cell 1"),
            std::string::npos);
}

TEST_F(EventWatchTest, AFullJournalIsToldAndThatItHasRoomAgain) {
  EXPECT_EQ(look(), Names{"ready"});
  cores[0].cells[0].full = true;
  service.journals[0].growth = retention::Growth::kSizeMax;
  EXPECT_EQ(look(10), (Names{"journal_full", "not_ready"}));
  EXPECT_NE(events[0].fields.at("found").find("[journal] size_max"), std::string::npos);
  // One that is filled again at once has not come to an end.
  for (int i = 0; i < 10; ++i) {
    cores[0].cells[0].full = false;
    EXPECT_EQ(look(EventWatch::kClearLooks - 1), Names{});
    cores[0].cells[0].full = true;
    EXPECT_EQ(look(), Names{});
  }
  cores[0].cells[0].full = false;
  EXPECT_EQ(look(10), (Names{"journal_has_room", "ready"}));
}

TEST_F(EventWatchTest, AFullFileSystemSnapshotsAndTheClockAreTold) {
  EXPECT_EQ(look(), Names{"ready"});
  service.disk_full = true;
  EXPECT_EQ(look(10), Names{"file_system_full"});
  EXPECT_EQ(events[0].fields.at("needed"), "32 MiB for another slot");
  service.disk_full = false;
  EXPECT_EQ(look(10), Names{"file_system_has_room"});
  // They are tried once a minute: until one is written, none is told to be.
  service.snapshots_fail = true;
  EXPECT_EQ(look(200), Names{"snapshot_failed"});
  service.snapshots_fail = false;
  EXPECT_EQ(look(10), Names{"snapshots_go_on"});
  service.clock_sure = false;
  EXPECT_EQ(look(10), Names{"clock_unsure"});
  service.clock_sure = true;
  EXPECT_EQ(look(10), Names{"clock_sure"});
}

TEST_F(EventWatchTest, SessionsThatAreTurnedAwayAreToldOnceHoweverMany) {
  EXPECT_EQ(look(), Names{"ready"});
  cores.resize(2);
  cores[1].id = CoreId(1);
  cores[1].native.sessions_open = 256;
  EXPECT_EQ(look(), Names{}) << "it may be full";
  cores[1].native.sessions_refused = 3;
  EXPECT_EQ(look(), Names{"sessions_full"});
  EXPECT_EQ(events[0].level, LogLevel::kWarning);
  EXPECT_EQ(events[0].fields.at("core"), "1");
  EXPECT_EQ(events[0].fields.at("found"), "256 open, and 3 turned away within a second");
  EXPECT_NE(events[0].fields.at("mend").find("sessions_max"), std::string::npos);
  for (std::uint64_t i = 0; i < 100; ++i) {
    cores[1].native.sessions_refused += 1 + i % 3;
    EXPECT_EQ(look(), Names{});
  }
  EXPECT_EQ(look(EventWatch::kClearLooks - 1), Names{});
  EXPECT_EQ(look(), Names{"sessions_have_room"});
  EXPECT_EQ(look(20), Names{});
}

TEST_F(EventWatchTest, ChangesAreToldWithWhoMadeThem) {
  EXPECT_EQ(answered(proto::CreateStream{.name = "fleet", .shards = 4}), Names{"stream_created"});
  EXPECT_EQ(events[0].fields.at("shards"), "4");
  EXPECT_EQ(answered(proto::DeleteStream{.name = "fleet"}), Names{"stream_deleted"});
  EXPECT_EQ(events[0].level, LogLevel::kWarning);
  EXPECT_EQ(answered(proto::DeleteStream{.name = "fleet"}, 0, true), Names{});
  proto::SplitShard split;
  split.name = "fleet";
  EXPECT_EQ(answered(split), Names{"shard_split"});
  proto::MergeShards merge;
  merge.name = "fleet";
  EXPECT_EQ(answered(merge), Names{"shards_merged"});
  const proto::SetRetention retention{.name = "fleet", .hours = 24};
  EXPECT_EQ(answered(retention, 48), Names{"retention_changed"});
  EXPECT_EQ(events[0].level, LogLevel::kWarning);
  EXPECT_EQ(events[0].fields.at("hours_before"), "48");
  EXPECT_EQ(events[0].fields.at("hours"), "24");
  EXPECT_EQ(answered(retention, 24), Names{}) << "nothing was changed";
}

}  // namespace
}  // namespace penstock::server
