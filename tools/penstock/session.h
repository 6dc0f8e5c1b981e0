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
  std::string native_endpoint;  // empty: beside the endpoint
  [[nodiscard]] bool json() const { return output == "json"; }
};

// How the environment is asked; a test gives its own.
using Environment = std::function<std::optional<std::string>(const char* name)>;
[[nodiscard]] std::optional<std::string> process_environment(const char* name);

// Where the keys are, found out without the network. `ca_file`, where it is not null, gets the CA bundle's name.
[[nodiscard]] Attempt<client::ClientOptions> resolve(const GlobalOptions& options,
                                                     const Environment& environment,
                                                     std::string* ca_file = nullptr);

class Session {
 public:
  [[nodiscard]] static Attempt<Session> open(const GlobalOptions& options);
  [[nodiscard]] client::KinesisClient client() const {
    return client::KinesisClient(client_options_);
  }
  [[nodiscard]] const client::ClientOptions& client_options() const { return client_options_; }
  [[nodiscard]] const std::string& ca_file() const { return ca_file_; }  // empty: the system's
  [[nodiscard]] const std::string& native_endpoint() const { return native_endpoint_; }

 private:
  Session(client::ClientOptions options, std::string ca_file, std::string native_endpoint)
      : client_options_(std::move(options)),
        ca_file_(std::move(ca_file)),
        native_endpoint_(std::move(native_endpoint)) {}
  client::ClientOptions client_options_;
  std::string ca_file_;
  std::string native_endpoint_;
};

}  // namespace penstock::tools
