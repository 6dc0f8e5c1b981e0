#include "server/config.h"

#include "base/nearest.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <span>
#include <sstream>
#include <utility>

namespace penstock::server {
namespace {

// One key: its section, its name, what its value may be, and how it is taken over.
struct Key {
  std::string_view section;
  std::string_view name;
  std::string_view needed;
  bool (*take)(const toml::node& value, Config& config);
};

bool take_bool(const toml::node& value, bool& out) {
  const auto* b = value.as_boolean();
  if (b != nullptr) out = b->get();
  return b != nullptr;
}
bool take_string(const toml::node& value, std::string& out) {
  const auto* s = value.as_string();
  if (s != nullptr) out = s->get();
  return s != nullptr;
}
template <class Int>
bool take_int(const toml::node& value, Int& out, std::int64_t least, std::int64_t most) {
  const auto* i = value.as_integer();
  if (i == nullptr || i->get() < least || i->get() > most) return false;
  out = static_cast<Int>(i->get());
  return true;
}
template <class Int>
bool take_size(const toml::node& value, Int& out, std::uint64_t least, std::uint64_t most) {
  std::optional<std::uint64_t> bytes;
  if (const auto* s = value.as_string(); s != nullptr) bytes = parse_size(s->get());
  if (const auto* i = value.as_integer(); i != nullptr && i->get() >= 0) {
    bytes = static_cast<std::uint64_t>(i->get());
  }
  if (!bytes || *bytes < least || *bytes > most) return false;
  out = static_cast<Int>(*bytes);
  return true;
}
bool take_duration(const toml::node& value, std::int64_t& out, std::int64_t least,
                   std::int64_t most) {
  const auto* s = value.as_string();
  const auto nanos = s == nullptr ? std::nullopt : parse_duration(s->get());
  if (!nanos || *nanos < least || *nanos > most) return false;
  out = *nanos;
  return true;
}
bool take_address(const toml::node& value, Address& out) {
  const auto* s = value.as_string();
  if (s == nullptr) return false;
  const std::string& text = s->get();
  if (text == "off") {
    out.port = 0;
    return true;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return false;
  out.host = text.substr(0, colon);
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']') {
    out.host = out.host.substr(1, out.host.size() - 2);
  }
  out.port = port;
  return true;
}
bool take_cpus(const toml::node& value, std::vector<std::uint32_t>& out) {
  const auto* list = value.as_array();
  if (list == nullptr || list->empty() || list->size() > 64) return false;
  out.clear();
  for (const toml::node& element : *list) {
    std::uint32_t cpu = 0;
    if (!take_int(element, cpu, 0, 1023)) return false;
    if (std::ranges::find(out, cpu) != out.end()) return false;
    out.push_back(cpu);
  }
  return true;
}
bool take_digits(const toml::node& value, std::string& out) {
  return take_string(value, out) && out.size() == 12 &&
         std::ranges::all_of(out, [](char c) { return c >= '0' && c <= '9'; });
}

constexpr std::int64_t kDay = 86'400 * kNanosPerSecond;

constexpr Key kKeys[] = {
    {"node", "account", "12 digits in quotes",
     [](const toml::node& v, Config& c) { return take_digits(v, c.identity.account); }},
    {"node", "region", "a region name in quotes",
     [](const toml::node& v, Config& c) { return take_string(v, c.identity.region); }},
    {"data", "directory", "a path in quotes",
     [](const toml::node& v, Config& c) { return take_string(v, c.directory); }},
    {"data", "accept_not_durable", "true or false",
     [](const toml::node& v, Config& c) { return take_bool(v, c.accept_not_durable); }},
    {"data", "format_if_empty", "true or false",
     [](const toml::node& v, Config& c) { return take_bool(v, c.format_if_empty); }},
    {"cores", "data", "a list of different CPU numbers, such as [0, 2]",
     [](const toml::node& v, Config& c) { return take_cpus(v, c.data_cpus); }},
    {"cores", "service", "a CPU number",
     [](const toml::node& v, Config& c) { return take_int(v, c.service_cpu, 0, 1023); }},
    {"cores", "pin", "true or false",
     [](const toml::node& v, Config& c) { return take_bool(v, c.pin); }},
    {"cores", "idle", "\"wait\" or \"poll\"",
     [](const toml::node& v, Config& c) {
       std::string text;
       if (!take_string(v, text) || (text != "wait" && text != "poll")) return false;
       c.idle = text == "poll" ? Idle::kPoll : Idle::kWait;
       return true;
     }},
    {"journal", "cells", "1 to 64 (at format only)",
     [](const toml::node& v, Config& c) { return take_int(v, c.cells, 1, 64); }},
    {"journal", "slot_bytes", "32MiB to 1GiB (at format only)",
     [](const toml::node& v, Config& c) {
       return take_size(v, c.slot_bytes, 32 * kMiB, 1 * kGiB) && c.slot_bytes % kMiB == 0;
     }},
    {"journal", "size_min", "a size such as \"1GiB\"",
     [](const toml::node& v, Config& c) {
       return take_size(v, c.journal_size_min, 0, 1ULL << 50);
     }},
    {"journal", "size_max", "a size such as \"64GiB\"",
     [](const toml::node& v, Config& c) {
       return take_size(v, c.journal_size_max, 128 * kMiB, 1ULL << 50);
     }},
    {"journal", "blocks_in_flight", "1 to 8",
     [](const toml::node& v, Config& c) { return take_int(v, c.blocks_in_flight, 1, 8); }},
    {"journal", "fill_bytes_per_second", "a size such as \"256MiB\"",
     [](const toml::node& v, Config& c) {
       return take_size(v, c.fill_bytes_per_second, kMiB, 1ULL << 40);
     }},
    {"memory", "budget", "a size from \"256MiB\"",
     [](const toml::node& v, Config& c) {
       return take_size(v, c.memory_budget, 256 * kMiB, 1ULL << 44);
     }},
    {"kinesis", "https", "\"host:port\" or \"off\"",
     [](const toml::node& v, Config& c) { return take_address(v, c.https); }},
    {"kinesis", "http", "\"host:port\" or \"off\"",
     [](const toml::node& v, Config& c) { return take_address(v, c.http); }},
    {"kinesis", "certificate_file", "a path in quotes",
     [](const toml::node& v, Config& c) { return take_string(v, c.certificate_file); }},
    {"kinesis", "key_file", "a path in quotes",
     [](const toml::node& v, Config& c) { return take_string(v, c.key_file); }},
    {"kinesis", "credentials_file", "a path in quotes",
     [](const toml::node& v, Config& c) { return take_string(v, c.credentials_file); }},
    {"kinesis", "connections_max", "16 to 100000 (per data core)",
     [](const toml::node& v, Config& c) { return take_int(v, c.connections_max, 16, 100'000); }},
    {"native", "listen", "\"host:port\" or \"off\"",
     [](const toml::node& v, Config& c) { return take_address(v, c.native); }},
    {"native", "sessions_max", "16 to 100000 (per data core)",
     [](const toml::node& v, Config& c) { return take_int(v, c.sessions_max, 16, 100'000); }},
    {"native", "zero_copy_send", "true or false",
     [](const toml::node& v, Config& c) { return take_bool(v, c.zero_copy_send); }},
    {"admin", "listen", "\"host:port\" or \"off\"",
     [](const toml::node& v, Config& c) { return take_address(v, c.admin); }},
    {"limits", "shard", "\"kinesis\" or \"none\"",
     [](const toml::node& v, Config& c) {
       std::string text;
       if (!take_string(v, text) || (text != "kinesis" && text != "none")) return false;
       c.shard_limits = text == "none" ? route::ShardLimits{0, 0, 0, 0} : route::ShardLimits{};
       return true;
     }},
    {"limits", "shards_max", "1 to 65536",
     [](const toml::node& v, Config& c) { return take_int(v, c.shards_max, 1, 65'536); }},
    {"limits", "record_bytes_max", "1MiB to 10MiB",
     [](const toml::node& v, Config& c) {
       return take_size(v, c.record_bytes_max, 1 * kMiB, 10 * kMiB);
     }},
    {"limits", "put_deadline", "\"100ms\" to \"60s\"",
     [](const toml::node& v, Config& c) {
       return take_duration(v, c.put_deadline_ns, 100 * kNanosPerMilli, 60 * kNanosPerSecond);
     }},
    {"limits", "state", "\"0ms\" to \"24h\": how long CREATING, UPDATING, DELETING last",
     [](const toml::node& v, Config& c) { return take_duration(v, c.state_ns, 0, kDay); }},
};

std::string shown(const toml::node& node) {
  std::ostringstream out;
  node.visit([&out](const auto& n) { out << n; });
  std::string text = out.str();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

ConfigError error_at(std::string_view file, const toml::source_region& at) {
  ConfigError error;
  error.file = file;
  error.line = at.begin.line;
  error.column = at.begin.column;
  return error;
}

void unknown(std::string_view what, std::string_view name,
             std::span<const std::string_view> candidates, ConfigError error,
             std::vector<ConfigError>& errors) {
  const std::string_view near = base::nearest(name, candidates);
  error.what = fmt::format("unknown {}", what);
  error.found = name;
  error.needed = near.empty() ? fmt::format("one of {}", fmt::join(candidates, ", "))
                              : fmt::format("did you mean '{}'?", near);
  error.mend = "rename or remove it; deploy/penstock.toml lists every key";
  errors.push_back(std::move(error));
}

void take_section(const toml::table& table, std::string_view section, std::string_view file,
                  Config& config, std::vector<ConfigError>& errors) {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) {
    if (key.section == section) names.push_back(key.name);
  }
  for (const auto& [name, value] : table) {
    const auto key = std::ranges::find_if(
        kKeys, [&](const Key& k) { return k.section == section && k.name == name.str(); });
    if (key == std::end(kKeys)) {
      unknown(fmt::format("key in [{}]", section), name.str(), names, error_at(file, name.source()),
              errors);
    } else if (!key->take(value, config)) {
      ConfigError error = error_at(file, value.source());
      error.what = fmt::format("[{}] {} has a value that does not do", section, name.str());
      error.found = shown(value);
      error.needed = key->needed;
      error.mend = "correct the value, or remove the line for the default";
      errors.push_back(std::move(error));
    }
  }
}

bool overlap(const Address& a, const Address& b) {
  const auto all = [](const Address& one) { return one.host == "0.0.0.0" || one.host == "::"; };
  const auto may_be = [](const Address& one, const Address& other) {
    return one.host == "localhost" && other.loopback();
  };
  if (a.port == 0 || a.port != b.port) return false;
  return a.host == b.host || all(a) || all(b) || may_be(a, b) || may_be(b, a);
}

void check_together(const Config& config, std::string_view file, std::vector<ConfigError>& errors) {
  const auto complain = [&](std::string what, std::string found, std::string needed,
                            std::string mend) {
    errors.push_back({std::string(file), 0, 0, std::move(what), std::move(found), std::move(needed),
                      std::move(mend)});
  };
  if (config.journal_size_max < config.journal_size_min) {
    complain("[journal] size_max is below size_min", fmt::format("{}", config.journal_size_max),
             fmt::format("at least {}", config.journal_size_min),
             "raise size_max or lower size_min");
  }
  if (config.certificate_file.empty() != config.key_file.empty()) {
    complain("[kinesis] names a certificate without a key, or a key without a certificate",
             config.certificate_file.empty() ? "key_file alone" : "certificate_file alone",
             "both or neither", "set both, or remove both to have a certificate made");
  }
  if (config.cells < config.data_cpus.size()) {
    complain("[cores] data has more cores than [journal] cells",
             fmt::format("{} cores, {} cells", config.data_cpus.size(), config.cells),
             "at least one cell a core", "raise cells before the first start, or use fewer cores");
  }
  // The kernel would share one port among them, and give each connection to either.
  const std::pair<std::string_view, const Address*> listeners[] = {
      {"[kinesis] https", &config.https},
      {"[kinesis] http", &config.http},
      {"[native] listen", &config.native},
      {"[admin] listen", &config.admin}};
  for (const auto& one : listeners) {
    for (const auto& [name, address] : std::span(listeners, &one)) {
      if (!overlap(*address, *one.second)) continue;
      complain(fmt::format("{} and {} listen on the same port", name, one.first),
               fmt::format("{} and {}", address->text(), one.second->text()), "a port for each",
               "choose another, or set one to \"off\"");
    }
  }
  if (config.http.port != 0 && !config.http.loopback()) {
    complain("[kinesis] http would carry records unencrypted beyond this machine",
             config.http.text(), "a loopback address", "use https, or set http = \"off\"");
  }
  if (config.admin.port != 0 && !config.admin.loopback()) {
    complain("[admin] listen has no authentication yet", config.admin.text(), "a loopback address",
             "listen on 127.0.0.1 and reach it through a tunnel");
  }
}

}  // namespace

bool Address::loopback() const {
  return host == "::1" || host == "localhost" || host.starts_with("127.");
}

std::string Address::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

std::string ConfigError::text() const {
  std::string out =
      line == 0 ? fmt::format("error PS-4003: {}\n  in     {}\n", what, file)
                : fmt::format("error PS-4003: {}\n  in     {}:{}:{}\n", what, file, line, column);
  if (!found.empty()) out += fmt::format("  found  {}\n", found);
  if (!needed.empty()) out += fmt::format("  needed {}\n", needed);
  if (!mend.empty()) out += fmt::format("  mend   {}\n", mend);
  return out;
}

std::expected<Config, std::vector<ConfigError>> parse_config(std::string_view text,
                                                             std::string_view file) {
  std::vector<ConfigError> errors;
  Config config;
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& problem) {
    ConfigError error = error_at(file, problem.source());
    error.what = "this is not valid TOML";
    error.found = std::string(problem.description());
    error.mend = "correct the line; strings stand in quotes";
    return std::unexpected(std::vector{std::move(error)});
  }
  constexpr std::string_view kSections[] = {"node",    "data",   "cores", "journal", "memory",
                                            "kinesis", "native", "admin", "limits"};
  for (const auto& [name, value] : root) {
    if (std::ranges::find(kSections, name.str()) == std::end(kSections)) {
      unknown("section", name.str(), kSections, error_at(file, name.source()), errors);
    } else if (const toml::table* section = value.as_table(); section != nullptr) {
      take_section(*section, name.str(), file, config, errors);
    } else {
      ConfigError error = error_at(file, value.source());
      error.what = fmt::format("'{}' is a section, not a key", name.str());
      error.needed = fmt::format("[{}] with its keys below", name.str());
      errors.push_back(std::move(error));
    }
  }
  if (errors.empty()) check_together(config, file, errors);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return config;
}

Config dev_config(std::string_view directory, std::uint16_t port_base, bool limits_off,
                  std::uint32_t cpus) {
  Config config;
  config.directory = directory;
  config.data_cpus = {0};
  config.service_cpu = cpus > 1 ? 1 : 0;
  config.pin = cpus > 1;
  config.cells = 1;
  config.slot_bytes = 32 * kMiB;
  config.journal_size_min = 512 * kMiB;
  config.journal_size_max = 16 * kGiB;
  config.memory_budget = 512 * kMiB;
  config.connections_max = 512;
  config.https.port = port_base;
  config.http.port = static_cast<std::uint16_t>(port_base + 1);
  config.native.port = static_cast<std::uint16_t>(port_base + 2);
  config.admin.port = static_cast<std::uint16_t>(port_base + 3);
  if (limits_off) config.shard_limits = {0, 0, 0, 0};
  config.state_ns = 50 * kNanosPerMilli;
  return config;
}

namespace {
struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

std::optional<std::uint64_t> with_unit(std::string_view text, std::span<const Unit> units) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (suffix.starts_with(' ')) suffix.remove_prefix(1);
  for (const Unit& unit : units) {
    if (suffix == unit.suffix) {
      if (number > UINT64_MAX / unit.factor) return std::nullopt;
      return number * unit.factor;
    }
  }
  return std::nullopt;
}
}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  static constexpr Unit kUnits[] = {{"", 1},
                                    {"B", 1},
                                    {"KiB", kKiB},
                                    {"MiB", kMiB},
                                    {"GiB", kGiB},
                                    {"TiB", 1024 * kGiB},
                                    {"KB", 1'000},
                                    {"MB", 1'000'000},
                                    {"GB", 1'000'000'000},
                                    {"TB", 1'000'000'000'000}};
  return with_unit(text, kUnits);
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
  static constexpr Unit kUnits[] = {{"ns", 1},
                                    {"us", 1'000},
                                    {"ms", 1'000'000},
                                    {"s", 1'000'000'000},
                                    {"m", 60'000'000'000},
                                    {"h", 3'600'000'000'000},
                                    {"d", 86'400'000'000'000}};
  const auto nanos = with_unit(text, kUnits);
  if (!nanos || *nanos > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(*nanos);
}

}  // namespace penstock::server
