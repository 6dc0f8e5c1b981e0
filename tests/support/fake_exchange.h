// An exchange without a connection: a request put together by a test, and the answer as it was given.
//
// Owner      the test; a request may be sent again with `reset`
#pragma once

#include "http/exchange.h"
#include "proto/sha256.h"
#include "proto/sigv4.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::test {

// Grows like a connection's buffer: what is reserved is contiguous and stays until `clear`.
class FakeBody final : public http::ResponseBody {
 public:
  std::span<char> reserve(std::size_t bytes) override {
    if (bytes_.size() - used_ < bytes) bytes_.resize((used_ + bytes) * 2);
    return std::span(bytes_).subspan(used_);
  }
  void commit(std::size_t bytes) override { used_ += bytes; }
  [[nodiscard]] std::size_t size() const override { return used_; }
  void clear() override { used_ = 0; }
  [[nodiscard]] std::string_view text() const { return {bytes_.data(), used_}; }

 private:
  std::vector<char> bytes_;
  std::size_t used_ = 0;
};

class FakeExchange final : public http::Exchange {
 public:
  FakeExchange() = default;
  FakeExchange(const FakeExchange&) = delete;
  FakeExchange& operator=(const FakeExchange&) = delete;

  void set_header(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
    views_.clear();
    for (const auto& [field, text] : fields_) views_.push_back({field, text});
    headers = views_;
  }
  void set_body(std::string_view text) {
    constexpr std::size_t kPadding = 64;
    // Bytes behind the body that no reader may take for a part of it.
    bytes_.assign(text.size() + kPadding, 'A');
    std::copy(text.begin(), text.end(), bytes_.begin());
    body = std::span(bytes_).first(text.size());
    const proto::Sha256Digest hash = proto::sha256(text);
    std::copy(hash.begin(), hash.end(), body_sha256);
  }
  // As an AWS SDK does it.
  void sign(const proto::ClientCredentials& credentials, WallMillis wall) {
    proto::Signer signer;
    const proto::SignatureHeaders made = proto::sign_request(
        signer, credentials, method, target, headers, {body.data(), body.size()}, wall);
    set_header("X-Amz-Date", made.date_time);
    set_header("Authorization", made.authorization);
  }
  // Ready for the same request once more.
  void reset() {
    answered_ = false;
    status_ = 0;
    response_.clear();
  }

  std::size_t reserve_answer(std::size_t least, std::size_t most, Nanos) override {
    if (starved) return 0;
    reserved = scarce ? least : most;
    (void)response_.reserve(reserved);
    return reserved;
  }
  http::ResponseBody& response() override { return response_; }
  void respond(int status, std::string_view content_type, std::string_view extra_headers,
               Nanos) override {
    EXPECT_FALSE(answered_) << "answered twice";
    answered_ = true;
    status_ = status;
    content_type_.assign(content_type);
    extra_headers_.assign(extra_headers);
  }
  [[nodiscard]] bool abandoned() const override { return gone; }
  std::span<std::byte> service_storage() override { return storage_; }

  bool gone = false;         // the peer is
  bool starved = false;      // no room for answers: the test hands the exchange in again
  bool scarce = false;       // there is only the least room
  std::size_t reserved = 0;  // for the answer

  [[nodiscard]] bool answered() const { return answered_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::string_view text() const { return response_.text(); }
  [[nodiscard]] const std::string& content_type() const { return content_type_; }
  [[nodiscard]] const std::string& extra_headers() const { return extra_headers_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
  std::vector<http::Header> views_;
  std::vector<char> bytes_;
  FakeBody response_;
  alignas(64) std::byte storage_[kServiceBytes];
  bool answered_ = false;
  int status_ = 0;
  std::string content_type_;
  std::string extra_headers_;
};

}  // namespace penstock::test
