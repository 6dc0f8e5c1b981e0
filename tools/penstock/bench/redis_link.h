// One connection to a Redis server, and commands on it, one at a time.
//
// Owner      one thread
// Errors     a problem that says what was being done: no connection, or what Redis answered
// Source     Redis serialization protocol 2 (RESP2); libhiredis
#pragma once

#include "problem.h"

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

struct redisContext;
struct redisReply;

namespace penstock::tools::bench {

struct RedisAddress {
  std::string host;
  std::uint16_t port = 6379;
  // "redis://host:port" or "redis://host".
  [[nodiscard]] static Attempt<RedisAddress> parse(const std::string& url);
  [[nodiscard]] std::string url() const;
};

class RedisLink {
 public:
  struct FreeReply {
    void operator()(redisReply* reply) const;
  };
  using Reply = std::unique_ptr<redisReply, FreeReply>;

  [[nodiscard]] static Attempt<RedisLink> connect(const RedisAddress& address);
  [[nodiscard]] Attempt<Reply> command(std::initializer_list<std::string_view> words);
  [[nodiscard]] redisContext* context() { return context_.get(); }

 private:
  struct FreeContext {
    void operator()(redisContext* context) const;
  };
  explicit RedisLink(redisContext* context) : context_(context) {}
  std::unique_ptr<redisContext, FreeContext> context_;
};

[[nodiscard]] Problem redis_problem(std::string what, std::string found);
// The text of a reply that is one.
[[nodiscard]] std::string_view text_of(const redisReply& reply);
// "*2\r\n$4\r\nPING\r\n…": a command as it is sent, behind what `out` holds.
void append_command(std::string& out, std::initializer_list<std::string_view> words);

}  // namespace penstock::tools::bench
