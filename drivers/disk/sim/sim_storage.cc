#include "drivers/disk/sim/sim_storage.h"

#include "base/assert.h"
#include "drivers/disk/sim/sim_disk.h"
#include "drivers/disk/sim/sim_pending.h"

#include <algorithm>
#include <cerrno>

namespace penstock::drivers {
namespace {

constexpr std::size_t kSpareBuffers = 32;

enum TraceEvent : std::uint8_t { kTraceNames = 1, kTraceVolumeWrite, kTraceDone, kTracePower };

}  // namespace

SimStorage::SimStorage(SimTime& time, const SimStorageOptions& options, std::uint64_t seed)
    : time_(&time), options_(options), streams_(std::make_unique<Streams>(seed)) {}

SimStorage::~SimStorage() = default;

// --- Pending operations: a heap by (due, number) ------------------------------------------------

void SimStorage::push(std::unique_ptr<Pending> pending) {
  pending_.push_back(std::move(pending));
  std::push_heap(pending_.begin(), pending_.end(), [](const auto& a, const auto& b) {
    return std::pair(a->due, a->number) > std::pair(b->due, b->number);
  });
}

std::unique_ptr<SimStorage::Pending> SimStorage::pop() {
  std::pop_heap(pending_.begin(), pending_.end(), [](const auto& a, const auto& b) {
    return std::pair(a->due, a->number) > std::pair(b->due, b->number);
  });
  std::unique_ptr<Pending> pending = std::move(pending_.back());
  pending_.pop_back();
  return pending;
}

void SimStorage::start(SimDisk& disk, const env::DiskOp& op) {
  PENSTOCK_ASSERT(op.offset % env::kSector == 0);
  PENSTOCK_ASSERT(op.length % env::kSector == 0);
  PENSTOCK_ASSERT(op.length > 0);
  PENSTOCK_ASSERT(reinterpret_cast<std::uintptr_t>(op.data) % env::kSector == 0);
  auto pending = std::make_unique<Pending>();
  pending->number = ++operations_;
  pending->disk = &disk;
  pending->op = op;
  pending->file = file(op.file);
  if (pending->is_write()) {
    if (!spare_.empty()) {
      pending->data = std::move(spare_.back());
      spare_.pop_back();
    }
    pending->data.assign(op.data, op.data + op.length);
    draw_write(*pending);
  } else {
    draw_read(*pending);
  }
  push(std::move(pending));
}

void SimStorage::settle() {
  while (powered_ && !pending_.empty() && pending_.front()->due <= time_->now()) {
    std::unique_ptr<Pending> pending = pop();
    if (pending->is_write()) {
      ++mutations_;
      if (mutation_is_cut(SimCutPhase::kDuring)) {
        push(std::move(pending));
        cut_now(cut_survival_);
        return;
      }
    }
    complete(*pending);
    if (pending->is_write() && mutation_is_cut(SimCutPhase::kAfter)) cut_now(cut_survival_);
  }
}

void SimStorage::complete(Pending& pending) {
  std::int32_t result = -EIO;
  if (pending.is_write()) {
    if (pending.disk != nullptr && options_.verify_buffers) {
      PENSTOCK_ASSERT(std::equal(pending.data.begin(), pending.data.end(), pending.op.data));
    }
    result = perform_write(pending);
    if (spare_.size() < kSpareBuffers) spare_.push_back(std::move(pending.data));
  } else if (pending.disk != nullptr) {
    result = perform_read(pending);
  }
  trace_.add(kTraceDone);
  trace_.add(static_cast<std::uint64_t>(time_->now().raw()));
  trace_.add(pending.op.offset ^ (static_cast<std::uint64_t>(pending.op.length) << 40));
  trace_.add(pending.number ^
             (static_cast<std::uint64_t>(static_cast<std::uint32_t>(result)) << 32));
  if (pending.disk != nullptr) pending.disk->done_.push_back({pending.op.tag, result});
}

void SimStorage::forget(SimDisk& disk) {
  for (const auto& pending : pending_) {
    if (pending->disk == &disk) pending->disk = nullptr;
  }
}

std::optional<Nanos> SimStorage::next_completion() const {
  if (!powered_ || pending_.empty()) return std::nullopt;
  return pending_.front()->due;
}

// --- Power --------------------------------------------------------------------------------------

void SimStorage::cut_power_at(std::uint64_t mutation, SimCutPhase phase, SimSurvival survival) {
  cut_at_ = mutation;
  cut_phase_ = phase;
  cut_survival_ = std::move(survival);
}

bool SimStorage::mutation_is_cut(SimCutPhase phase) const {
  return cut_at_ != 0 && mutations_ == cut_at_ && phase == cut_phase_;
}

void SimStorage::cut_power(const SimSurvival& survival) {
  settle();
  if (powered_) cut_now(survival);
}

void SimStorage::cut_now(const SimSurvival& survival) {
  powered_ = false;
  cut_at_ = 0;
  std::sort(pending_.begin(), pending_.end(),
            [](const auto& a, const auto& b) { return a->number < b->number; });

  // Completed and volatile first: a write in flight may overlap it.
  const auto keep = [&](SimSurvival::Choice choice) {
    if (choice == SimSurvival::Choice::kSeeded) return streams_->cut.below(2) == 0;
    return choice == SimSurvival::Choice::kKeep;
  };
  for (const auto& [name, file] : names_.tree()) {
    if (file == nullptr) continue;
    const std::uint64_t lost = file->lose_volatile([&] { return keep(survival.completed); });
    if (lost > 0) counts_.add(DiskFault::kVolatileLost);
  }
  for (const auto& pending : pending_) {
    if (pending->is_write()) tear(*pending, survival);
  }
  pending_.clear();

  const std::size_t unsynced = names_.unsynced();
  std::size_t kept = survival.names == SimSurvival::Choice::kKeep ? unsynced : 0;
  // Half of the cuts lose every change that was not synced; the others keep some of them.
  if (survival.names == SimSurvival::Choice::kSeeded && keep(SimSurvival::Choice::kSeeded)) {
    kept = streams_->cut.below(unsynced + 1);
  }
  for (std::size_t i = kept; i < unsynced; ++i) counts_.add(DiskFault::kEntryLost);
  names_.cut_power(kept);
  trace_.add(kTracePower);
  trace_.add(mutations_);
}

void SimStorage::kill_process() {
  settle();
  if (!powered_) return;
  while (!pending_.empty()) {
    const std::unique_ptr<Pending> pending = pop();
    pending->disk = nullptr;
    if (pending->is_write()) {
      ++mutations_;
      complete(*pending);
    }
  }
  powered_ = false;
}

void SimStorage::restart() {
  PENSTOCK_ASSERT(!powered_);
  powered_ = true;
  ++boot_;
  first_handle_ += static_cast<std::int32_t>(handles_.size());
  handles_.clear();
}

// --- Enumeration --------------------------------------------------------------------------------

std::vector<SimWrite> SimStorage::in_flight() {
  settle();
  std::vector<SimWrite> writes;
  for (const auto& pending : pending_) {
    if (pending->is_write()) writes.push_back(pending->describe());
  }
  std::sort(writes.begin(), writes.end(),
            [](const SimWrite& a, const SimWrite& b) { return a.number < b.number; });
  return writes;
}

std::unique_ptr<SimStorage> SimStorage::branch(SimTime& time, const SimSurvival& survival,
                                               std::uint64_t seed) {
  settle();
  PENSTOCK_ASSERT(powered_);
  auto other = std::make_unique<SimStorage>(time, options_, seed);
  other->names_ = names_;
  other->operations_ = operations_;
  other->mutations_ = mutations_;
  other->boot_ = boot_;
  other->first_handle_ = first_handle_ + static_cast<std::int32_t>(handles_.size());
  other->damage_ = damage_;
  for (const auto& pending : pending_) {
    auto copy = std::make_unique<Pending>(*pending);
    copy->disk = nullptr;
    other->pending_.push_back(std::move(copy));
  }
  other->names_.own_files([&](const FileRef& old, const FileRef& copy) {
    for (const auto& pending : other->pending_) {
      if (pending->file == old) pending->file = copy;
    }
  });
  // A file that is open but has no name any more cannot be found again: its writes do not matter.
  std::erase_if(other->pending_, [&](const auto& copy) {
    return std::any_of(pending_.begin(), pending_.end(),
                       [&](const auto& original) { return original->file == copy->file; });
  });
  other->cut_now(survival);
  other->restart();
  return other;
}

// --- For the Volume -----------------------------------------------------------------------------

SimStorage::FileRef SimStorage::file(env::FileId id) const {
  const std::int32_t index = static_cast<std::int32_t>(id) - first_handle_;
  PENSTOCK_ASSERT(index >= 0);
  PENSTOCK_ASSERT(static_cast<std::size_t>(index) < handles_.size());
  PENSTOCK_ASSERT(handles_[static_cast<std::size_t>(index)] != nullptr);
  return handles_[static_cast<std::size_t>(index)];
}

env::FileId SimStorage::handle(FileRef file) {
  handles_.push_back(std::move(file));
  return static_cast<env::FileId>(first_handle_ + static_cast<std::int32_t>(handles_.size()) - 1);
}

Result<> SimStorage::mutate_names(std::uint64_t what, const std::function<Result<>()>& change,
                                  bool is_sync) {
  settle();
  if (!powered_) return fail(ErrorCode::kSystem, EIO);
  ++mutations_;
  const bool during = mutation_is_cut(SimCutPhase::kDuring);
  // A sync that the power interrupts may have done nothing yet; a change is one not synced.
  if (!(during && is_sync)) {
    if (const Result<> changed = change(); !changed) {
      --mutations_;
      return changed;
    }
  }
  trace_.add(kTraceNames);
  trace_.add(what);
  if (during || mutation_is_cut(SimCutPhase::kAfter)) {
    cut_now(cut_survival_);
    return fail(ErrorCode::kSystem, EIO);
  }
  return {};
}

Result<> SimStorage::write_now(const FileRef& file, std::uint64_t offset,
                               std::span<const std::byte> bytes) {
  settle();
  if (!powered_) return fail(ErrorCode::kSystem, EIO);
  if (grows_too_far(*file, offset + bytes.size())) {
    counts_.add(DiskFault::kNoSpace);
    return fail(ErrorCode::kNoSpace, ENOSPC);
  }
  ++mutations_;
  trace_.add(kTraceVolumeWrite);
  trace_.add(offset ^ (static_cast<std::uint64_t>(bytes.size()) << 40));
  const bool broken =
      options_.volume_faults && streams_->write_error.chance(options_.rates.write_error);
  if (broken || mutation_is_cut(SimCutPhase::kDuring)) {
    Pending torn;
    torn.number = ++operations_;
    torn.op = {.kind = env::DiskKind::kWrite,
               .durable = true,
               .file = env::FileId::kNone,
               .offset = offset,
               .data = nullptr,
               .length = static_cast<std::uint32_t>(bytes.size()),
               .tag = 0};
    torn.file = file;
    torn.data.assign(bytes.begin(), bytes.end());
    if (!broken) {
      push(std::make_unique<Pending>(std::move(torn)));
      cut_now(cut_survival_);
    } else {
      torn.fault = DiskFault::kWriteError;
      static_cast<void>(perform_write(torn));
    }
    return fail(ErrorCode::kSystem, EIO);
  }
  file->write(offset, bytes, true);
  if (mutation_is_cut(SimCutPhase::kAfter)) {
    cut_now(cut_survival_);
    return fail(ErrorCode::kSystem, EIO);
  }
  return {};
}

}  // namespace penstock::drivers
