#include "client/native/outgoing.h"

#include "penstock/units.h"

#include <cstring>
#include <utility>
#include <vector>

namespace penstock::client::native {
namespace {

struct Outgoing {
  transport::OutgoingMessage message;
  std::vector<std::byte> head;  // header and table
  BatchFrame frame;
  std::shared_ptr<const BatchBytes> batch;

  void add(std::span<const std::byte> part) {
    if (!part.empty()) message.parts[message.part_count++] = part;
  }
};

}  // namespace

void send_message(transport::Session& session, std::uint32_t lane, proto::MessageHeader header,
                  const flatbuffers::FlatBufferBuilder& table,
                  std::shared_ptr<const BatchBytes> batch) {
  auto outgoing = std::make_unique<Outgoing>();
  const std::size_t bytes = table.GetSize();
  const std::size_t padded = round_up(bytes, std::size_t{8});
  header.table_bytes = static_cast<std::uint32_t>(padded);
  outgoing->head.resize(proto::kMessageHeaderBytes + padded);
  const proto::MessageHeaderBytes encoded = proto::encode(header);
  std::memcpy(outgoing->head.data(), encoded.data(), encoded.size());
  if (bytes > 0) {
    std::memcpy(outgoing->head.data() + encoded.size(), table.GetBufferPointer(), bytes);
  }
  outgoing->add(outgoing->head);
  if (batch != nullptr) {
    outgoing->batch = std::move(batch);
    outgoing->frame = frame_of(*outgoing->batch);
    for (const std::span<const std::byte> part : parts_of(*outgoing->batch, outgoing->frame)) {
      outgoing->add(part);
    }
  }
  outgoing->message.context = outgoing.get();
  outgoing->message.done = [](transport::OutgoingMessage& message, bool) {
    delete static_cast<Outgoing*>(message.context);
  };
  // The session has it now: `done` deletes it.
  session.send(lane, outgoing.release()->message);
}

}  // namespace penstock::client::native
