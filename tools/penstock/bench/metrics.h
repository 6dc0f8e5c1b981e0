// What Penstock's administration tells of the server that is measured.
//
// Errors     none: not every service tells, and then figures are missing
#pragma once

#include "bench/target.h"
#include "client/endpoint.h"

#include <string>

namespace penstock::tools::bench {

class ServerMetrics {
 public:
  // `admin`: a URL; empty: beside the API, as `penstockd --dev` and the default configuration lay them out.
  [[nodiscard]] static Attempt<ServerMetrics> at(const client::Endpoint& api,
                                                 const std::string& admin);
  [[nodiscard]] const std::string& durability() const { return durability_; }  // empty: not told
  [[nodiscard]] const Facts& facts() const { return facts_; }            // the server's version
  [[nodiscard]] const Facts& load_facts() const { return load_facts_; }  // its cells and cores
  [[nodiscard]] ServerCost cost() const;

 private:
  explicit ServerMetrics(client::Endpoint admin);
  [[nodiscard]] std::string page() const;

  client::Endpoint admin_;
  std::string durability_;
  Facts facts_;
  Facts load_facts_;
};

}  // namespace penstock::tools::bench
