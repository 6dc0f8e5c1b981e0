// Puts each line of the standard input, under itself as the key:  put tcp://127.0.0.1:4569 STREAM
#include <penstock/client.h>
#include <penstock/producer.h>

#include <iostream>
#include <span>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  penstock::ClientOptions at;
  at.endpoints = {argv[1]};
  const auto client = penstock::Client::connect(at);
  if (!client) return std::cerr << penstock::text(client.error().code) << '\n', 1;
  const auto producer = (*client)->producer(argv[2], {});
  for (std::string line; std::getline(std::cin, line);) {
    static_cast<void>(producer->put(line, std::as_bytes(std::span(line)), nullptr));
  }
  producer->flush();
  const penstock::ProducerCounters counters = producer->counters();
  std::cerr << counters.records_stored << " stored, " << counters.records_failed << " not\n";
  return counters.records_stored == counters.records_put ? 0 : 1;
}
