#include "bench/verify.h"

#include "words.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace penstock::tools::bench {

bool Findings::clean() const {
  return missing == 0 && damaged == 0 && (!ordered || disordered == 0) &&
         (!exactly_once || (twice == 0 && denied == 0)) && (!alone || foreign == 0);
}

std::string Findings::text() const {
  std::string text = fmt::format(
      "{} acknowledged records, {} read back: ", format_count(acknowledged), format_count(read));
  std::string wrong;
  const auto say = [&wrong](std::uint64_t count, std::string_view what) {
    if (count == 0) return;
    wrong += fmt::format("{}{} {}", wrong.empty() ? "" : ", ", format_count(count), what);
  };
  say(missing, "missing");
  say(damaged, "damaged");
  if (ordered) say(disordered, "out of order");
  if (exactly_once) {
    say(twice, "there twice");
    say(denied, "there though refused");
  }
  if (alone) say(foreign, "that nobody put");
  if (!wrong.empty()) return text + wrong;
  text += exactly_once ? "each once" : "each at least once";
  text += ordered ? ", unchanged, those of a key in order" : ", unchanged";
  if (!ordered && disordered > 0)
    text += fmt::format("; {} out of order", format_count(disordered));
  if (!exactly_once && twice > 0) text += fmt::format("; {} there again", format_count(twice));
  return text;
}

void Findings::add(const Findings& other) {
  acknowledged += other.acknowledged;
  read += other.read;
  missing += other.missing;
  twice += other.twice;
  disordered += other.disordered;
  damaged += other.damaged;
  foreign += other.foreign;
  denied += other.denied;
  unknown_stored += other.unknown_stored;
  exactly_once = other.exactly_once;
  ordered = other.ordered;
  alone = other.alone;
}

Verifier::Verifier(const Expected& expected, std::vector<std::unique_ptr<Track>>& tracks)
    : expected_(expected), tracks_(tracks) {
  findings_.exactly_once = expected.exactly_once;
  findings_.ordered = expected.ordered;
  findings_.alone = expected.alone;
  for (std::uint32_t producer = 0; producer < tracks.size(); ++producer) {
    keys_.emplace_back(producer, expected.keys);
    latest_.emplace_back(expected.keys, 0);
  }
}

void Verifier::read(std::span<const Incoming> records) {
  const std::lock_guard lock(mutex_);
  for (const Incoming& record : records) read_one(record);
}

void Verifier::read_one(const Incoming& record) {
  const auto stamp = read_stamp(record.data);
  if (!stamp) {
    // In a stream that is ours alone it can only be one of ours.
    ++(expected_.alone ? findings_.damaged : findings_.foreign);
    return;
  }
  if (stamp->run != expected_.run || stamp->producer >= tracks_.size() ||
      stamp->number >= tracks_[stamp->producer]->sent()) {
    ++findings_.foreign;
    return;
  }
  ++findings_.read;
  Track& track = *tracks_[stamp->producer];
  const std::uint32_t key = keys_[stamp->producer].of(stamp->number);
  if (record.data.size() != expected_.record_bytes ||
      record.key != keys_[stamp->producer].text(key)) {
    ++findings_.damaged;
    return;
  }
  if (track.found(stamp->number) > 0) {
    ++findings_.twice;
    return;
  }
  std::uint64_t& latest = latest_[stamp->producer][key];
  if (stamp->number < latest) ++findings_.disordered;
  latest = std::max(latest, stamp->number + 1);
}

Findings Verifier::judge() {
  const std::lock_guard lock(mutex_);
  for (const auto& track : tracks_) {
    for (std::uint64_t number = 0; number < track->sent(); ++number) {
      const bool found = track->times_found(number) > 0;
      switch (track->outcome(number)) {
        case Outcome::kStored:
          ++findings_.acknowledged;
          if (!found) ++findings_.missing;
          break;
        case Outcome::kRefused:
          if (found) ++findings_.denied;
          break;
        case Outcome::kUnknown:
          if (found) ++findings_.unknown_stored;
          break;
        case Outcome::kNone:
          break;
      }
    }
  }
  return std::exchange(findings_, {});
}

}  // namespace penstock::tools::bench
