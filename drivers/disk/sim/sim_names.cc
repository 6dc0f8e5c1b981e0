#include "drivers/disk/sim/sim_names.h"

#include "base/assert.h"

namespace penstock::drivers {
namespace {

std::string_view parent(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

bool below(std::string_view name, std::string_view directory) {
  return directory.empty() || (name.starts_with(directory) && name.size() > directory.size() &&
                               name[directory.size()] == '/');
}

}  // namespace

bool SimNames::is_directory(std::string_view name) const {
  if (name.empty()) return true;
  const auto found = live_.find(name);
  return found != live_.end() && found->second == nullptr;
}

void SimNames::apply(Tree& tree, const Change& change) {
  if (!change.from.empty()) tree.erase(change.from);
  if (change.removed) {
    tree.erase(change.name);
  } else {
    tree[change.name] = change.file;
  }
}

void SimNames::change(Change change) {
  apply(live_, change);
  changes_.push_back(std::move(change));
}

Result<> SimNames::make_directory(std::string_view name) {
  if (!is_directory(parent(name))) return fail(ErrorCode::kNotFound);
  if (live_.contains(name)) return fail(ErrorCode::kExists);
  change({.name = std::string(name), .file = nullptr, .removed = false, .from = {}});
  return {};
}

Result<SimNames::FileRef> SimNames::create(std::string_view name) {
  if (name.empty() || !is_directory(parent(name))) return fail(ErrorCode::kNotFound);
  if (live_.contains(name)) return fail(ErrorCode::kExists);
  FileRef file = std::make_shared<SimFile>(std::string(name));
  change({.name = std::string(name), .file = file, .removed = false, .from = {}});
  return file;
}

Result<SimNames::FileRef> SimNames::find(std::string_view name) const {
  const auto found = live_.find(name);
  if (found == live_.end() || found->second == nullptr) return fail(ErrorCode::kNotFound);
  return found->second;
}

Result<> SimNames::rename(std::string_view from, std::string_view to) {
  const Result<FileRef> file = find(from);
  if (!file) return std::unexpected(file.error());
  if (!is_directory(parent(to))) return fail(ErrorCode::kNotFound);
  if (is_directory(to)) return fail(ErrorCode::kExists);
  (*file)->rename(std::string(to));
  change({.name = std::string(to), .file = *file, .removed = false, .from = std::string(from)});
  return {};
}

Result<> SimNames::remove(std::string_view name) {
  if (const Result<FileRef> file = find(name); !file) return std::unexpected(file.error());
  change({.name = std::string(name), .file = nullptr, .removed = true, .from = {}});
  return {};
}

Result<> SimNames::sync(std::string_view directory) {
  if (!is_directory(directory)) return fail(ErrorCode::kNotFound);
  std::erase_if(changes_, [&](const Change& change) {
    if (parent(change.name) != directory) return false;
    apply(durable_, change);
    return true;
  });
  return {};
}

Result<std::vector<env::FileInfo>> SimNames::list(std::string_view directory) const {
  if (!is_directory(directory)) return fail(ErrorCode::kNotFound);
  std::vector<env::FileInfo> files;
  for (const auto& [name, file] : live_) {
    if (file != nullptr && below(name, directory)) files.push_back({name, file->size()});
  }
  return files;
}

std::uint64_t SimNames::bytes() const {
  std::uint64_t total = 0;
  for (const auto& [name, file] : live_) {
    if (file != nullptr) total += file->size();
  }
  return total;
}

void SimNames::cut_power(std::size_t kept) {
  PENSTOCK_ASSERT(kept <= changes_.size());
  for (std::size_t i = 0; i < kept; ++i) apply(durable_, changes_[i]);
  changes_.clear();
  live_ = durable_;
  // Parents come before their children in the order of names, so one pass drops whole subtrees.
  for (auto entry = live_.begin(); entry != live_.end();) {
    entry = is_directory(parent(entry->first)) ? std::next(entry) : live_.erase(entry);
  }
  durable_ = live_;
  for (const auto& [name, file] : live_) {
    if (file != nullptr) file->rename(name);
  }
}

}  // namespace penstock::drivers
