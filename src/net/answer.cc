#include "net/answer.h"

#include "base/assert.h"

#include <algorithm>
#include <cstring>

namespace penstock::net {

Answers::~Answers() = default;

Answer& Answers::make(proto::MessageHeader header) {
  if (spare_ == nullptr) {
    all_.push_back(std::make_unique<Answer>());
    spare_ = all_.back().get();
    spare_->home = this;
  }
  Answer& answer = *spare_;
  spare_ = answer.next;
  const std::size_t table = builder_.GetSize();
  const std::size_t padded = round_up(table, std::size_t{8});
  header.table_bytes = static_cast<std::uint32_t>(padded);
  answer.head.assign(proto::kMessageHeaderBytes + padded, std::byte{0});
  std::ranges::copy(proto::encode(header), answer.head.begin());
  if (table > 0) {
    std::memcpy(answer.head.data() + proto::kMessageHeaderBytes, builder_.GetBufferPointer(),
                table);
  }
  builder_.Clear();
  answer.message = {};
  answer.message.parts[0] = answer.head;
  answer.message.part_count = 1;
  answer.message.done = &Answers::on_done;
  answer.message.context = &answer;
  return answer;
}

Answer& Answers::fail(std::uint64_t request, std::uint64_t map_epoch, const Failing& failing) {
  flatbuffers::FlatBufferBuilder& builder = table();
  const std::string_view said = failing.text.empty() ? penstock::text(failing.code) : failing.text;
  const auto words = builder.CreateString(said.data(), said.size());
  const auto kinesis = builder.CreateString(failing.kinesis.data(), failing.kinesis.size());
  builder.Finish(proto::CreateFailure(builder, static_cast<std::uint32_t>(failing.code), words,
                                      failing.retry_after_ms, failing.record, failing.from,
                                      failing.next, kinesis));
  return make({.kind = proto::MessageKind::kFailed, .request = request, .map_epoch = map_epoch});
}

void Answers::attach(Answer& answer, base::PoolBuffer buffer, std::size_t bytes) {
  PENSTOCK_ASSERT(!answer.attachment);
  PENSTOCK_ASSERT(bytes <= buffer.bytes);
  answer.attachment = buffer;
  if (bytes == 0) return;
  answer.message.parts[1] = {reinterpret_cast<const std::byte*>(buffer.data), bytes};
  answer.message.part_count = 2;
}

void Answers::count(Answer& answer, std::size_t& owed) {
  PENSTOCK_ASSERT(answer.owed == nullptr);
  answer.owed = &owed;
  owed += answer.head.size();
}

void Answers::give_back(Answer& answer) {
  if (answer.owed != nullptr) *answer.owed -= answer.head.size();
  answer.owed = nullptr;
  attachments_.give(answer.attachment);
  answer.next = spare_;
  spare_ = &answer;
}

void Answers::on_done(transport::OutgoingMessage& message, bool) {
  auto& answer = *static_cast<Answer*>(message.context);
  answer.home->give_back(answer);
}

}  // namespace penstock::net
