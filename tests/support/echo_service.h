// A service that answers with what it was asked: method, target, and the body or its size. Requests
// for "/hold" wait until the test lets them go.
#pragma once

#include "http/exchange.h"

#include <deque>
#include <string>

namespace penstock::test {

class EchoService final : public http::Service {
 public:
  void handle(http::Exchange& exchange, Nanos now, WallMillis) override {
    ++handled;
    if (exchange.target.starts_with("/hold")) {
      held.push_back(&exchange);
    } else {
      answer(exchange, now);
    }
  }

  void let_go(Nanos now) {
    http::Exchange* const exchange = held.front();
    held.pop_front();
    answer(*exchange, now);
  }

  static void answer(http::Exchange& exchange, Nanos now) {
    http::ResponseBody& out = exchange.response();
    if (exchange.target.starts_with("/large")) {
      for (int i = 0; i < 10'000; ++i) out.append("0123456789abcdef0123456789abcdef");
    } else {
      out.append(exchange.method);
      out.append(" ");
      out.append(exchange.target);
      const std::string_view body(exchange.body.data(), exchange.body.size());
      if (!body.empty()) {
        out.append(" ");
        if (body.size() <= 100) {
          out.append(body);
        } else {
          char text[32];
          out.append({text, static_cast<std::size_t>(
                                std::snprintf(text, sizeof text, "%zu bytes", body.size()))});
        }
      }
    }
    exchange.respond(200, "text/plain", "x-served: yes\r\n", now);
  }

  std::deque<http::Exchange*> held;
  std::size_t handled = 0;
};

}  // namespace penstock::test
