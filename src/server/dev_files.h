// What a data directory needs so that clients can reach it: access keys, and a certificate of an own
// authority. Made once, at the first start; never overwritten. Under --dev also where it listens.
//
// Errors     text of what failed, with path and reason
#pragma once

#include "env/entropy.h"
#include "http/sigv4_verify.h"

#include <array>
#include <cstddef>
#include <expected>
#include <string>
#include <vector>

namespace penstock::server {

struct ServerFiles {
  std::string credentials;                // AWS shared credentials file, mode 0600
  std::string ca;                         // certificate of the authority that clients trust
  std::string certificate;                // chain of the server
  std::string key;                        // mode 0600
  std::array<std::byte, 32> token_key{};  // iterators and page tokens: <directory>/token.key
};

// The paths below `directory`; files that are missing are made. `region` goes into the credentials.
// Paths given in the configuration are used as they are and must exist.
[[nodiscard]] std::expected<ServerFiles, std::string> prepare_files(
    const std::string& directory, const std::string& region, const std::string& credentials_file,
    const std::string& certificate_file, const std::string& key_file, env::Entropy& entropy);

// <directory>/config: an AWS configuration file with region, address and CA bundle, for AWS_CONFIG_FILE
// and `penstock --dir`. Not in `credentials`, because endpoint_url and ca_bundle are settings of the
// configuration file (AWS SDKs and Tools Reference Guide). Written when it says something else: ports
// may change with every start.
[[nodiscard]] std::expected<void, std::string> write_client_config(const std::string& directory,
                                                                   const std::string& region,
                                                                   const std::string& endpoint_url);

// Every profile of a shared credentials file that has both an access key id and a secret.
[[nodiscard]] std::expected<std::vector<http::Credential>, std::string> read_credentials(
    const std::string& path);

}  // namespace penstock::server
