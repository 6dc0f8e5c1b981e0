#include "drivers/disk/sim/sim_disk.h"

#include "base/assert.h"
#include "drivers/disk/sim/sim_pending.h"

#include <algorithm>
#include <cerrno>

namespace penstock::drivers {
namespace {

enum NameChange : std::uint8_t { kMakeDirectory, kCreate, kRename, kRemove, kSync };

std::unexpected<Error> power_is_gone() { return fail(ErrorCode::kSystem, EIO); }

}  // namespace

SimDisk::SimDisk(SimStorage& storage, std::size_t depth)
    : storage_(storage), depth_(depth), boot_(storage.boots()) {}

SimDisk::~SimDisk() { storage_.forget(*this); }

std::size_t SimDisk::submit(std::span<const env::DiskOp> ops) {
  const std::size_t taken = std::min(ops.size(), depth_ - pending_);
  pending_ += taken;
  if (!storage_.alive(boot_)) return taken;  // the power is gone: nobody will ever answer
  for (const env::DiskOp& op : ops.first(taken)) storage_.start(*this, op);
  return taken;
}

std::size_t SimDisk::reap(std::span<env::DiskDone> out) {
  storage_.settle();
  if (!storage_.alive(boot_)) return 0;
  const std::size_t count = std::min(out.size(), done_.size());
  std::copy_n(done_.begin(), count, out.begin());
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
  pending_ -= count;
  return count;
}

Result<env::VolumeInfo> SimVolume::info() {
  if (dead()) return power_is_gone();
  const SimStorageOptions& options = storage_.options_;
  const std::uint64_t used = storage_.names_.bytes();
  return env::VolumeInfo{.file_system = options.file_system,
                         .durable = options.durable,
                         .direct_io = options.direct_io,
                         .free_bytes = options.capacity - std::min(options.capacity, used),
                         .total_bytes = options.capacity};
}

Result<std::vector<env::FileInfo>> SimVolume::list(std::string_view directory) {
  if (dead()) return power_is_gone();
  return storage_.names_.list(directory);
}

Result<> SimVolume::make_directory(std::string_view name) {
  if (dead()) return power_is_gone();
  return storage_.mutate_names(
      kMakeDirectory, [&] { return storage_.names_.make_directory(name); }, false);
}

Result<env::FileId> SimVolume::open(std::string_view name) {
  if (dead()) return power_is_gone();
  const Result<SimNames::FileRef> file = storage_.names_.find(name);
  if (!file) return std::unexpected(file.error());
  if (!storage_.options_.direct_io) return fail(ErrorCode::kNoDirectIo, EINVAL);
  return storage_.handle(*file);
}

Result<env::FileId> SimVolume::create(std::string_view name) {
  if (dead()) return power_is_gone();
  if (!storage_.options_.direct_io) return fail(ErrorCode::kNoDirectIo, EINVAL);
  SimNames::FileRef created;
  const Result<> changed = storage_.mutate_names(
      kCreate,
      [&]() -> Result<> {
        Result<SimNames::FileRef> file = storage_.names_.create(name);
        if (!file) return std::unexpected(file.error());
        created = std::move(*file);
        return {};
      },
      false);
  if (!changed) return std::unexpected(changed.error());
  return storage_.handle(std::move(created));
}

Result<> SimVolume::rename(std::string_view from, std::string_view to) {
  if (dead()) return power_is_gone();
  return storage_.mutate_names(kRename, [&] { return storage_.names_.rename(from, to); }, false);
}

Result<> SimVolume::remove(std::string_view name) {
  if (dead()) return power_is_gone();
  return storage_.mutate_names(kRemove, [&] { return storage_.names_.remove(name); }, false);
}

Result<> SimVolume::sync_directory(std::string_view directory) {
  if (dead()) return power_is_gone();
  return storage_.mutate_names(kSync, [&] { return storage_.names_.sync(directory); }, true);
}

void SimVolume::close(env::FileId file) {
  if (dead()) return;
  static_cast<void>(storage_.file(file));
  storage_.handles_[static_cast<std::size_t>(static_cast<std::int32_t>(file) -
                                             storage_.first_handle_)] = nullptr;
}

Result<std::uint64_t> SimVolume::size(env::FileId file) {
  if (dead()) return power_is_gone();
  return storage_.file(file)->size();
}

Result<> SimVolume::read(env::FileId file, std::uint64_t offset, std::span<std::byte> out) {
  if (dead()) return power_is_gone();
  PENSTOCK_ASSERT(offset % env::kSector == 0);
  PENSTOCK_ASSERT(out.size() % env::kSector == 0);
  PENSTOCK_ASSERT(reinterpret_cast<std::uintptr_t>(out.data()) % env::kSector == 0);
  storage_.settle();
  if (dead()) return power_is_gone();
  if (storage_.options_.volume_faults &&
      storage_.streams_->read_error.chance(storage_.options_.rates.read_error)) {
    storage_.counts_.add(DiskFault::kReadError);
    return fail(ErrorCode::kSystem, EIO);
  }
  if (storage_.file(file)->read(offset, out) != out.size())
    return fail(ErrorCode::kSystem, ENODATA);
  return {};
}

Result<> SimVolume::write(env::FileId file, std::uint64_t offset,
                          std::span<const std::byte> bytes) {
  if (dead()) return power_is_gone();
  PENSTOCK_ASSERT(offset % env::kSector == 0);
  PENSTOCK_ASSERT(bytes.size() % env::kSector == 0);
  PENSTOCK_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % env::kSector == 0);
  return storage_.write_now(storage_.file(file), offset, bytes);
}

}  // namespace penstock::drivers
