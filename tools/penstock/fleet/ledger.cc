#include "fleet/ledger.h"

#include "base/assert.h"

#include <fmt/format.h>

#include <utility>

namespace penstock::tools {
namespace {

constexpr std::size_t kExamplesMax = 8;

std::string name_of(std::uint32_t vehicle, std::uint32_t sequence) {
  return fmt::format("bus-{:06} message {}", vehicle, sequence);
}

void add(Verdict& sum, const Verdict& part) {
  sum.found += part.found;
  sum.repeated += part.repeated;
  sum.foreign += part.foreign;
  sum.missing += part.missing;
  sum.twice += part.twice;
  sum.disordered += part.disordered;
  sum.damaged += part.damaged;
  sum.never_sent += part.never_sent;
  for (const std::string& example : part.examples) {
    if (sum.examples.size() < kExamplesMax) sum.examples.push_back(example);
  }
}

}  // namespace

Ledger::Ledger(std::uint32_t vehicles, std::uint32_t run) : run_(run), entries_(vehicles) {}

void Ledger::note(Verdict& part, std::string text) {
  if (part.examples.size() < kExamplesMax) part.examples.push_back(std::move(text));
}

void Ledger::sent(std::uint32_t vehicle, std::uint32_t sequence) {
  Entry& entry = entries_[vehicle];
  PENSTOCK_ASSERT(sequence == entry.sent);
  ++entry.sent;
}

void Ledger::in_doubt(std::uint32_t vehicle, std::uint32_t sequence) {
  ++entries_[vehicle].exceptions[sequence].doubts;
}

void Ledger::unacknowledged(std::uint32_t vehicle, std::uint32_t sequence) {
  entries_[vehicle].exceptions[sequence].acknowledged = false;
}

void Ledger::read(std::string_view key, std::string_view data) {
  const auto message = read_telemetry(data);
  const bool ours = message && message->run == run_;
  const std::uint32_t vehicle = ours ? message->vehicle : 0;
  Stripe& mine = stripe(vehicle);
  const std::lock_guard lock(mine.mutex);
  // A message of another run proves its content too, but nothing is known of its order.
  if (message && !message->intact) {
    ++mine.part.damaged;
    note(mine.part,
         name_of(message->vehicle, message->sequence) + ": content does not match its checksum");
    return;
  }
  if (!ours) {
    ++mine.part.foreign;
    return;
  }
  if (vehicle >= entries_.size() || message->sequence >= entries_[vehicle].sent) {
    ++mine.part.never_sent;
    note(mine.part, name_of(vehicle, message->sequence) + ": was never sent");
    return;
  }
  if (key != message->device) {
    ++mine.part.damaged;
    note(mine.part, name_of(vehicle, message->sequence) + ": came with another vehicle's key");
  }
  place(entries_[vehicle], mine.part, vehicle, message->sequence);
}

void Ledger::place(Entry& entry, Verdict& part, std::uint32_t vehicle, std::uint32_t sequence) {
  const auto exception = entry.exceptions.find(sequence);
  const bool known = exception != entry.exceptions.end();
  const bool acknowledged = !known || exception->second.acknowledged;
  const std::uint32_t allowed = (known ? exception->second.doubts : 0) + (acknowledged ? 1 : 0);
  const auto skipped = entry.skipped.find(sequence);
  const bool late = skipped != entry.skipped.end() && !skipped->second;
  const bool first = sequence >= entry.next || late;
  const std::uint32_t copies = known ? ++exception->second.copies : first ? 1 : 2;
  if (copies > allowed) {
    ++part.twice;
    note(part, name_of(vehicle, sequence) + ": is there more often than it was sent");
    return;
  }
  if (!first) {
    ++part.repeated;
    return;
  }
  ++part.found;
  if (!late) {
    for (std::uint32_t s = entry.next; s < sequence; ++s) entry.skipped.emplace(s, false);
    entry.next = sequence + 1;
    return;
  }
  skipped->second = true;
  // What was never acknowledged has no place in the order of acknowledgements.
  if (!acknowledged) return;
  ++part.disordered;
  note(part, name_of(vehicle, sequence) + fmt::format(": came after message {}", entry.next - 1));
}

Verdict Ledger::judge() {
  Verdict sum;
  for (Stripe& each : stripes_) add(sum, each.part);
  for (std::uint32_t vehicle = 0; vehicle < entries_.size(); ++vehicle) {
    Entry& entry = entries_[vehicle];
    std::uint64_t given_up = 0;
    for (const auto& [sequence, exception] : entry.exceptions)
      given_up += exception.acknowledged ? 0 : 1;
    sum.unacknowledged += given_up;
    sum.acknowledged += entry.sent - given_up;
    for (std::uint32_t s = entry.next; s < entry.sent; ++s) entry.skipped.emplace(s, false);
    for (const auto& [sequence, found] : entry.skipped) {
      if (found) continue;
      const auto exception = entry.exceptions.find(sequence);
      if (exception != entry.exceptions.end() && !exception->second.acknowledged) continue;
      ++sum.missing;
      note(sum, name_of(vehicle, sequence) + ": was acknowledged and is not there");
    }
  }
  return sum;
}

}  // namespace penstock::tools
