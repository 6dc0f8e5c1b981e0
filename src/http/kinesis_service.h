// The Kinesis API on one data core: checks a request in the service's order, reads it, and answers
// it from the route map, the data cores or the control plane.
//
//   checks  1 size · 2 preflight · 3 method · 4 empty body · 5, 6 content type · 7 parse · 8 target
//           9 signature · 10 types · 11 constraints · 12 the operation itself (operations_*.cc)
//
// Of a body beyond kParsedUnsignedBytesMax the signature is check 6: parsing takes some 14 times a
// body's size, which strangers do not get. A put in the usual form is read without memory, and may be
// of any size. A large body of type application/json, which is refused in any case, is not parsed.
//
// Units      limits in bytes; deadlines in nanoseconds of `now`
// Shape      PutRecords calls in flight: kInlineEntries entries in the exchange's own storage, more
//            out of `put_blocks` blocks; while none is free, calls wait in order of arrival. A put that
//            is not begun within its deadline is answered 503, and nothing of it is stored
// Owner      one core. Borrows the planes and the entropy, which outlive it; exchanges until answered
// Allocates  in the constructor; by request for administrative calls and refusals. A PutRecord or
//            PutRecords that the fast codec understands allocates nothing
// Errors     every refusal is an answer
// Source     the Kinesis contract; docs/kinesis-compatibility.md
#pragma once

#include "env/entropy.h"
#include "http/exchange.h"
#include "http/iterator_token.h"
#include "http/kinesis_counters.h"
#include "http/operations.h"
#include "http/put_codec.h"
#include "http/reply.h"
#include "http/sigv4_verify.h"
#include "proto/kinesis.h"
#include "shard/requests.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace penstock::http {

struct ShardListing;

// A larger body is parsed for those only who have signed it.
inline constexpr std::size_t kParsedUnsignedBytesMax = 1 * kMiB;

struct KinesisOptions {
  proto::Identity identity = {};
  std::shared_ptr<const CredentialSet> credentials = {};
  TokenKey token_key{};                        // kept in the data directory
  std::uint64_t body_bytes_max = 16 * kMiB;    // 413 beyond
  std::uint64_t put_bytes_max = 10 * kMiB;     // data and keys of one PutRecords
  std::uint64_t get_bytes_max = 10 * kMiB;     // data of one GetRecords
  std::uint32_t record_bytes_max = 1'048'576;  // what new streams get: CreateStream
  std::int64_t put_deadline_nanos =
      5 * kNanosPerSecond;                      // from the last byte: then outcomes are unknown
  std::int64_t timestamp_tolerance_ms = 1'000;  // clients' clocks that run ahead
  std::uint32_t put_blocks = 32;                // PutRecords of many entries in flight
  std::uint32_t shards_max = 4096;              // what DescribeLimits tells
  std::uint32_t on_demand_streams_max = 50;
};

class KinesisService final : public Service {
 public:
  KinesisService(shard::DataPlane& data, proto::ControlPlane& control, env::Entropy& entropy,
                 KinesisOptions options);
  ~KinesisService() override;

  void handle(Exchange& exchange, Nanos now, WallMillis wall) override;
  [[nodiscard]] const KinesisCounters& counters() const { return counters_; }

 private:
  // One request whose members have passed types and constraints.
  struct Call {
    Exchange& exchange;
    Nanos now;
    WallMillis wall;
    WallMillis came;  // wall, when the request was whole
    Operation operation;
    std::span<const Member> shape;
    std::vector<Value> values;
    // REQUIRES: a member of the operation.
    [[nodiscard]] const Value& arg(std::string_view name) const;
  };
  template <class T>
  using Expected = std::expected<T, proto::KinesisError>;
  using StreamRef = const route::StreamRoute*;
  struct PutContext;
  struct PutBlock;
  struct PutWaiter;
  struct ReadContext;
  struct ControlContext {
    KinesisService* service = nullptr;
    Exchange* exchange = nullptr;
    proto::ControlRequest request;
  };

