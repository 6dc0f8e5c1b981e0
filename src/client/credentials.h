// Access keys and settings from where AWS tools look for them: the environment first, then the
// credentials file, then the configuration file.
//
// Shape      INI files: `[profile]` sections (`[profile NAME]` in the configuration file) of
//            `key = value` lines; comments begin with # or ;
// Errors     kLocal with the file's name and line
#pragma once

#include "client/failure.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::client {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none
};

// The keys of one section; nothing if the file has no such section.
using ProfileSection = std::map<std::string, std::string, std::less<>>;

// `name` is what an error calls the text.
[[nodiscard]] Outcome<std::optional<ProfileSection>> parse_profile(std::string_view text,
                                                                   std::string_view profile,
                                                                   std::string_view name);
// As above, of a file; a file that does not exist is no section.
[[nodiscard]] Outcome<std::optional<ProfileSection>> read_profile(const std::string& path,
                                                                  std::string_view profile);

// The section's keys, if it has both halves of one.
[[nodiscard]] std::optional<Credentials> credentials_of(const ProfileSection& section);

}  // namespace penstock::client
