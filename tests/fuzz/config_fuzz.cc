// Any text as a configuration: a configuration or errors that name a place, never a crash.
#include "server/config.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = penstock::server::parse_config(text, "fuzz.toml");
  if (!config) {
    if (config.error().empty()) std::abort();
    for (const penstock::server::ConfigError& error : config.error()) {
      if (error.text().empty()) std::abort();
    }
  }
  return 0;
}
