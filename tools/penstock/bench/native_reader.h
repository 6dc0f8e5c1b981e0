// Reads a stream over the native protocol, for loads and for what checks them.
//
// Owner      as bench/target.h
#pragma once

#include "bench/target.h"
#include "penstock/client.h"

#include <memory>
#include <string>

namespace penstock::tools::bench {

[[nodiscard]] std::unique_ptr<Reader> native_reader(std::shared_ptr<Client> client,
                                                    const std::string& stream,
                                                    const ReaderShape& shape,
                                                    OnIncoming on_records);
[[nodiscard]] Ended native_read_all(Client& client, const std::string& stream,
                                    const OnIncoming& on_records);

}  // namespace penstock::tools::bench
