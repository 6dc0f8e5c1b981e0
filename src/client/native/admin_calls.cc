#include "client/native/admin_calls.h"

#include <penstock_generated.h>

#include <algorithm>
#include <utility>

namespace penstock::client::native {

using proto::MessageKind;

static_assert(static_cast<int>(AdminOperation::kDecreaseRetention) ==
              static_cast<int>(proto::AdminOperation::DecreaseRetention));

AdminCalls::AdminCalls(Link& link) : link_(link) { link_.add(*this); }

AdminCalls::~AdminCalls() { link_.remove(*this); }

void AdminCalls::start(AdminCall call, AdminDone done, Nanos deadline, Nanos) {
  calls_.push_back({std::move(call), std::move(done), deadline});
  send_waiting();
}

void AdminCalls::on_open(Nanos) { send_waiting(); }

void AdminCalls::send_waiting() {
  if (!link_.open()) return;
  auto asked = static_cast<std::size_t>(
      std::ranges::count_if(calls_, [](const Call& call) { return call.request != 0; }));
  for (Call& waiting : calls_) {
    if (asked == kAskedMax) return;
    if (waiting.request != 0) continue;
    const AdminCall& call = waiting.call;
    flatbuffers::FlatBufferBuilder table;
    const auto stream = table.CreateString(call.stream);
    const auto after = table.CreateString(call.after);
    const proto::HashKey hash(call.hash.high, call.hash.low);
    table.Finish(proto::CreateAdmin(table, static_cast<proto::AdminOperation>(call.operation),
                                    stream, call.shard_count, call.shard, call.adjacent, &hash,
                                    call.hours, after));
    waiting.request = link_.request(MessageKind::kAdmin, table, *this);
    ++asked;
  }
}

void AdminCalls::finish(std::uint64_t request, Result<AdminAnswer> answer) {
  const auto at = std::ranges::find(calls_, request, &Call::request);
  if (at == calls_.end()) return;
  AdminDone done = std::move(at->done);
  calls_.erase(at);
  done(std::move(answer));
  send_waiting();
}

void AdminCalls::on_answer(std::uint64_t request, const proto::DecodedMessage& message, Nanos) {
  if (message.header.kind == MessageKind::kFailed) {
    const auto& failure = *flatbuffers::GetRoot<proto::Failure>(message.table.data());
    return finish(request, fail(static_cast<ErrorCode>(failure.code())));
  }
  if (message.header.kind != MessageKind::kAdminDone) {
    return finish(request, fail(ErrorCode::kUnsupported));
  }
  const auto& result = *flatbuffers::GetRoot<proto::AdminResult>(message.table.data());
  AdminAnswer answer;
  answer.more = result.more();
  if (result.streams() != nullptr) {
    for (const flatbuffers::String* name : *result.streams()) answer.streams.push_back(name->str());
  }
  finish(request, std::move(answer));
}

void AdminCalls::on_unanswered(std::uint64_t request, Nanos) {
  finish(request, fail(ErrorCode::kUnknownOutcome));
}

void AdminCalls::tick(Nanos now) {
  while (true) {
    const auto at =
        std::ranges::find_if(calls_, [now](const Call& call) { return now >= call.deadline; });
    if (at == calls_.end()) return;
    const bool asked = at->request != 0;
    if (asked) link_.forget(at->request);
    AdminDone done = std::move(at->done);
    calls_.erase(at);
    done(fail(asked ? ErrorCode::kUnknownOutcome : ErrorCode::kDeadline));
  }
}

void AdminCalls::stop() {
  for (Call& call : std::exchange(calls_, {})) {
    call.done(fail(call.request != 0 ? ErrorCode::kUnknownOutcome : ErrorCode::kStopping));
  }
}

Nanos AdminCalls::next_deadline() const {
  Nanos next{INT64_MAX};
  for (const Call& call : calls_) next = std::min(next, call.deadline);
  return next;
}

}  // namespace penstock::client::native
