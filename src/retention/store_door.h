// What the keeper asks of the store, so that its tests need no disk. One call per snapshot, slot step
// or fence: nothing here is called often.
//
// Owner      the service core; calls block on file I/O
// Errors     as storage::Store
#pragma once

#include "storage/store.h"

namespace penstock::retention {

class StoreDoor {
 public:
  virtual ~StoreDoor() = default;
  [[nodiscard]] virtual std::uint64_t slot_bytes() const = 0;
  [[nodiscard]] virtual Result<> write_snapshot(const storage::Snapshot& snapshot) = 0;
  [[nodiscard]] virtual Result<storage::Store::NewSlot> grow(CellId cell,
                                                             std::uint64_t bytes_max) = 0;
  [[nodiscard]] virtual Result<> record_fence(CellId cell) = 0;
};

class StoreEntrance final : public StoreDoor {
 public:
  explicit StoreEntrance(storage::Store& store) : store_(store) {}
  [[nodiscard]] std::uint64_t slot_bytes() const override { return store_.slot_bytes(); }
  [[nodiscard]] Result<> write_snapshot(const storage::Snapshot& snapshot) override {
    return store_.write_snapshot(snapshot);
  }
  [[nodiscard]] Result<storage::Store::NewSlot> grow(CellId cell,
                                                     std::uint64_t bytes_max) override {
    return store_.grow(cell, bytes_max);
  }
  [[nodiscard]] Result<> record_fence(CellId cell) override { return store_.record_fence(cell); }

 private:
  storage::Store& store_;
};

}  // namespace penstock::retention
