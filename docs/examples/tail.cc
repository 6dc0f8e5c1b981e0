// Writes a stream's records to the standard output, from the oldest on:  tail tcp://127.0.0.1:4569 STREAM
#include <penstock/client.h>
#include <penstock/consumer.h>
#include <unistd.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  penstock::ClientOptions at;
  at.endpoints = {argv[1]};
  const auto client = penstock::Client::connect(at);
  if (!client) return std::cerr << penstock::text(client.error().code) << '\n', 1;
  penstock::ConsumerOptions options;
  options.on_records = [](const penstock::Records& records) {
    for (const penstock::Record& record : records.records) {
      std::cout.write(reinterpret_cast<const char*>(record.data.data()),
                      static_cast<std::streamsize>(record.data.size()))
          << '\n';
    }
    std::cout.flush();
  };
  const auto consumer = (*client)->consumer(argv[2], options);
  pause();
}
