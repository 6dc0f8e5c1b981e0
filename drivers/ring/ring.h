// One core's io_uring: shared by its disk queue, its sockets and its waiter, so that one system call
// a turn hands everything over and brings everything back.
//
// A client takes submission entries with `entry`, fills them, and gets each completion through
// `RingClient::on_completion` from within `turn`. Entries are handed to the kernel by `turn`, by
// `flush`, or by the waiter before it sleeps, whichever comes first.
//
// Shape      user data is 8 bits of client and 56 bits that the client chooses
// Owner      one core: the thread that first calls `flush` or `turn` is the ring's for good (the ring
//            is made disabled, so that another thread may make it and queue entries before)
// Allocates  in `create` only
// Errors     kUringForbidden with errno in `detail`; drivers/ring/probe.h says why and what to do
// Source     io_uring_setup(2): SINGLE_ISSUER and DEFER_TASKRUN from Linux 6.1, else COOP_TASKRUN
//            from 5.19, else neither; io_uring_enter(2)
#pragma once

#include "penstock/result.h"

#include <liburing.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace penstock::drivers {

// Of <linux/io_uring.h> from Linux 6.2 on: IORING_SEND_ZC_REPORT_USAGE.
inline constexpr unsigned kSendReportsUsage = 1U << 3;

class RingClient {
 public:
  virtual ~RingClient() = default;
  // May take entries, may not call `turn`.
  virtual void on_completion(std::uint64_t data, std::int32_t result, std::uint32_t flags) = 0;
  // Whether what came has not all been fetched by those whom it is for.
  [[nodiscard]] virtual bool holds() const { return false; }
};

struct RingOptions {
  std::uint32_t entries = 1024;
  std::uint32_t completions = 8192;  // what the kernel keeps beyond them costs it memory, not us
};

class Ring {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Ring>> create(const RingOptions& options = {});
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // A number for the client's entries. At most kClients in the life of a ring; a client that goes
  // away detaches, and completions still to come for it are dropped.
  [[nodiscard]] std::uint8_t attach(RingClient& client);
  void detach(std::uint8_t client);

  // A cleared entry whose completion goes to `client`; null when the kernel takes none at present.
  // Prepare it with `io_uring_prep_*`, then call `tag`, which they would overwrite.
  [[nodiscard]] io_uring_sqe* entry();
  static void tag(io_uring_sqe* entry, std::uint8_t client, std::uint64_t data);

  void flush();
  // Hands over what is queued and delivers completions. No system call when there is neither.
  void turn();
  // Sleeps until a completion is there, or for so long; then the caller calls `turn`.
  void sleep(std::int64_t nanos);
  [[nodiscard]] bool idle() const;
  // Whether `turn` would find completions, those included that the kernel holds until it is entered.
  [[nodiscard]] bool has_completions() const;
  // How many completions `turn` has delivered, and whether a client still holds one: a turn on behalf of one brings
  // those of all.
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  [[nodiscard]] bool held() const;

  // Completions are signalled on this eventfd: how a second ring wakes a core that sleeps on its
  // first.
  [[nodiscard]] Result<> signal(int eventfd);
  // The kernel keeps this descriptor's file open until the ring's last operation has ended, though the process
  // be killed: what a lock on it guards is then still guarded. Before the first `flush` or `turn`.
  [[nodiscard]] Result<> keep_open(int descriptor);
  // Where the waiter's read of its eventfd lands: here, because it ends with the ring at the latest.
  [[nodiscard]] std::uint64_t& wake_count() { return wake_count_; }
  [[nodiscard]] std::string_view mode() const { return mode_; }

 private:
  static constexpr std::size_t kClients = 16;

  Ring() = default;
  void enable();

  io_uring ring_{};
  bool enabled_ = true;
  std::uint64_t wake_count_ = 0;
  std::uint64_t delivered_ = 0;
  std::string_view mode_;
  std::uint8_t clients_ = 0;
  std::array<RingClient*, kClients> client_{};
};

}  // namespace penstock::drivers
