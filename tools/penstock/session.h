// What every command shares: the global options, and the endpoint, keys and CA bundle they lead to.
//
// Order      each setting is the first of: its option; the data directory given by --dir; the
//            environment; the profile in the AWS credentials file, then in the configuration file; the
//            default
// Errors     problems that name the file or the option
#pragma once

#include "client/kinesis_client.h"
#include "problem.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace penstock::tools {

struct GlobalOptions {
  std::string endpoint;
  std::string ca;
  std::string region;
  std::string credentials;
  std::string profile;
  std::string dir;
  std::string output = "text";
  std::string timeout = "10s";
  [[nodiscard]] bool json() const { return output == "json"; }
};

// How the environment is asked; a test gives its own.
using Environment = std::function<std::optional<std::string>(const char* name)>;
[[nodiscard]] std::optional<std::string> process_environment(const char* name);

// Where the keys are, found out without the network.
[[nodiscard]] Attempt<client::ClientOptions> resolve(const GlobalOptions& options,
                                                     const Environment& environment);

class Session {
 public:
  [[nodiscard]] static Attempt<Session> open(const GlobalOptions& options);
  [[nodiscard]] client::KinesisClient client() const {
    return client::KinesisClient(client_options_);
  }
  [[nodiscard]] const client::ClientOptions& client_options() const { return client_options_; }

 private:
  explicit Session(client::ClientOptions options) : client_options_(std::move(options)) {}
  client::ClientOptions client_options_;
};

}  // namespace penstock::tools
