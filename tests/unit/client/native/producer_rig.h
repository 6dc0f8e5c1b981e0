// A producer on the rig: what it puts, and what it is told, by the text of the record.
#pragma once

#include "client/native/producer_engine.h"
#include "tests/unit/client/native/rig.h"

#include <map>
#include <string>

namespace penstock::client::native::test {

class ProducerRig : public Rig {
 public:
  explicit ProducerRig(unsigned seed = 1, ProducerSettings settings = quick())
      : Rig(seed), maps(link), patience(settings.deadline_nanos), settings_(settings) {
    on_step = [this](Nanos now_) { tick(now_); };
  }
  ~ProducerRig() {
    if (engine != nullptr) engine->stop(ErrorCode::kStopping);
  }
  // A record a batch, at once.
  static ProducerSettings quick() {
    ProducerSettings settings;
    settings.stream = "s";
    settings.batch_records = 1;
    settings.linger_nanos = 0;
    return settings;
  }
  void begin() {
    engine = std::make_unique<ProducerEngine>(
        link, maps, settings_, [this](std::size_t bytes) { buffered -= bytes; }, now());
  }
  // With a shard or more, and a lane that is open.
  void begin_with(std::uint32_t shards) {
    server.create("s", shards);
    begin();
    run(5);
  }
  void tick(Nanos at) {
    maps.tick(at);
    if (engine != nullptr) engine->tick(at);
  }
  // Several in one go are of one batch, where the settings let them.
  void put(const std::vector<std::pair<std::string, std::string>>& records) {
    std::vector<NewRecord> all;
    for (const auto& [key, data] : records) {
      buffered += key.size() + data.size();
      const std::string name = data;
      all.push_back({{.key = key, .data = std::as_bytes(std::span(data)), .hash = {}},
                     now() + patience,
                     [this, name](const Result<Stored>& result) { told(name, result); }});
    }
    engine->put(all, now());
    engine->tick(now());
  }
  void put(const std::string& key, const std::string& data) { put({{key, data}}); }
  // "stored", the error, or "nothing"; twice told is an error of its own.
  std::string result(const std::string& data) {
    const auto at = results.find(data);
    return at == results.end() ? "nothing" : at->second;
  }
  // What is stored of the stream, data joined.
  std::string stored() {
    std::string all;
    for (const auto& [key, data] : server.streams.at("s").all())
      all += (all.empty() ? "" : " ") + data;
    return all;
  }

  Maps maps;
  std::int64_t patience;  // of the next record
  std::unique_ptr<ProducerEngine> engine;
  std::map<std::string, std::string> results;
  std::map<std::string, Stored> places;
  std::size_t buffered = 0;

 private:
  void told(const std::string& record, const Result<Stored>& outcome) {
    const std::string text = outcome ? "stored" : std::string(penstock::name(outcome.error().code));
    results[record] = results.contains(record) ? "told twice" : text;
    if (outcome) places[record] = *outcome;
  }
  ProducerSettings settings_;
};

}  // namespace penstock::client::native::test
