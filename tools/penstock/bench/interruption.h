// What is undone where somebody ends a run in the middle, by SIGINT or SIGTERM: what it has made, the last first, in
// 10 s at most. Then the program ends with 128 + the signal's number. A second signal ends it at once.
//
// Shape      one for the process, as signals are: a thread of its own waits for them
// Owner      any thread. What undoes is called on another, beside whatever is being done
// Errors     none: what is still there when the program ends is named
// Source     sigwait(3), signal(7)
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace penstock::tools::bench {

// From now on. REQUIRES: there is no other thread yet, since those to come are not to be interrupted.
void watch_for_interruption();

// To be undone as long as this lives. Where the run was interrupted, neither its begin nor its end returns.
class Undoing {
 public:
  // `what` is for people: "stream 'bench-1'"; empty: nothing is left behind.
  Undoing(std::string what, std::function<void()> undo);
  ~Undoing();
  Undoing(const Undoing&) = delete;
  Undoing& operator=(const Undoing&) = delete;

 private:
  std::uint64_t number_;
};

// Nothing is undone as long as this lives: it stands around what must be whole, or not be there. Where the run was
// interrupted, its begin does not return.
class Uninterrupted {
 public:
  Uninterrupted();

 private:
  std::lock_guard<std::mutex> lock_;
};

}  // namespace penstock::tools::bench
