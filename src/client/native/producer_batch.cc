#include "client/native/producer_batch.h"

#include "base/assert.h"

#include <utility>

namespace penstock::client::native {

void ProducerBatch::add(NewRecord&& record) {
  bytes->add(record.view);
  in_doubt = in_doubt || record.in_doubt;
  pending.push_back({std::move(record.done), record.deadline});
}

bool ProducerBatch::reset() {
  if (bytes.use_count() != 1) return false;
  bytes->entries.clear();
  bytes->bytes.clear();
  pending.clear();
  told = 0;
  request = 0;
  sequence = 0;
  in_doubt = held = false;
  return true;
}

void ProducerBatch::remove(std::size_t i) {
  PENSTOCK_ASSERT(i < size());
  auto rest = std::make_shared<BatchBytes>();
  for (std::size_t at = 0; at < size(); ++at) {
    if (at != i) rest->add(bytes->record(at));
  }
  bytes = std::move(rest);
  pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
  if (i < told) --told;
}

NewRecord ProducerBatch::take(std::size_t i) {
  return {bytes->record(i), pending[i].deadline, std::move(pending[i].done), in_doubt};
}

void ProducerBatch::drop_told() {
  PENSTOCK_ASSERT(request == 0);
  if (told == 0) return;
  auto rest = std::make_shared<BatchBytes>();
  for (std::size_t at = told; at < size(); ++at) rest->add(bytes->record(at));
  bytes = std::move(rest);
  pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(told));
  told = 0;
  in_doubt = in_doubt && !empty();
}

}  // namespace penstock::client::native
