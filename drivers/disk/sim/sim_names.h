// The simulated volume's directory tree. A change is seen at once and is durable when its directory
// was synced; a power cut keeps some prefix of the changes that were not, in the order of their
// making, as a journalling file system does.
//
// Shape      names relative to the root, '/' between parts
// Owner      one simulation, one thread
// Errors     kNotFound, kExists
#pragma once

#include "drivers/disk/sim/sim_file.h"
#include "env/disk.h"
#include "penstock/result.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::drivers {

class SimNames {
 public:
  using FileRef = std::shared_ptr<SimFile>;  // null: a directory
  using Tree = std::map<std::string, FileRef, std::less<>>;

  [[nodiscard]] Result<> make_directory(std::string_view name);
  [[nodiscard]] Result<FileRef> create(std::string_view name);
  [[nodiscard]] Result<FileRef> find(std::string_view name) const;
  [[nodiscard]] Result<> rename(std::string_view from, std::string_view to);
  [[nodiscard]] Result<> remove(std::string_view name);
  [[nodiscard]] Result<> sync(std::string_view directory);
  [[nodiscard]] Result<std::vector<env::FileInfo>> list(std::string_view directory) const;

  [[nodiscard]] const Tree& tree() const { return live_; }
  [[nodiscard]] std::uint64_t bytes() const;
  [[nodiscard]] std::size_t unsynced() const { return changes_.size(); }
  // The power is gone: the first `kept` changes that were not synced survive, the others never
  // were.
  void cut_power(std::size_t kept);
  // Replaces every file by a copy of its own, calling `moved(old, copy)` for each.
  template <class Moved>
  void own_files(Moved moved);

 private:
  // `name` refers to `file` from now on; gone where `removed`.
  struct Change {
    std::string name;
    FileRef file;
    bool removed = false;
    std::string from;  // renames: the name that ends with this change
  };

  [[nodiscard]] bool is_directory(std::string_view name) const;
  static void apply(Tree& tree, const Change& change);
  void change(Change change);

  Tree live_;
  Tree durable_;
  std::vector<Change> changes_;  // made but not synced, in order
};

template <class Moved>
void SimNames::own_files(Moved moved) {
  std::map<const SimFile*, FileRef> copies;  // looked up, never walked
  const auto own = [&](FileRef& file) {
    if (file == nullptr) return;
    FileRef& copy = copies[file.get()];
    if (copy == nullptr) {
      copy = std::make_shared<SimFile>(*file);
      moved(file, copy);
    }
    file = copy;
  };
  for (auto& [name, file] : live_) own(file);
  for (auto& [name, file] : durable_) own(file);
  for (Change& change : changes_) own(change.file);
}

}  // namespace penstock::drivers
