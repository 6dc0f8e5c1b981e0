// What a data directory needs so that clients can reach it: access keys, and a certificate of an own
// authority. Made once, at the first start, on stable media before anybody can be given them; never
// overwritten, but for the server's certificate when its time is over: its authority and its key stay.
// Under --dev also where it listens.
//
// Files      credentials, token.key, server-key.pem, ca-key.pem (0600); server.pem, ca.pem (0644)
//
// Errors     text of what failed, with path and reason; prepare_files: and what mends it
#pragma once

#include "env/entropy.h"
#include "http/sigv4_verify.h"
#include "penstock/units.h"

#include <array>
#include <cstddef>
#include <expected>
#include <string>
#include <utility>
#include <vector>

namespace penstock::server {

struct ServerFiles {
  std::string credentials;                // AWS shared credentials file, mode 0600
  std::string ca;                         // certificate of the authority that clients trust
  std::string ca_key;                     // mode 0600; signs the server's next certificate
  std::string certificate;                // chain of the server
  std::string key;                        // mode 0600
  std::array<std::byte, 32> token_key{};  // iterators and page tokens: <directory>/token.key
  std::string renewed;  // why the certificate was replaced at this start; empty: it was not
  std::string warning;  // why it should be, but could not, and what mends that
};

struct FileProblem {
  FileProblem(std::string the_found, std::string the_mend = {})  // a plain text is one, too
      : found(std::move(the_found)), mend(std::move(the_mend)) {}
  std::string found;
  std::string mend;  // empty: it is the path or its owner
};

// The paths below `directory`; files that are missing are made, but not some of the certificate's where
// others are there. `region` goes into the credentials.
// Paths given in the configuration are used as they are and must exist.
[[nodiscard]] std::expected<ServerFiles, FileProblem> prepare_files(
    const std::string& directory, const std::string& region, const std::string& credentials_file,
    const std::string& certificate_file, const std::string& key_file, env::Entropy& entropy,
    WallMillis now);

// <directory>/config: an AWS configuration file with region, address and CA bundle, for AWS_CONFIG_FILE
// and `penstock --dir`. Not in `credentials`, because endpoint_url and ca_bundle are settings of the
// configuration file (AWS SDKs and Tools Reference Guide). Written when it says something else: ports
// may change with every start.
[[nodiscard]] std::expected<void, std::string> write_client_config(const std::string& directory,
                                                                   const std::string& region,
                                                                   const std::string& endpoint_url);

// Makes the names in it outlive a power cut.
[[nodiscard]] std::expected<void, std::string> sync_directory(const std::string& directory);

// Every profile of a shared credentials file that has both an access key id and a secret.
[[nodiscard]] std::expected<std::vector<proto::Credential>, std::string> read_credentials(
    const std::string& path);

}  // namespace penstock::server
