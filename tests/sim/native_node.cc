#include "tests/sim/native_node.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

namespace penstock::sim {

using client::native::LinkOptions;

NativeNode::NativeNode(const NativeSite& site, std::uint64_t entropy_seed)
    : time_(site.time),
      network_(site.network),
      port_(site.port),
      clock_(site.time),
      entropy_(entropy_seed),
      link_(options_of(site), clock_, entropy_),
      maps_(link_) {}

LinkOptions NativeNode::options_of(const NativeSite& site) {
  LinkOptions options;
  options.endpoints = {{.host = "simulated", .port = site.port, .tls = nullptr}};
  options.access_key = site.access_key;
  options.secret_key = site.secret_key;
  return options;
}

void NativeNode::receive(Nanos now) {
  if (!link_.has_connection()) hang_up();
  if (link_.wants_connection(now)) {
    link_.on_connecting(now);
    connection_ = network_.connect(port_);
    connected_ = false;
  }
  if (connection_) connected_ ? take(now) : connect(now);
  link_.tick(now);
  maps_.tick(now);
}

void NativeNode::connect(Nanos now) {
  connected_ = network_.client_connected(*connection_);
  if (connected_) return link_.on_connected(now);
  if (network_.client_error(*connection_) == 0) return;
  link_.on_disconnected("refused", now);
  hang_up();
}

void NativeNode::take(Nanos now) {
  while (now >= stalled_until_ && link_.has_connection()) {
    const std::span<std::byte> into = link_.destination();
    if (into.empty()) break;
    const std::string bytes = network_.client_take(*connection_, into.size());
    if (bytes.empty()) break;
    std::memcpy(into.data(), bytes.data(), bytes.size());
    link_.arrived(bytes.size(), now);
  }
  const bool over =
      network_.client_error(*connection_) != 0 || network_.client_at_end(*connection_);
  if (over) link_.on_disconnected("the connection has ended", now);
  if (!link_.has_connection()) hang_up();
}

void NativeNode::send(Nanos now) {
  std::array<std::span<const std::byte>, 64> pieces;
  while (connection_ && connected_ && network_.client_unsent(*connection_) == 0) {
    const std::size_t count = link_.gather(pieces, now);
    if (count == 0) break;
    for (const auto& piece : std::span(pieces).first(count)) {
      const auto* text = reinterpret_cast<const char*>(piece.data());
      network_.client_send(*connection_, {text, piece.size()});
    }
    link_.sent(now);
    if (!link_.has_connection()) hang_up();
  }
}

Nanos NativeNode::next_deadline() const {
  const Nanos next = std::min(link_.next_deadline(), maps_.next_deadline());
  return stalled_until_ > time_.now() ? std::min(next, stalled_until_) : next;
}

void NativeNode::drop(Nanos now) {
  if (!connection_) return;
  hang_up();
  link_.on_disconnected("dropped", now);
}

void NativeNode::hang_up() {
  if (connection_) network_.client_close(*connection_);
  connection_.reset();
  connected_ = false;
}

}  // namespace penstock::sim