  // kinesis_service.cc: the checks.
  void handle_post(Exchange& exchange, Nanos now, WallMillis wall);
  void handle_empty(Exchange& exchange, Operation operation, Nanos now);
  void handle_plain_json(Exchange& exchange, Nanos now);
  void handle_cbor(Exchange& exchange, Operation operation, Nanos now, WallMillis wall);
  void handle_json(Exchange& exchange, Operation operation, Nanos now, WallMillis wall);
  [[nodiscard]] static WallMillis came_at(const Exchange& exchange, Nanos now, WallMillis wall);
  [[nodiscard]] bool authentic(Exchange& exchange, WireFormat format, Nanos now, WallMillis wall);
  void dispatch(Call& call);
  void trim_parser();
  void refuse(Exchange& exchange, const proto::KinesisError& error, Nanos now,
              WireFormat format = WireFormat::kJson);
  [[nodiscard]] WallMillis wall_at(Nanos now) const;

  // operations_streams.cc
  [[nodiscard]] Expected<std::string_view> stream_name(std::string_view name,
                                                       std::string_view arn) const;
  // By the members StreamName and StreamARN.
  [[nodiscard]] Expected<std::string_view> named_stream(const Call& call) const;
  [[nodiscard]] Expected<StreamRef> find_stream(const Call& call) const;
  void describe_stream(Call& call);
  void describe_stream_summary(Call& call);
  void list_streams(Call& call);
  void describe_limits(Call& call);

  // operations_shards.cc
  [[nodiscard]] std::optional<proto::KinesisError> read_listing(const Call& call,
                                                                ShardListing& listing);
  void list_shards(Call& call);

  // operations_control.cc
  void create_stream(Call& call);
  void delete_stream(Call& call);
  void set_retention(Call& call);
  void split_shard(Call& call);
  void merge_shards(Call& call);
  [[nodiscard]] std::optional<proto::KinesisError> check_create(const Call& call,
                                                                proto::CreateStream& create) const;
  void start_control(Call& call, decltype(proto::ControlRequest::call) control_call);
  static void control_done(proto::ControlRequest& request, Nanos now);

  // operations_put.cc
  void put(Exchange& exchange, const ScannedPut& scan, PutCall kind, Nanos now, WallMillis wall,
           std::string_view hash_out_of_range);
  void put_general(Call& call, PutCall kind);
  [[nodiscard]] std::optional<proto::KinesisError> check_put(
      const ScannedPut& scan, PutCall kind, const route::StreamRoute& stream, WallMillis wall,
      std::string_view hash_out_of_range) const;
  [[nodiscard]] bool out_of_time(const Exchange& exchange, Nanos now) const;
  [[nodiscard]] bool wait_for_block(Exchange& exchange);
  void start_waiting(Nanos now);
  static void put_done(shard::PutRequest& request, Nanos now);
  void finish_put(PutContext& context, Nanos now);
  void answer_put_record(PutContext& context, Nanos now);
  void write_put_records(const PutContext& context);
  void count_entries(const PutContext& context);

  // operations_read.cc
  void get_shard_iterator(Call& call);
  // Where the iterator begins, into the token.
  [[nodiscard]] std::optional<proto::KinesisError> read_start(const Call& call,
                                                              const route::StreamRoute& stream,
                                                              const route::ShardRoute& shard,
                                                              Token& token) const;
  [[nodiscard]] std::optional<proto::KinesisError> read_starting_sequence(
      const Call& call, const route::StreamRoute& stream, const route::ShardRoute& shard,
      Token& token) const;
  void answer_iterator(Exchange& exchange, const Token& token, Nanos now);
  static void latest_done(shard::ReadRequest& request, Nanos now);
  void get_records(Call& call);
  static void records_done(shard::ReadRequest& request, Nanos now);
  void finish_records(ReadContext& context, Nanos now);
  void refuse_read(ReadContext& context, Nanos now);
  [[nodiscard]] proto::KinesisError data_loss(const ReadContext& context) const;
  void write_read_end(ReadContext& context, Nanos now);

  shard::DataPlane& data_;
  proto::ControlPlane& control_;
  KinesisOptions options_;
  KinesisCounters counters_;
  Replier reply_;
  Sigv4Verifier verifier_;
  TokenBox tokens_;
  simdjson::dom::parser parser_;
  Nanos seen_now_;  // of the last request: the wall clock in between is reckoned from these
  WallMillis seen_wall_;
  std::vector<ScannedRecord> scratch_;                     // of the request being read
  std::vector<std::unique_ptr<ControlContext>> controls_;  // under way
  std::vector<std::unique_ptr<PutBlock>> blocks_;
  PutBlock* free_block_ = nullptr;
  PutWaiter* first_waiting_ = nullptr;
  PutWaiter* last_waiting_ = nullptr;
};

}  // namespace penstock::http
