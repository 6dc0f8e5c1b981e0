// TCP between two programs of one machine.
//
// Owner      the caller has the socket
// Errors     none: what cannot be set stays as the system has it
// Source     tcp(7): TCP_CONGESTION. BBR arms a timer for what it paces, and CUBIC leaves slow start by round trip times
//            that only say who was awake; with Reno, on loopback, 64 KiB batches went a fifth to a third faster than with
//            either (bench/README.md)
#pragma once

struct sockaddr;

namespace penstock::base {

[[nodiscard]] bool is_loopback(const sockaddr& address);
// No pacing and no search for a bottleneck, if the socket's peers come from, or are at, a loopback address.
void tune_for(int socket, const sockaddr& address);

}  // namespace penstock::base
