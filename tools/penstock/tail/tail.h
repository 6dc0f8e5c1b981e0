// What `penstock tail` shares between its two ways to the records: the Kinesis API and the native protocol.
//
// Owner      one thread prints at a time
// Errors     a problem that ends the command; what was printed before stays printed
#pragma once

#include "client/records.h"
#include "problem.h"
#include "session.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::tools {

struct TailOptions {
  std::string stream;
  std::string from = "latest";
  std::string shard;
  std::string via = "kinesis";
  bool follow = false;
  std::uint64_t count = 0;  // 0: no end
};

// --- What both ask --------------------------------------------------------------------------------
[[nodiscard]] Attempt<client::Position> tail_begins_at(const TailOptions& options);
// The shard to begin with: the one named, or that of the sequence number; empty: all.
[[nodiscard]] Attempt<std::string> tail_shard(const TailOptions& options,
                                              const client::Position& from);
[[nodiscard]] Problem tail_has_no_shard(const TailOptions& options, const std::string& shard);
[[nodiscard]] std::string tail_failing(const TailOptions& options);

class TailPrinter {
 public:
  TailPrinter(std::uint64_t count, bool json) : count_(count), json_(json) {}
  void print(const std::string& shard, const client::RecordView& record);
  // As many as were asked for, or nobody reads any more.
  [[nodiscard]] bool done() const { return broken_pipe_ || (count_ > 0 && printed_ >= count_); }
  [[nodiscard]] std::uint64_t left() const { return count_ == 0 ? UINT64_MAX : count_ - printed_; }

 private:
  std::uint64_t count_;
  bool json_;
  std::uint64_t printed_ = 0;
  bool broken_pipe_ = false;
};

[[nodiscard]] Ended tail_kinesis(const Session& session, const TailOptions& options,
                                 TailPrinter& printer);
[[nodiscard]] Ended tail_native(const Session& session, const TailOptions& options,
                                TailPrinter& printer);

}  // namespace penstock::tools
