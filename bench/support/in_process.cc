#include "bench/support/in_process.h"

#include "storage/recovery.h"

#include <fmt/format.h>

#include <cstdlib>
#include <deque>
#include <utility>

namespace penstock::bench {
namespace {

template <class T>
T must(Result<T> result, const char* what) {
  if (!result) {
    fmt::print(stderr, "bench: {}: {} ({})\n", what, text(result.error().code),
               result.error().detail);
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

InProcess::InProcess(env::Volume& volume, env::Disk& writes, env::Disk& reads, env::Clock& clock,
                     env::Entropy& entropy, const InProcessOptions& options,
                     std::function<void()> advance)
    : clock_(clock), advance_(std::move(advance)) {
  storage::FormatOptions format;
  format.cells = 1;
  format.slot_bytes = options.slot_bytes;
  format.slots_ahead = options.slots;
  must(storage::Store::format(volume, entropy, format), "format");
  store_ = must(storage::Store::open(volume), "open");
  core_ = std::make_unique<ingest::DataCore>(
      ingest::DataCore::Parts{CoreId(0), CoreId(1), writes, reads, office_.post(CoreId(0))}, 2);
  storage::JournalOptions journal;
  journal.slot_bytes = options.slot_bytes;
  journal.tail_bytes = options.tail_bytes;
  journal.depth = options.depth;
  core_->add_cell(journal, std::move(store_->take_cells().front()));
  core_->set_peers({core_.get()});

  auto stream = std::make_shared<route::StreamRoute>();
  stream->uid = this->stream();
  stream->name = "bench";
  stream->status = route::StreamStatus::kActive;
  stream->limits = {0, 0, 0, 0};
  std::deque<shard::CellCommand> opening;
  const std::uint64_t width = options.shards == 1 ? 0 : ~0ULL / options.shards;
  for (std::uint32_t i = 0; i < options.shards; ++i) {
    route::ShardRoute shard;
    shard.number = ShardNumber(i);
    shard.begin = {width * i, 0};
    shard.end = i + 1 == options.shards ? base::kHashKeyMax
                                        : base::previous(base::HashKey{width * (i + 1), 0});
    begins_.push_back(shard.begin);
    shard.created_second = clock.wall().raw() / 1000;
    stream->shards.push_back(shard);
    shard::CellCommand& open = opening.emplace_back();
    open.kind = shard::CommandKind::kOpenShard;
    open.shard = {stream->uid, shard.number};
    open.control.catalogue_version = 1;
    open.control.range_begin[0] = shard.begin.high;
    open.control.range_end[0] = shard.end.high;
    open.control.range_end[1] = shard.end.low;
    open.control.created_second = shard.created_second;
  }
  stream->tile();
  run(opening);
  auto map = std::make_shared<route::RouteMap>();
  map->epoch = 1;
  map->streams.emplace(stream->name, stream);
  core_->adopt_map(map, clock_.now());
}

runtime::WorkCount InProcess::turn() {
  if (advance_) advance_();
  const Nanos now = clock_.now();
  const runtime::WorkCount work = core_->poll(now, clock_.wall());
  return work + office_.post(CoreId(1)).deliver(now);
}

void InProcess::run(std::deque<shard::CellCommand>& commands) {
  std::size_t open = commands.size();
  for (shard::CellCommand& command : commands) {
    command.context = &open;
    command.done = [](shard::CellCommand& finished, Nanos) {
      must(std::move(finished.outcome), "command");
      --*static_cast<std::size_t*>(finished.context);
    };
    office_.post(CoreId(1)).send(CoreId(0), {&ingest::DataCore::on_command, core_.get(), &command});
  }
  while (open > 0) turn();
}

base::HashKey InProcess::hash_of(std::uint32_t shard) const { return begins_[shard]; }

}  // namespace penstock::bench
