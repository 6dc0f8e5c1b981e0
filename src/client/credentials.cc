#include "client/credentials.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace penstock::client {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool names_profile(std::string_view heading, std::string_view profile) {
  constexpr std::string_view kPrefix = "profile ";
  if (heading.starts_with(kPrefix)) heading = trimmed(heading.substr(kPrefix.size()));
  return heading == profile;
}

}  // namespace

Outcome<std::optional<ProfileSection>> parse_profile(std::string_view text,
                                                     std::string_view profile,
                                                     std::string_view name) {
  std::optional<ProfileSection> section;
  bool inside = false;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const auto newline = text.find('\n');
    const std::string_view raw = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      if (line.back() != ']') {
        return failed(FailureKind::kLocal,
                      fmt::format("{}:{}: a section's heading has no ']'", name, number));
      }
      inside = names_profile(trimmed(line.substr(1, line.size() - 2)), profile);
      if (inside && !section) section.emplace();
      continue;
    }
    // Indented lines belong to nested settings (`s3 =`), which are none of ours.
    if (!inside || raw.front() == ' ' || raw.front() == '\t') continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) {
      return failed(FailureKind::kLocal,
                    fmt::format("{}:{}: this line is not `key = value`", name, number));
    }
    (*section)[std::string(trimmed(line.substr(0, equals)))] = trimmed(line.substr(equals + 1));
  }
  return section;
}

Outcome<std::optional<ProfileSection>> read_profile(const std::string& path,
                                                    std::string_view profile) {
  errno = 0;
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return failed(FailureKind::kLocal,
                  fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return parse_profile(text.str(), profile, path);
}

std::optional<Credentials> credentials_of(const ProfileSection& section) {
  const auto value = [&](std::string_view key) {
    const auto found = section.find(key);
    return found == section.end() ? std::string() : found->second;
  };
  Credentials credentials{value("aws_access_key_id"), value("aws_secret_access_key"),
                          value("aws_session_token")};
  if (credentials.access_key.empty() || credentials.secret_key.empty()) return std::nullopt;
  return credentials;
}

}  // namespace penstock::client
