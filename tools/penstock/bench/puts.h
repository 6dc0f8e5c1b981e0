// The arm that most scenarios have: a stream is made, loaded, read back and deleted.
//
// Shape      figures: records_per_s, bytes_per_s, p50_us, p99_us, p999_us, max_us,
//            server_cpu_s_per_million_records, written_bytes_per_payload_byte; the last two where the server tells
// Errors     as Target; a stream that was made is deleted whatever happens
#pragma once

#include "bench/interruption.h"
#include "bench/load.h"
#include "bench/rounds.h"
#include "bench/target.h"

#include <cstdint>
#include <memory>
#include <string>

namespace penstock::tools::bench {

struct PutPlan {
  LoadPlan load;
  WriterShape shape;
  std::uint32_t shards = 1;
  std::string stream;  // empty: one of its own
  bool verify = true;
};

// A stream that is there for a scope, or until the run is interrupted.
class ScratchStream {
 public:
  // `given`: one that is there already, and stays; empty: one is made.
  [[nodiscard]] static Attempt<ScratchStream> make(Target& target, const std::string& given,
                                                   std::uint32_t run, std::uint32_t shards);
  ScratchStream(ScratchStream&& other) noexcept;
  ScratchStream& operator=(ScratchStream&&) = delete;
  ~ScratchStream();
  [[nodiscard]] const std::string& name() const { return name_; }
  // Whether nobody else writes to it.
  [[nodiscard]] bool own() const { return target_ != nullptr; }

 private:
  ScratchStream(Target* target, std::string name) : target_(target), name_(std::move(name)) {}
  Target* target_;  // null: it stays
  std::string name_;
  std::unique_ptr<Undoing> undoing_;
};

[[nodiscard]] std::uint32_t new_run_id();
[[nodiscard]] Attempt<Measured> measure_put(Target& target, const PutPlan& plan, const Live& live);
// The latencies' part of the figures.
void add_latencies(Figures& figures, const HdrHistogram& latencies);
// What a load was, for Result::load.
[[nodiscard]] Facts facts_of(const PutPlan& plan);
// What of a load makes its figures doubtful.
void add_problems(std::vector<std::string>& problems, const LoadFigures& load);
// Reads all of the load back. `alone`: nobody else has written to the stream.
[[nodiscard]] Attempt<Findings> read_back(Target& target, const std::string& stream, bool alone,
                                          Load& load, const Live& live);

}  // namespace penstock::tools::bench
