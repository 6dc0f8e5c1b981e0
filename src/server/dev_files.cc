#include "server/dev_files.h"

#include "server/certificate.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
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

std::string failure(const char* step, const std::string& path) {
  return fmt::format("{} {}: {}", step, path, std::strerror(errno));
}

std::string aside(const std::string& path) { return path + ".new"; }

std::string parent(const std::string& path) {
  const auto directory = std::filesystem::path(path).parent_path();
  return directory.empty() ? "." : directory.string();
}

std::expected<void, std::string> write_aside(const std::string& path, std::string_view content,
                                             mode_t mode) {
  const int fd = open(aside(path).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return std::unexpected(failure("cannot create", path));
  const bool written =
      write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(fd) == 0;
  close(fd);
  if (!written) return std::unexpected(failure("cannot write", path));
  return {};
}

std::expected<void, std::string> put_in_place(const std::string& path) {
  if (rename(aside(path).c_str(), path.c_str()) == 0) return {};
  return std::unexpected(failure("cannot rename to", path));
}

// Written aside and renamed, so that a crash leaves all of it or nothing; and there after a power cut.
std::expected<void, std::string> write_file(const std::string& path, std::string_view content,
                                            mode_t mode) {
  if (auto written = write_aside(path, content, mode); !written) return written;
  if (auto placed = put_in_place(path); !placed) return placed;
  return sync_directory(parent(path));
}

struct NewFile {
  const std::string* path;
  std::string_view content;
  mode_t mode;
};

// Files that are worth nothing without each other. All are on stable media before the first is put in
// place: what a power cut leaves is none of them in place, or what `finish_set` completes.
std::expected<void, std::string> write_set(const std::string& directory,
                                           std::span<const NewFile> files) {
  for (const NewFile& file : files) {
    if (auto written = write_aside(*file.path, file.content, file.mode); !written) return written;
  }
  if (auto synced = sync_directory(directory); !synced) return synced;
  for (const NewFile& file : files) {
    if (auto placed = put_in_place(*file.path); !placed) return placed;
  }
  return sync_directory(directory);
}

std::vector<std::string> missing(const std::vector<std::string>& paths) {
  std::vector<std::string> found;
  std::ranges::copy_if(paths, std::back_inserter(found),
                       [](const std::string& path) { return !exists(path); });
  return found;
}

std::expected<void, std::string> finish_set(const std::string& directory,
                                            const std::vector<std::string>& paths) {
  const std::vector<std::string> absent = missing(paths);
  if (absent.empty() || absent.size() == paths.size()) return {};
  if (!std::ranges::all_of(absent, [](const auto& path) { return exists(aside(path)); })) return {};
  for (const std::string& path : absent) {
    if (auto placed = put_in_place(path); !placed) return placed;
  }
  return sync_directory(directory);
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

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Under the same authority, so that clients need nothing new.
std::expected<void, FileProblem> renew_if_due(ServerFiles& files, env::Entropy& entropy,
                                              std::int64_t now) {
  const auto validity = validity_of(content_of(files.certificate));
  if (!validity) return std::unexpected(files.certificate + ": " + validity.error());
  const std::string_view due = renewal_reason(*validity, now);
  if (due.empty()) return {};
  if (!exists(files.ca_key)) {
    files.warning = fmt::format(
        "{}: {}, and the key of its authority was not kept; make a new authority, whose ca.pem "
        "every "
        "client needs: stop penstockd, rm -f {} {} {}, and start it",
        files.certificate, due, files.ca, files.certificate, files.key);
    return {};
  }
  const auto fresh = renew_certificate(content_of(files.ca), content_of(files.ca_key),
                                       content_of(files.key), entropy, now);
  if (!fresh) {
    files.warning = fmt::format("{}: {}, but: {}", files.certificate, due, fresh.error());
    return {};
  }
  if (auto written = write_file(files.certificate, *fresh, 0644); !written) {
    return std::unexpected(written.error());
  }
  files.renewed = due;
  return {};
}

std::expected<void, FileProblem> prepare_certificates(const std::string& directory,
                                                      ServerFiles& files, env::Entropy& entropy,
                                                      std::int64_t now) {
  // ca.pem last: who has that can have been given it.
  const std::vector<std::string> set = {files.key, files.ca_key, files.certificate, files.ca};
  if (auto finished = finish_set(directory, set); !finished) {
    return std::unexpected(finished.error());
  }
  const std::vector<std::string> absent = missing(set);
  if (absent.size() == set.size()) {
    auto made = make_certificates(entropy, now);
    if (!made) return std::unexpected(made.error());
    const std::array<NewFile, 4> fresh = {{{&files.key, made->server_key, 0600},
                                           {&files.ca_key, made->authority_key, 0600},
                                           {&files.certificate, made->server_chain, 0644},
                                           {&files.ca, made->authority, 0644}}};
    if (auto written = write_set(directory, fresh); !written) {
      return std::unexpected(written.error());
    }
    return {};
  }
  // The first directories that were made kept no key of the authority; they are served.
  if (absent.empty() || absent == std::vector{files.ca_key}) {
    return renew_if_due(files, entropy, now);
  }
  // Clients trust the authority they were given: a new one would shut all of them out.
  return std::unexpected(FileProblem(
      fmt::format("{} missing, though the rest of the certificate's files is there",
                  fmt::join(absent, " and ")),
      fmt::format(
          "restore it from a backup; or for a new authority, whose ca.pem every client needs: "
          "rm -f {}",
          fmt::join(set, " "))));
}

}  // namespace

std::expected<void, std::string> sync_directory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(failure("cannot open", directory));
  const bool synced = fsync(fd) == 0;
  close(fd);
  if (!synced) return std::unexpected(failure("cannot sync", directory));
  return {};
}

std::expected<ServerFiles, FileProblem> prepare_files(const std::string& directory,
                                                      const std::string& region,
                                                      const std::string& credentials_file,
                                                      const std::string& certificate_file,
                                                      const std::string& key_file,
                                                      env::Entropy& entropy, WallMillis now) {
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
    files.ca_key = directory + "/ca-key.pem";
    files.certificate = directory + "/server.pem";
    files.key = directory + "/server-key.pem";
    if (auto made = prepare_certificates(directory, files, entropy, now.raw() / 1'000); !made) {
      return std::unexpected(made.error());
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

std::expected<std::vector<proto::Credential>, std::string> read_credentials(
    const std::string& path) {
  std::ifstream in(path);
  if (!in) return std::unexpected(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  std::vector<proto::Credential> found;
  proto::Credential current;
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
