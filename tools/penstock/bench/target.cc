#include "bench/target.h"

#include "bench/others.h"

#include <utility>

namespace penstock::tools::bench {

std::vector<pid_t> local_listeners(const std::string& host, std::uint16_t port) {
  const bool local = host == "localhost" || host == "::1" || host.starts_with("127.");
  return local ? listeners(port) : std::vector<pid_t>();
}

Attempt<std::unique_ptr<Target>> open_target(const Session& session, const TargetChoice& choice) {
  if (choice.name.empty()) return native_target(session, choice);
  if (choice.name.starts_with("redis://")) return redis_target(choice.name);
  if (choice.name.starts_with("http://") || choice.name.starts_with("https://")) {
    return kinesis_target(session, choice);
  }
  return std::unexpected(
      usage_problem("that is no target")
          .found(choice.name)
          .needed("http://HOST:PORT or https://HOST:PORT, a Kinesis endpoint; redis://HOST:PORT; "
                  "without it, the native protocol of --endpoint"));
}

}  // namespace penstock::tools::bench
