#include "bench/redis_link.h"

#include "base/loopback.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <charconv>
#include <iterator>
#include <sys/socket.h>
#include <sys/time.h>
#include <utility>

namespace penstock::tools::bench {
namespace {

constexpr timeval kConnectPatience{5, 0};
constexpr std::string_view kScheme = "redis://";

}  // namespace

Attempt<RedisAddress> RedisAddress::parse(const std::string& url) {
  RedisAddress address;
  std::string_view rest(url);
  rest.remove_prefix(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const auto colon = rest.rfind(':');
  address.host = rest.substr(0, colon);
  bool understood = !address.host.empty() && address.host.find_first_of("@/") == std::string::npos;
  if (colon != std::string_view::npos) {
    const std::string_view port = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    understood = understood && error == std::errc() && end == port.data() + port.size();
  }
  if (understood) return address;
  return std::unexpected(usage_problem("that is no target")
                             .found(url)
                             .needed("redis://HOST:PORT, without a password"));
}

std::string RedisAddress::url() const { return fmt::format("{}{}:{}", kScheme, host, port); }

void RedisLink::FreeReply::operator()(redisReply* reply) const { freeReplyObject(reply); }
void RedisLink::FreeContext::operator()(redisContext* context) const { redisFree(context); }

Problem redis_problem(std::string what, std::string found) {
  Problem problem{Exit::kFailed, number(ErrorCode::kSystem), std::move(what), {}};
  problem.found(std::move(found));
  return problem;
}

Attempt<RedisLink> RedisLink::connect(const RedisAddress& address) {
  RedisLink link(redisConnectWithTimeout(address.host.c_str(), address.port, kConnectPatience));
  if (link.context_ != nullptr && link.context_->err == 0) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    auto* at = reinterpret_cast<sockaddr*>(&peer);
    if (getpeername(link.context_->fd, at, &length) == 0) base::tune_for(link.context_->fd, *at);
    return link;
  }
  Problem problem{Exit::kUnreachable,
                  kNumberUnreachable,
                  fmt::format("{} cannot be reached", address.url()),
                  {}};
  problem.found(link.context_ == nullptr ? "no memory" : link.context_->errstr);
  problem.mend("redis-server --port PORT --appendonly yes --appendfsync always");
  return std::unexpected(std::move(problem));
}

Attempt<RedisLink::Reply> RedisLink::command(std::initializer_list<std::string_view> words) {
  std::string text;
  append_command(text, words);
  const std::string failing = fmt::format("Redis does not do {}", *words.begin());
  void* raw = nullptr;
  if (redisAppendFormattedCommand(context_.get(), text.data(), text.size()) != REDIS_OK ||
      redisGetReply(context_.get(), &raw) != REDIS_OK || raw == nullptr) {
    return std::unexpected(redis_problem(failing, context_->errstr));
  }
  Reply reply(static_cast<redisReply*>(raw));
  if (reply->type == REDIS_REPLY_ERROR) {
    return std::unexpected(redis_problem(failing, std::string(text_of(*reply))));
  }
  return reply;
}

std::string_view text_of(const redisReply& reply) {
  return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const std::string_view word : words) {
    fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
    out += word;
    out += "\r\n";
  }
}

}  // namespace penstock::tools::bench
