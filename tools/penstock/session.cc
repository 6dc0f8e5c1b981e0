#include "session.h"

#include "words.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <utility>

namespace penstock::tools {
namespace {

using client::ProfileSection;

constexpr const char* kDefaultEndpoint = "https://localhost:4567";

// Profile settings, those of the credentials file before those of the configuration file.
struct Profile {
  ProfileSection settings;
  std::string described;  // the files that were looked at

  [[nodiscard]] std::string operator[](std::string_view key) const {
    const auto found = settings.find(key);
    return found == settings.end() ? std::string() : found->second;
  }
};

std::string first_of(std::initializer_list<std::string> candidates) {
  for (const std::string& candidate : candidates) {
    if (!candidate.empty()) return candidate;
  }
  return {};
}

Attempt<Profile> read_files(const std::string& name, const std::vector<std::string>& paths,
                            const std::string& must_exist) {
  Profile profile;
  for (const std::string& path : paths) {
    if (path.empty()) continue;
    auto section = client::read_profile(path, name);
    if (!section)
      return std::unexpected(problem_of(section.error(), "the credentials cannot be read"));
    profile.described += (profile.described.empty() ? "" : ", ") + path;
    if (!*section && path == must_exist) {
      Problem problem{Exit::kUsage, kNumberNoCredentials, "the credentials cannot be read", {}};
      problem.found(fmt::format("{} does not exist, or has no section [{}]", path, name))
          .needed("[default] with aws_access_key_id and aws_secret_access_key")
          .mend("penstockd --dev DIR writes DIR/credentials when it first starts");
      return std::unexpected(std::move(problem));
    }
    if (*section) profile.settings.insert((*section)->begin(), (*section)->end());
  }
  return profile;
}

struct Sources {
  Profile profile;
  std::map<std::string, std::string> environment;  // empty under --dir: it says everything

  [[nodiscard]] std::string env(const std::string& name) const {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  }
};

Attempt<Sources> sources_of(const GlobalOptions& options, const Environment& environment) {
  Sources sources;
  if (!options.dir.empty()) {
    const std::string path = first_of({options.credentials, options.dir + "/credentials"});
    auto profile =
        read_files(first_of({options.profile, "default"}), {path, options.dir + "/config"}, path);
    if (!profile) return std::unexpected(std::move(profile.error()));
    sources.profile = std::move(*profile);
    return sources;
  }
  for (const char* name :
       {"AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_REGION",
        "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_PROFILE", "HOME"}) {
    if (const auto value = environment(name)) sources.environment[name] = *value;
  }
  const std::string home = sources.env("HOME");
  const auto in_home = [&](const char* file) { return home.empty() ? home : home + file; };
  const std::string named =
      first_of({options.credentials, sources.env("AWS_SHARED_CREDENTIALS_FILE")});
  const std::string profile_name =
      first_of({options.profile, sources.env("AWS_PROFILE"), "default"});
  auto profile = read_files(profile_name,
                            {first_of({named, in_home("/.aws/credentials")}),
                             first_of({sources.env("AWS_CONFIG_FILE"), in_home("/.aws/config")})},
                            options.credentials);
  if (!profile) return std::unexpected(std::move(profile.error()));
  sources.profile = std::move(*profile);
  // A credentials file given by hand goes before keys that happen to be in the environment.
  if (!options.credentials.empty()) {
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}) {
      sources.environment.erase(name);
    }
  }
  return sources;
}

std::optional<client::Credentials> keys_of(const Sources& sources) {
  client::Credentials keys{sources.env("AWS_ACCESS_KEY_ID"), sources.env("AWS_SECRET_ACCESS_KEY"),
                           sources.env("AWS_SESSION_TOKEN")};
  if (!keys.access_key.empty() && !keys.secret_key.empty()) return keys;
  return client::credentials_of(sources.profile.settings);
}

Problem no_credentials(const Sources& sources) {
  Problem problem{
      Exit::kDenied, kNumberNoCredentials, "there are no credentials to sign calls with", {}};
  problem.found(fmt::format("no keys in AWS_ACCESS_KEY_ID, nor in {}", sources.profile.described))
      .needed("an access key and its secret")
      .mend("--dir DIR, the data directory of penstockd --dev; or --credentials FILE");
  return problem;
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Attempt<client::ClientOptions> resolve(const GlobalOptions& options, const Environment& environment,
                                       std::string* ca_file) {
  auto sources = sources_of(options, environment);
  if (!sources) return std::unexpected(std::move(sources.error()));
  const Profile& profile = sources->profile;

  client::ClientOptions resolved;
  auto endpoint = client::Endpoint::parse(
      first_of({options.endpoint, sources->env("AWS_ENDPOINT_URL_KINESIS"),
                sources->env("AWS_ENDPOINT_URL"), profile["endpoint_url"], kDefaultEndpoint}));
  if (!endpoint) return std::unexpected(problem_of(endpoint.error(), "the endpoint is not usable"));
  resolved.endpoint = std::move(*endpoint);
  resolved.region = first_of({options.region, sources->env("AWS_REGION"),
                              sources->env("AWS_DEFAULT_REGION"), profile["region"], "us-east-1"});
  const auto timeout = parse_duration(options.timeout);
  if (!timeout || timeout->count() == 0) {
    return std::unexpected(usage_problem("--timeout is not a duration")
                               .found(options.timeout)
                               .needed("a number with its unit: 500ms, 10s, 2m"));
  }
  resolved.timeout = *timeout;
  auto keys = keys_of(*sources);
  if (!keys) return std::unexpected(no_credentials(*sources));
  resolved.credentials = std::move(*keys);
  // A daemon with a certificate of somebody else's has none.
  std::string from_dir = options.dir.empty() ? std::string() : options.dir + "/ca.pem";
  if (::access(from_dir.c_str(), F_OK) != 0) from_dir.clear();
  const std::string ca =
      first_of({options.ca, from_dir, sources->env("AWS_CA_BUNDLE"), profile["ca_bundle"]});
  if (ca_file != nullptr) *ca_file = ca;  // the native endpoint may be TLS where this one is not
  if (resolved.endpoint.tls) {
    auto tls = client::TlsContext::make(ca);
    if (!tls) return std::unexpected(problem_of(tls.error(), "TLS cannot be used"));
    resolved.tls = std::move(*tls);
  }
  return resolved;
}

Attempt<Session> Session::open(const GlobalOptions& options) {
  std::string ca_file;
  auto resolved = resolve(options, process_environment, &ca_file);
  if (!resolved) return std::unexpected(std::move(resolved.error()));
  return Session(std::move(*resolved), std::move(ca_file), options.native_endpoint);
}

}  // namespace penstock::tools
