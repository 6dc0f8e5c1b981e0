// Goal: administrative calls reach the control plane as what they are, and its answers the client. Method: calls in the
// native protocol over a control plane in memory.
#include "tests/unit/net/native_harness.h"

#include <functional>

namespace penstock::test {
namespace {

using proto::AdminOperation;
using proto::MessageKind;

struct Administrator {
  Administrator() { client.greet(); }
  using Fields = std::function<void(proto::AdminBuilder&)>;
  std::uint64_t ask(AdminOperation operation, const std::string& stream, const Fields& fields = {},
                    const std::string& after = {}) {
    flatbuffers::FlatBufferBuilder table;
    const auto name = table.CreateString(stream);
    const auto behind = table.CreateString(after);
    proto::AdminBuilder admin(table);
    admin.add_operation(operation);
    admin.add_stream(name);
    admin.add_after(behind);
    if (fields) fields(admin);
    table.Finish(admin.Finish());
    return client.say(0, MessageKind::kAdmin, &table);
  }
  // What becomes of it: "done", or the error.
  std::string call(AdminOperation operation, const std::string& stream, const Fields& fields = {}) {
    const std::uint64_t request = ask(operation, stream, fields);
    client.settle();
    const Heard* heard = client.answer(request);
    if (heard == nullptr) return client.told;
    if (heard->kind() == MessageKind::kAdminDone) return "done";
    const proto::Failure* failure = client.failure(request);
    return std::string(name(static_cast<ErrorCode>(failure->code()))) + " " +
           failure->kinesis()->str() + " " + failure->text()->str();
  }
  NativeHarness server;
  NativeClient client{server};
};

TEST(Admin, MakesAndDeletesStreams) {
  Administrator admin;
  EXPECT_EQ(
      admin.call(AdminOperation::CreateStream, "s", [](auto& call) { call.add_shard_count(3); }),
      "done");
  const route::StreamRoute* stream = admin.server.data.routes()->find("s");
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->shards.size(), 3U);
  EXPECT_EQ(admin.call(AdminOperation::DeleteStream, "s"), "done");
  EXPECT_EQ(admin.server.data.routes()->find("s"), nullptr);
}

TEST(Admin, SplitsAndMerges) {
  Administrator admin;
  admin.server.data.add_stream("s", 1);
  const proto::HashKey middle(1ULL << 63U, 0);
  EXPECT_EQ(
      admin.call(AdminOperation::SplitShard, "s", [&](auto& call) { call.add_hash(&middle); }),
      "done");
  const auto& split = std::get<proto::SplitShard>(admin.server.control.last);
  EXPECT_EQ(split.shard, "shardId-000000000000");
  EXPECT_EQ(split.new_starting_hash_key.high, 1ULL << 63U);
  EXPECT_EQ(admin.call(AdminOperation::MergeShards, "s",
                       [](auto& call) {
                         call.add_shard(1);
                         call.add_adjacent(2);
                       }),
            "done");
  EXPECT_EQ(admin.server.data.routes()->find("s")->shards.size(), 4U);
}

TEST(Admin, ASplitSaysWhere) {
  Administrator admin;
  admin.server.data.add_stream("s", 1);
  EXPECT_TRUE(admin.call(AdminOperation::SplitShard, "s").starts_with("kMalformed"));
}

TEST(Admin, ChangesRetention) {
  Administrator admin;
  admin.server.data.add_stream("s", 1);
  const auto hours = [](auto& call) { call.add_hours(48); };
  EXPECT_EQ(admin.call(AdminOperation::IncreaseRetention, "s", hours), "done");
  EXPECT_TRUE(std::get<proto::SetRetention>(admin.server.control.last).increase);
  EXPECT_EQ(admin.server.data.routes()->find("s")->retention_hours, 48U);
  EXPECT_EQ(admin.call(AdminOperation::DecreaseRetention, "s", hours), "done");
  EXPECT_FALSE(std::get<proto::SetRetention>(admin.server.control.last).increase);
}

TEST(Admin, NamesAreTheServices) {
  Administrator admin;
  const auto create = [&](const std::string& stream) {
    return admin.call(AdminOperation::CreateStream, stream,
                      [](auto& call) { call.add_shard_count(1); });
  };
  EXPECT_EQ(create(std::string(128, 'x')), "done");
  EXPECT_EQ(create("a.B-c_9"), "done");
  for (const std::string& bad : {std::string(), std::string(129, 'x'), std::string("a b"),
                                 std::string("a/b"), std::string("a\0b", 3), std::string("ä")}) {
    EXPECT_TRUE(create(bad).starts_with("kMalformed")) << bad;
  }
  EXPECT_EQ(admin.server.data.routes()->streams.size(), 2U);
}

TEST(Admin, RefusalsKeepTheServicesNames) {
  Administrator admin;
  const auto refused = [&](const char* type, int status) {
    proto::KinesisError error;
    error.type = type;
    error.message = "because";
    error.http_status = status;
    admin.server.control.refusal = error;
    return admin.call(AdminOperation::DeleteStream, "s");
  };
  EXPECT_EQ(refused("ResourceNotFoundException", 400),
            "kNotFound ResourceNotFoundException because");
  EXPECT_EQ(refused("ResourceInUseException", 400), "kConflict ResourceInUseException because");
  EXPECT_EQ(refused("LimitExceededException", 400), "kTooLarge LimitExceededException because");
  EXPECT_EQ(refused("InternalFailure", 500), "kOverloaded InternalFailure because");
  EXPECT_EQ(refused("ValidationException", 400), "kMalformed ValidationException because");
}

TEST(Admin, AnOperationOfALaterVersionIsUnsupported) {
  Administrator admin;
  EXPECT_TRUE(admin.call(static_cast<AdminOperation>(200), "s").starts_with("kUnsupported"));
}

TEST(Admin, ListsStreamsInPages) {
  Administrator admin;
  for (int i = 0; i < 150; ++i) admin.server.data.add_stream("s" + std::to_string(1000 + i), 1);
  std::uint64_t request = admin.ask(AdminOperation::ListStreams, "");
  admin.client.carry();
  const auto& first = admin.client.answer(request)->as<proto::AdminResult>();
  ASSERT_EQ(first.streams()->size(), 100U);
  EXPECT_TRUE(first.more());
  request = admin.ask(AdminOperation::ListStreams, "", {}, first.streams()->Get(99)->str());
  admin.client.carry();
  const auto& second = admin.client.answer(request)->as<proto::AdminResult>();
  ASSERT_EQ(second.streams()->size(), 50U);
  EXPECT_EQ(second.streams()->Get(0)->str(), "s1100");
  EXPECT_FALSE(second.more());
}

TEST(Admin, ManyCallsAreAnsweredEachWithItsNumber) {
  Administrator admin;
  std::vector<std::uint64_t> requests;
  for (int i = 0; i < 256; ++i) {
    requests.push_back(admin.ask(AdminOperation::CreateStream, "s" + std::to_string(i),
                                 [](auto& call) { call.add_shard_count(1); }));
  }
  admin.client.carry();
  EXPECT_EQ(admin.client.count(MessageKind::kAdminDone), 0U);
  admin.client.settle();
  for (const std::uint64_t request : requests) {
    const Heard* heard = admin.client.answer(request);
    ASSERT_NE(heard, nullptr) << admin.client.told;
    EXPECT_EQ(heard->kind(), MessageKind::kAdminDone);
  }
  EXPECT_EQ(admin.client.told, "");
}

TEST(Admin, The257thUnansweredBreaksTheRules) {
  Administrator admin;
  for (int i = 0; i < 257; ++i) admin.ask(AdminOperation::DeleteStream, "s");
  admin.client.carry();
  EXPECT_TRUE(admin.client.told.starts_with("closed kProtocol")) << admin.client.told;
}

TEST(Admin, AnAnswerFindsItsConnectionGone) {
  Administrator admin;
  admin.ask(AdminOperation::CreateStream, "s", [](auto& call) { call.add_shard_count(1); });
  admin.client.carry();
  admin.server.socket.vanish(admin.client.id());
  admin.server.poll();
  admin.server.run();
  admin.server.poll();
  EXPECT_NE(admin.server.data.routes()->find("s"), nullptr);
  EXPECT_EQ(admin.server.door.staging_used(), 0U);
}

}  // namespace
}  // namespace penstock::test
