// A client of Penstock's native protocol: one connection, kept up over restarts of the server and losses
// of the network, and the producers, consumers and administrative calls that share it.
//
// Units      durations as std::chrono has them; sizes in bytes
// Shape      one connection and one thread of its own for each Client; a lane for each shard that is read, or written
//            just now, and of these 8,192 at once (a server may allow less)
// Owner      any thread may call anything here. Callbacks run on the client's thread, one at a time: they must not
//            wait, and what would block elsewhere gives kOverloaded there. What a client has made keeps the client
// Allocates  freely when it connects; see producer.h and consumer.h for the rest
// Errors     connect: kConfig (an option, a file), kDenied (the credentials), kSystem (no connection in time; `problem`
//            says why). Later losses are no errors: it connects again, after 50 ms to 5 s
// States     Connecting ─► Connected ─► Connecting …;  any ─► Closed
// Source     src/proto/PROTOCOL.md
#pragma once

#include "penstock/result.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

class Admin;
class Consumer;
class Producer;
struct ConsumerOptions;
struct ProducerOptions;

struct ClientOptions {
  // "host:port" and "tls://host:port" are TLS, "tcp://host:port" is plain, which servers take on loopback addresses
  // alone. Without a port: 4569. Tried in turn.
  std::vector<std::string> endpoints = {"localhost:4569"};
  std::string ca_file;  // PEM, and nothing else is trusted; empty: what the system trusts
  // Empty: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the profile.
  std::string access_key;
  std::string secret_key;
  std::string profile;       // empty: AWS_PROFILE, else "default"
  std::string profile_file;  // empty: AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials
  std::string name = "penstock-client";  // what the server calls it to people
  std::chrono::milliseconds connect_timeout{10'000};
};

class Client : public std::enable_shared_from_this<Client> {
 public:
  // Waits for the first connection.
  [[nodiscard]] static Result<std::shared_ptr<Client>> connect(const ClientOptions& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // They may begin before the stream exists: then they wait for it as long as a deadline lets them.
  [[nodiscard]] std::shared_ptr<Producer> producer(const std::string& stream,
                                                   const ProducerOptions& options);
  [[nodiscard]] std::shared_ptr<Consumer> consumer(const std::string& stream,
                                                   ConsumerOptions options);
  [[nodiscard]] Admin admin();

  // Whether there is a connection at present, and if not, why, for people.
  [[nodiscard]] bool connected() const;
  [[nodiscard]] std::string problem() const;
  // Ends the connection and the thread. What has no result gets one: kStopping (not sent) or kUnknownOutcome. From a
  // callback: nothing happens.
  void close();

  struct Impl;

 private:
  explicit Client(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace penstock
