#include "bench/outbox.h"

#include <utility>

namespace penstock::tools::bench {

void Outbox::Box::clear() {
  entries.clear();
  bytes.clear();
}

bool Outbox::put(const Outgoing& record) {
  bool first = false;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || box_.bytes.size() < bytes_max_; });
    if (closed_) return false;
    first = box_.entries.empty();
    box_.entries.push_back({record.number, record.key_number,
                            static_cast<std::uint32_t>(record.key.size()),
                            static_cast<std::uint32_t>(record.data.size()), record.hash});
    const auto key = std::as_bytes(std::span(record.key));
    box_.bytes.insert(box_.bytes.end(), key.begin(), key.end());
    box_.bytes.insert(box_.bytes.end(), record.data.begin(), record.data.end());
  }
  if (first) {
    changed_.notify_all();
    if (wake_) wake_();
  }
  return true;
}

bool Outbox::take(Box& box, bool may_wait) {
  {
    std::unique_lock lock(mutex_);
    if (may_wait) changed_.wait(lock, [this] { return closed_ || !box_.entries.empty(); });
    if (box_.entries.empty()) return !closed_;
    std::swap(box, box_);
  }
  changed_.notify_all();
  return true;
}

void Outbox::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  if (wake_) wake_();
}

}  // namespace penstock::tools::bench
