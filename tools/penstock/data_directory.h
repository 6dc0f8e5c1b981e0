// A data directory that no daemon serves, for the commands that change what is stored there. Opening it
// is what a start of the daemon does first: it takes the lock, recovers, and raises the boot epoch.
//
// Owner      the command; the lock is held as long as this object lives
// Errors     problems: no directory, none of Penstock's, held by a daemon, or what its recovery says.
//            Nothing is made or written in a directory that is not Penstock's
#pragma once

#include "drivers/disk/uring/file_volume.h"
#include "problem.h"
#include "storage/store.h"

#include <memory>
#include <string>

namespace penstock::tools {

class DataDirectory {
 public:
  // `path` as it was given by --data-dir or, where that is empty, by --dir.
  [[nodiscard]] static Attempt<DataDirectory> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] storage::Store& store() { return *store_; }

 private:
  DataDirectory(std::string path, std::unique_ptr<drivers::FileVolume> volume,
                std::unique_ptr<storage::Store> store)
      : path_(std::move(path)), volume_(std::move(volume)), store_(std::move(store)) {}

  std::string path_;
  std::unique_ptr<drivers::FileVolume> volume_;  // outlives what is open in it
  std::unique_ptr<storage::Store> store_;
};

// What went wrong with the directory's content or its files; `what` says what was being done.
[[nodiscard]] Problem storage_problem(const Error& error, std::string what);

}  // namespace penstock::tools
