#include "server/dev_files.h"

#include "server/certificate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <sys/stat.h>

namespace penstock::server {
namespace {

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Written aside and renamed, so that a crash leaves all of it or nothing.
std::expected<void, std::string> write_file(const std::string& path, std::string_view content,
                                            mode_t mode) {
  const std::string aside = path + ".new";
  const auto failed = [&](const char* step) {
    return std::unexpected(fmt::format("{} {}: {}", step, path, std::strerror(errno)));
  };
  const int fd = open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return failed("cannot create");
  const bool written =
      write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(fd) == 0;
  close(fd);
  if (!written) return failed("cannot write");
  if (rename(aside.c_str(), path.c_str()) != 0) return failed("cannot rename to");
  return {};
}

std::string random_text(env::Entropy& entropy, std::size_t length, std::string_view alphabet) {
  std::string out;
  while (out.size() < length) {
    std::array<std::byte, 64> bytes{};
    entropy.fill(bytes);
    for (const std::byte b : bytes) {
      const auto value = std::to_integer<std::size_t>(b);
      // Values beyond the last whole multiple would favour the first letters.
      if (value < 256 / alphabet.size() * alphabet.size() && out.size() < length) {
        out += alphabet[value % alphabet.size()];
      }
    }
  }
  return out;
}

std::expected<void, std::string> make_credentials(const std::string& path,
                                                  const std::string& region,
                                                  env::Entropy& entropy) {
  const std::string id = "PSTK" + random_text(entropy, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
  const std::string secret =
      random_text(entropy, 40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
  return write_file(path,
                    fmt::format("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
                                "region = {}\n",
                                id, secret, region),
                    0600);
}

}  // namespace

std::expected<ServerFiles, std::string> prepare_files(
    const std::string& directory, const std::string& region, const std::string& credentials_file,
    const std::string& certificate_file, const std::string& key_file, env::Entropy& entropy) {
  ServerFiles files;
  files.credentials = credentials_file.empty() ? directory + "/credentials" : credentials_file;
  if (!exists(files.credentials)) {
    if (!credentials_file.empty()) {
      return std::unexpected(fmt::format("there is no credentials file {}", credentials_file));
    }
    if (auto made = make_credentials(files.credentials, region, entropy); !made) {
      return std::unexpected(made.error());
    }
  }
  if (!certificate_file.empty()) {
    files.certificate = certificate_file;
    files.key = key_file;
    files.ca = certificate_file;
  } else {
    files.ca = directory + "/ca.pem";
    files.certificate = directory + "/server.pem";
    files.key = directory + "/server-key.pem";
    // The authority's key is not kept: it signs once.
    if (!exists(files.ca) || !exists(files.certificate) || !exists(files.key)) {
      auto made = make_certificates(entropy);
      if (!made) return std::unexpected(made.error());
      for (const auto& [path, pem, mode] :
           {std::tuple{&files.key, &made->server_key, mode_t{0600}},
            std::tuple{&files.certificate, &made->server_chain, mode_t{0644}},
            std::tuple{&files.ca, &made->authority, mode_t{0644}}}) {
        if (auto written = write_file(*path, *pem, mode); !written) {
          return std::unexpected(written.error());
        }
      }
    }
  }
  const std::string token_path = directory + "/token.key";
  if (!exists(token_path)) {
    entropy.fill(files.token_key);
    const std::string_view raw(reinterpret_cast<const char*>(files.token_key.data()),
                               files.token_key.size());
    if (auto written = write_file(token_path, raw, 0600); !written) {
      return std::unexpected(written.error());
    }
    return files;
  }
  std::ifstream in(token_path, std::ios::binary);
  in.read(reinterpret_cast<char*>(files.token_key.data()),
          static_cast<std::streamsize>(files.token_key.size()));
  if (in.gcount() != static_cast<std::streamsize>(files.token_key.size())) {
    return std::unexpected(fmt::format("{} is not a token key of 32 bytes", token_path));
  }
  return files;
}

std::expected<void, std::string> write_client_config(const std::string& directory,
                                                     const std::string& region,
                                                     const std::string& endpoint_url) {
  const std::string path = directory + "/config";
  std::error_code failed;
  const auto ca = std::filesystem::canonical(directory + "/ca.pem", failed);
  if (failed) return std::unexpected(fmt::format("no {}/ca.pem: {}", directory, failed.message()));
  const std::string content = fmt::format(
      "# Where penstockd --dev listens; written again at its start when that changes.\n"
      "[default]\nregion = {}\nendpoint_url = {}\nca_bundle = {}\n",
      region, endpoint_url, ca.string());
  std::ifstream in(path);
  const std::string present((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (present == content) return {};
  return write_file(path, content, 0644);
}

std::expected<std::vector<http::Credential>, std::string> read_credentials(
    const std::string& path) {
  std::ifstream in(path);
  if (!in) return std::unexpected(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  std::vector<http::Credential> found;
  http::Credential current;
  const auto keep = [&] {
    if (!current.access_key_id.empty() && !current.secret_access_key.empty()) {
      found.push_back(current);
    }
    current = {};
  };
  const auto trimmed = [](std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
      text.remove_suffix(1);
    }
    return text;
  };
  for (std::string line; std::getline(in, line);) {
    const std::string_view text = trimmed(line);
    if (text.starts_with('[')) {
      keep();
      continue;
    }
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || text.starts_with('#')) continue;
    const std::string_view name = trimmed(text.substr(0, equals));
    const std::string_view value = trimmed(text.substr(equals + 1));
    if (name == "aws_access_key_id") current.access_key_id = value;
    if (name == "aws_secret_access_key") current.secret_access_key = value;
    if (name == "aws_session_token") current.session_token = value;
  }
  keep();
  if (found.empty()) {
    return std::unexpected(
        fmt::format("{} has no profile with aws_access_key_id and aws_secret_access_key", path));
  }
  return found;
}

}  // namespace penstock::server
