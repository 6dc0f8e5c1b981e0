// From bytes to a request: head, body, and on to the service.
#include "base/assert.h"
#include "http/connection.h"

#include <algorithm>
#include <cstring>

namespace penstock::http {

void Connection::next_request(Nanos now) {
  // What the peer has sent already of its next request moves to the front.
  const std::size_t ahead = filled_ - surplus_;
  char* const begin = ahead <= kSmallHeadBytes ? small_head_ : head_data();
  std::memmove(begin, head_data() + surplus_, ahead);
  if (begin == small_head_) shared_.pool.give(large_head_);
  filled_ = ahead;
  surplus_ = 0;
  parser_.reset();
  interim_ = false;
  state_ = State::kHead;
  if (ahead == 0) {
    shared_.deadlines.arm(deadline_, DeadlineKind::kIdle, now);
    return want_input(now);
  }
  shared_.deadlines.arm(deadline_, DeadlineKind::kHead, now);
  read_head(now);
}

void Connection::read_head(Nanos now) {
  switch (parser_.parse({head_data(), filled_})) {
    case HeadParser::Status::kRefused:
      return refuse(parser_.rejection(), now);
    case HeadParser::Status::kDone:
      return begin_body(now);
    case HeadParser::Status::kNeedMore:
      if (filled_ >= head_room() && !grow_head()) return refuse(Rejection::kOverloaded, now);
      return want_input(now);
  }
}

bool Connection::grow_head() {
  PENSTOCK_ASSERT(!large_head_);
  base::PoolBuffer grown = shared_.pool.take(kLargeBytes);
  if (!grown) return false;
  std::memcpy(grown.data, small_head_, filled_);
  large_head_ = grown;
  return true;
}

void Connection::begin_body(Nanos now) {
  const RequestHead& head = parser_.head();
  const std::size_t head_bytes = parser_.head_bytes();
  closing_ = !head.keep_alive;
  if (head.content_length > shared_.options.body_bytes_max) {
    return refuse(Rejection::kBodyTooLarge, now);
  }
  sha_.reset();
  body_bytes_ = 0;
  interim_ = head.expects_continue;
  surplus_ = head_bytes;
  if (head.chunked) {
    chunks_.reset();
    body_wanted_ = kChunkedStartBytes;
  } else if (head.content_length <= head_capacity() - head_bytes) {
    body_data_ = head_data() + head_bytes;
    return start_body(now);
  } else {
    body_wanted_ = first_reservation(head.content_length) + kPadding;
  }
  if (!take_body_memory()) return wait_for_memory(now);
  start_body(now);
}

// The finisher's body does not count: it is what may go beyond the budget.
bool Connection::fits_beside_finisher(std::size_t bytes, std::uint64_t spared) const {
  const Connection* const finisher = shared_.finisher;
  const std::size_t beyond = finisher == nullptr ? 0 : finisher->body_buffer_.bytes;
  return shared_.pool.has_room(bytes, body_buffer_.bytes + beyond, spared);
}

std::size_t Connection::first_reservation(std::size_t length) const {
  const FrontDoorOptions& options = shared_.options;
  const std::size_t whole = std::min<std::size_t>(length, options.body_whole_bytes);
  const bool plenty = fits_beside_finisher(whole + kPadding, shared_.pool.budget() / 2);
  return plenty ? whole : std::min<std::size_t>(length, options.body_step_bytes);
}

bool Connection::take_body_memory() {
  // The last quarter is for bodies of usual size, whatever the large ones do.
  const bool large = body_wanted_ > shared_.options.body_whole_bytes + kPadding;
  const std::uint64_t spared = large ? shared_.pool.budget() / 4 : 0;
  if (shared_.finisher != this && !fits_beside_finisher(body_wanted_, spared)) {
    if (!body_buffer_ || shared_.finisher != nullptr) return false;
    shared_.finisher = this;
  }
  base::PoolBuffer grown = shared_.pool.take_regardless(body_wanted_);
  if (body_buffer_) std::memcpy(grown.data, body_buffer_.data, body_bytes_);
  shared_.pool.give(body_buffer_);
  body_buffer_ = grown;
  body_data_ = grown.data;
  return true;
}

void Connection::give_body() {
  shared_.pool.give(body_buffer_);
  if (shared_.finisher == this) shared_.finisher = nullptr;
}

void Connection::wait_for_memory(Nanos now) {
  state_ = State::kMemory;
  ++shared_.counters.memory_waits;
  shared_.deadlines.arm(deadline_, DeadlineKind::kMemory, now);
  shared_.memory_wanted.push_back(memory_entry_);
}

bool Connection::grant_memory(Nanos now) {
  PENSTOCK_ASSERT(state_ == State::kMemory);
  if (!take_body_memory()) return false;
  shared_.memory_wanted.remove(memory_entry_);
  start_body(now);
  return true;
}

void Connection::restart_body_time(Nanos now) {
  const FrontDoorOptions& options = shared_.options;
  shared_.deadlines.arm(deadline_, DeadlineKind::kBody, now);
  body_due_ =
      options.body_rate_min * static_cast<std::uint64_t>(options.body_nanos / kNanosPerSecond);
}

// From the head's end, or from where it had to wait for memory.
void Connection::start_body(Nanos now) {
  state_ = State::kBody;
  restart_body_time(now);
  if (parser_.head().chunked) return read_chunks(now);
  take_ahead();
  continue_body(now);
}

// How much of the body its memory holds.
std::size_t Connection::body_room() const {
  const std::size_t length = parser_.head().content_length;
  return body_buffer_ ? std::min<std::size_t>(length, body_buffer_.bytes - kPadding) : length;
}

// What came together with the head.
void Connection::take_ahead() {
  const std::size_t bytes = std::min(filled_ - surplus_, body_room() - body_bytes_);
  if (bytes == 0) return;
  if (body_buffer_) std::memcpy(body_data_ + body_bytes_, head_data() + surplus_, bytes);
  sha_.update(body_data_ + body_bytes_, bytes);
  body_bytes_ += bytes;
  surplus_ += bytes;
}

void Connection::continue_body(Nanos now) {
  const std::size_t length = parser_.head().content_length;
  while (body_bytes_ < length && body_bytes_ == body_room()) {
    body_wanted_ = std::min<std::size_t>(2 * body_buffer_.bytes, length + kPadding);
    if (!take_body_memory()) return wait_for_memory(now);
    take_ahead();
  }
  if (body_bytes_ == length) return serve(now);
  want_body(now);
}

void Connection::read_body(std::size_t bytes, Nanos now) {
  if (parser_.head().chunked) {
    filled_ += bytes;
    return read_chunks(now);
  }
  sha_.update(body_data_ + body_bytes_, bytes);
  body_bytes_ += bytes;
  if (!body_buffer_) surplus_ = filled_ += bytes;
  continue_body(now);
}

void Connection::read_chunks(Nanos now) {
  const std::uint64_t bytes_max = shared_.options.body_bytes_max;
  while (true) {
    const std::size_t room =
        std::min<std::size_t>(body_buffer_.bytes - kPadding, bytes_max) - body_bytes_;
    const ChunkDecoder::Step step = chunks_.decode({head_data() + surplus_, filled_ - surplus_},
                                                   body_data_ + body_bytes_, room);
    sha_.update(body_data_ + body_bytes_, step.written);
    body_bytes_ += step.written;
    surplus_ += step.taken;
    switch (step.status) {
      case ChunkDecoder::Status::kBad:
        return refuse(Rejection::kMalformed, now);
      case ChunkDecoder::Status::kDone:
        return serve(now);
      case ChunkDecoder::Status::kNeedMore:
        // Decoded to the last byte: the room behind the head is free again.
        surplus_ = filled_ = parser_.head_bytes();
        return want_body(now);
      case ChunkDecoder::Status::kOutFull:
        if (body_bytes_ == bytes_max) return refuse(Rejection::kBodyTooLarge, now);
        body_wanted_ = std::min<std::size_t>(2 * body_buffer_.bytes, bytes_max + kPadding);
        if (!take_body_memory()) return wait_for_memory(now);
    }
  }
}

void Connection::serve(Nanos now) {
  const RequestHead& head = parser_.head();
  interim_ = false;
  ++shared_.counters.requests;
  method = head.method;
  target = head.target;
  headers = head.headers();
  body = {body_data_, body_bytes_};
  const proto::Sha256Digest digest = sha_.finish();
  std::copy(digest.begin(), digest.end(), body_sha256);
  received = now;
  room_due_ = false;
  if (!shared_.service_wanted.empty() || !has_room(0)) return wait_for_room(0, now);
  hand_over(now);
}

void Connection::hand_over(Nanos now) {
  state_ = State::kServing;
  shared_.deadlines.disarm(deadline_);
  shared_.service.handle(*this, now, shared_.wall);
}

bool Connection::has_room(std::size_t bytes) const {
  if (bytes == 0) return shared_.answers.has_room(1);
  return response_.has_room(bytes, shared_.answers.budget() / 4);
}

// Many small answers instead of a few large ones, once some have to wait: more peers are served at
// once, and one that takes nothing holds less.
std::size_t Connection::reserve_answer(std::size_t least, std::size_t most, Nanos now) {
  PENSTOCK_ASSERT(state_ == State::kServing);
  PENSTOCK_ASSERT(least > 0);
  PENSTOCK_ASSERT(least <= most);
  const bool others_wait = !shared_.room_wanted.empty();
  const bool in_turn = room_due_ || !others_wait;
  const std::size_t bytes = !others_wait && has_room(most) ? most : least;
  if (!in_turn || !has_room(bytes)) {
    wait_for_room(least, now);
    return 0;
  }
  (void)response_.reserve(bytes);
  return bytes;
}

void Connection::wait_for_room(std::size_t bytes, Nanos now) {
  state_ = State::kRoom;
  room_wanted_ = bytes;
  ++shared_.counters.answer_waits;
  shared_.deadlines.arm(deadline_, DeadlineKind::kMemory, now);
  shared_.room_wanted_bytes += Response::pool_bytes(bytes);
  (bytes == 0 ? shared_.service_wanted : shared_.room_wanted).push_back(memory_entry_);
}

void Connection::leave_room_queue() {
  shared_.room_wanted_bytes -= Response::pool_bytes(room_wanted_);
  (room_wanted_ == 0 ? shared_.service_wanted : shared_.room_wanted).remove(memory_entry_);
}

void Connection::grant_room(Nanos now) {
  PENSTOCK_ASSERT(state_ == State::kRoom);
  leave_room_queue();
  room_due_ = room_wanted_ > 0;
  hand_over(now);
}

}  // namespace penstock::http
