#include "tests/sim/world.h"

#include "base/pages.h"
#include "tests/sim/actors.h"
#include "tests/sim/life.h"
#include "tests/sim/model.h"
#include "tests/sim/native_actors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

namespace penstock::sim {
namespace {

constexpr std::uint16_t kPort = 4568;
constexpr std::uint16_t kNativePort = 4569;
// A core's: messages that come in and those that go out, and sessions.
constexpr std::uint64_t kNativeBudget = 100 * kMiB;
constexpr std::int64_t kHour = 3'600 * kNanosPerSecond;

// What kinds of things go wrong in this run. One kind at a time keeps the oracle sharp.
enum class Weather : std::uint8_t {
  kPowerCuts,  // crashes and nothing else: no acknowledged record may be lost
  kFailingIo,  // errors, short writes, stalls, a full disk: reported, so nothing may be lost either
  kLyingDisk,  // bits flip and writes go astray: loss is the disk's, a wrong byte never is
  kBitRot,     // bits flip while the machine is off: what is lost must be named, nothing in silence
};

class World {
 public:
  explicit World(const WorldOptions& options)
      : options_(options),
        random_(options.seed, "world"),
        weather_(static_cast<Weather>(options.disk_faults ? random_.below(4) : 0)),
        storage_(time_, storage_options(), options.seed),
        network_(time_, network_options(), options.seed),
        stage_{model_, "fleet"} {
    config_ = server::dev_config("/sim", kPort - 1, true, 1);
    config_.https.port = 0;
    native_ = drivers::SimRandom(options.seed, "native").chance(options.native_chance);
    config_.native.port = native_ ? kNativePort : 0;
    config_.admin.port = 0;
    config_.data_cpus.assign(options.data_cores, 0);
    config_.cells = static_cast<std::uint16_t>(options.data_cores + random_.below(2));
    config_.slot_bytes = 1 * kMiB;  // the smallest: many segments
    config_.journal_size_min = 0;
    // The clients of the native protocol put so much more that a usual cell would be full in the end.
    const std::uint32_t slots = native_ ? options.slots_max * 3 : options.slots_max;
    config_.journal_size_max = config_.slot_bytes * slots * config_.cells;
    config_.connections_max = 64;
    if (native_) {
      config_.sessions_max = 16;
      config_.memory_budget += options.data_cores * kNativeBudget;
    }
    credentials_ = {"AKIDSIM", "secret", "", config_.identity.region, "kinesis"};
    proto::Credential credential;
    credential.access_key_id = credentials_.access_key_id;
    credential.secret_access_key = credentials_.secret_access_key;
    secrets_.credentials =
        std::make_shared<proto::CredentialSet>(std::vector<proto::Credential>{credential});
    started_ms_ = time_.wall().raw();
    stage_.retention_ms = started_ms_;
    stage_.strict = weather_ == Weather::kPowerCuts;
    // A write that the disk called good and put nowhere is lost, whoever acknowledged it.
    if (weather_ == Weather::kLyingDisk) model_.forgive_loss();
  }

  WorldResult run() {
    make_actors();
    for (std::uint32_t life = 0; life < options_.lives && findings_.empty(); ++life) {
      const bool last = life + 1 == options_.lives;
      if (last) calm_down();
      if (!live(last)) break;
    }
    for (std::string& finding : stage_.findings) findings_.push_back(std::move(finding));
    for (const NativeProducer* producer : producers_) {
      harness_faults_["native_puts"] += producer->put();
      harness_faults_["native_stored"] += producer->stored();
      harness_faults_["native_batches_repeated"] += producer->repeated();
      harness_faults_["native_batches_again"] += producer->repeated_plainly();
      harness_faults_["native_deaths"] += producer->deaths();
    }
    for (const NativeSubscriber* subscriber : subscribers_) {
      harness_faults_["native_deaths"] += subscriber->deaths();
    }
    WorldResult result;
    result.findings = findings_;
    constexpr std::array<std::string_view, 4> kWeathers = {"power cuts", "failing I/O",
                                                           "lying disk", "bit rot"};
    if (!findings_.empty()) {
      result.findings.push_back(
          fmt::format("weather: {}", kWeathers[static_cast<std::size_t>(weather_)]));
    }
    result.trace_hash = storage_.trace_hash() ^ network_.trace_hash();
    result.sent = model_.sent();
    result.acknowledged = model_.acknowledged();
    result.simulated_nanos = time_.now().raw() - off_nanos_;
    for (std::size_t i = 0; i < drivers::kDiskFaults; ++i) {
      const auto fault = static_cast<drivers::DiskFault>(i);
      result.faults.emplace_back(fmt::format("disk_{}", drivers::name(fault)),
                                 storage_.counts()[fault]);
    }
    for (std::size_t i = 0; i < drivers::kNetworkFaults; ++i) {
      const auto fault = static_cast<drivers::NetworkFault>(i);
      if (fault == drivers::NetworkFault::kBlocked) continue;  // calls here fit their windows
      result.faults.emplace_back(fmt::format("net_{}", drivers::name(fault)),
                                 network_.counts()[fault]);
    }
    for (const auto& [kind, count] : harness_faults_) result.faults.emplace_back(kind, count);
    return result;
  }

 private:
  [[nodiscard]] drivers::SimStorageOptions storage_options() {
    drivers::SimStorageOptions options;
    options.capacity = 1 * kGiB;
    if (weather_ == Weather::kFailingIo) {
      options.rates.write_error = 0.0005;
      options.rates.short_write = 0.0005;
      options.rates.read_error = 0.01;
      options.rates.stall = 0.002;
      options.rates.no_space = 0.02;
      options.volume_faults = true;
    }
    if (weather_ == Weather::kLyingDisk) {
      options.rates.misdirected_write = 0.001;
      options.rates.lost_write = 0.001;
      options.rates.read_flip = 0.01;
    }
    return options;
  }

  [[nodiscard]] static drivers::SimNetworkOptions network_options() {
    drivers::SimNetworkOptions options;
    options.rates = {.delay = 0.001, .split = 0.1, .reset = 0.0005};
    return options;
  }

  template <class... Args>
  void tell(fmt::format_string<Args...> text, Args&&... args) {
    if (!options_.tell) return;
    fmt::print("{:12.6f} {}\n", static_cast<double>(time_.now().raw()) / 1e9,
               fmt::format(text, std::forward<Args>(args)...));
  }
  void tell_recovery(const storage::RecoveryReport& report) {
    tell("recovered: {} blocks scanned, {} torn, {} quarantined", report.blocks_scanned,
         report.torn_blocks, report.quarantined_blocks);
    for (const std::string& note : report.notes) tell("  {}", note);
  }
  void tell_cells(Life& life) {
    for (std::size_t i = 0; i < life.server().data_cores(); ++i) {
      tell("core {}: {}", i, life.describe_cells(i));
    }
  }

  void make_actors() {
    const auto client = [this] { return WireClient(network_, kPort, credentials_); };
    for (std::uint32_t i = 0; i < options_.writers; ++i) {
      actors_.push_back(std::make_unique<Writer>(stage_, client(), i, options_.seed));
    }
    actors_.push_back(std::make_unique<Reader>(stage_, client(), options_.seed));
    actors_.push_back(std::make_unique<Administrator>(stage_, client(), options_.seed));
    if (native_) make_native_actors();
  }
  void make_native_actors() {
    const NativeSite site{time_, network_, kNativePort, credentials_.access_key_id,
                          credentials_.secret_access_key};
    const auto add = [this]<class Made>(std::vector<Made*>& list, std::unique_ptr<Made> made) {
      list.push_back(made.get());
      actors_.push_back(std::move(made));
    };
    for (std::uint32_t i = 0; i < options_.native_producers; ++i) {
      add(producers_, std::make_unique<NativeProducer>(stage_, site, i, options_.seed));
    }
    for (std::uint32_t i = 0; i < options_.native_subscribers; ++i) {
      add(subscribers_, std::make_unique<NativeSubscriber>(stage_, site, i, options_.seed));
    }
  }

  // The last life has a good disk and a good clock: what is broken by then must show, what is not
  // must make progress.
  void calm_down() {
    storage_.cut_power_at(0, drivers::SimCutPhase::kAfter);
    storage_.set_rates({});
    storage_.set_capacity(64 * kGiB);
    correct_clock();
  }

  // False: nothing more can be learnt from this run.
  [[nodiscard]] bool live(bool last) {
    tell("boot");
    // Recovery, too, is cut short now and then.
    if (!last && random_.chance(0.15)) arm_cut(40);
    auto life =
        std::make_unique<Life>(time_, storage_, network_, options_.data_cores, random_.next());
    std::string why;
    if (!life->boot(config_, secrets_, why)) {
      tell("does not start: {}", why);
      if (!storage_.powered()) return end(std::move(life), false);
      // A disk that lies may leave nothing to start from, and one that fails may start the next time.
      if (weather_ == Weather::kLyingDisk) return false;
      if (weather_ == Weather::kPowerCuts || last) {
        findings_.push_back("the server does not start: " + why);
        return false;
      }
      ++harness_faults_["start_refused"];
      return end(std::move(life), false);
    }
    if (!storage_.powered()) return end(std::move(life), true);
    tell_recovery(life->server().recovery());
    loss_named_ = loss_named_ || life->server().recovery().quarantined_blocks > 0;
    // A cut alone leaves nothing that recovery has to complain of.
    if (weather_ == Weather::kPowerCuts) {
      for (const std::string& note : life->server().recovery().notes) {
        findings_.push_back("recovery after a power cut: " + note);
      }
    }
    const bool ready = run_until(*life, 30 * kNanosPerSecond,
                                 [&] { return life->server().ready() || !storage_.powered(); });
    if (!storage_.powered()) return end(std::move(life), true);
    if (!ready) {
      findings_.emplace_back("the server does not become ready");
      return false;
    }
    ensure_stream(*life);
    if (!findings_.empty()) return false;
    stage_.quiet = false;
    const std::int64_t length = random_.between(kNanosPerSecond / 5, options_.life_nanos_max);
    if (!last && random_.chance(0.3)) arm_cut(400);
    run_until(*life, length, [&] {
      disturb();
      return !storage_.powered();
    });
    if (last) {
      finish(*life);
      return false;
    }
    return end(std::move(life), true);
  }

  // A power cut at an exact write rather than at an exact time.
  void arm_cut(std::uint64_t mutations) {
    storage_.cut_power_at(
        storage_.mutations() + 1 + random_.below(mutations),
        random_.chance(0.5) ? drivers::SimCutPhase::kDuring : drivers::SimCutPhase::kAfter);
    ++harness_faults_["cut_at_write"];
  }

  void disturb() {
    if (options_.clock_faults && random_.chance(0.00002)) step_clock(true);
    if (weather_ == Weather::kLyingDisk && random_.chance(0.00002)) flip_bit();
    if (weather_ == Weather::kFailingIo && random_.chance(0.0001)) {
      storage_.set_capacity(random_.chance(0.7) ? storage_.used_bytes() : 1 * kGiB);
      ++harness_faults_["disk_full_and_freed"];
    }
  }

  void step_clock(bool may_be_synchronised) {
    constexpr std::int64_t kDayMs = 24LL * 3'600 * 1'000;
    const std::array<std::int64_t, 8> steps = {3'600'000,    -3'600'000,   2 * kDayMs,
                                               -2 * kDayMs,  5 * kDayMs,   -5 * kDayMs,
                                               365 * kDayMs, -365 * kDayMs};
    // Requests are signed by the same clock, so both sides agree.
    const std::int64_t step = steps[random_.below(steps.size())];
    time_.step_wall(step);
    wall_error_ms_ += step;
    // A wrong clock that is called synchronised is believed after a restart, up to seven days (the retention
    // clock's rule); one that is wrong by days is not called that here, an hour is allowed for. One that is
    // behind makes records older when it is put right.
    const std::int64_t error = std::abs(wall_error_ms_);
    const bool days = error > kMillisPerHour && error < 30 * kDayMs;
    time_.set_wall_synchronised(may_be_synchronised && !days && random_.chance(0.7));
    if (std::abs(step) == kMillisPerHour) believed_ms_ += kMillisPerHour;
    tell("clock step to wall {} ms", time_.wall().raw());
    ++harness_faults_["clock_step"];
  }

  void correct_clock() {
    time_.step_wall(-std::exchange(wall_error_ms_, 0));
    time_.set_wall_synchronised(true);
  }

  void flip_bit() {
    const std::string file =
        fmt::format("cell-{:02}/slot-{:04}", random_.below(config_.cells), random_.below(4));
    if (storage_.flip_bit(file)) ++harness_faults_["bit_flip_in_slot"];
    model_.forgive_loss();
  }

  // `booted`: the server ran. Always true: the run goes on.
  bool end(std::unique_ptr<Life> life, bool booted) {
    const std::uint64_t how = !storage_.powered() ? 0 : booted ? random_.below(4) : 2;
    // Recovery can tell rot from a torn tail where the journal had been quiet for a moment.
    const bool rots =
        weather_ == Weather::kBitRot && storage_.powered() && booted && random_.chance(0.9);
    if (rots) {
      stage_.quiet = true;
      if (native_) run_until(*life, 60 * kNanosPerSecond, [this] { return none_busy(); });
      run_until(*life, kNanosPerSecond, [] { return false; });
    }
    if (how == 1) {  // clean stop
      stage_.quiet = true;
      life->server().drain();
      const bool drained =
          run_until(*life, 60 * kNanosPerSecond, [&] { return life->server().drained(); });
      if (!drained && !storage_.powered()) {
        tell("the power goes while it drains");
      } else if (!drained) {
        for (std::size_t i = 0; i < life->server().data_cores(); ++i) {
          server::ServingCore& core = life->server().data_core(i);
          findings_.push_back(
              fmt::format("core {} does not drain: {} connections, {} puts, {} reads, {}", i,
                          core.front().counters().connections_open, core.core().puts_under_way(),
                          core.core().reads_under_way(), life->describe_cells(i)));
        }
      }
      ++harness_faults_["clean_stop"];
      storage_.kill_process();
    } else if (how == 2) {
      storage_.kill_process();
      ++harness_faults_["kill"];
    } else {
      if (storage_.powered()) storage_.cut_power();
      ++harness_faults_["power_cut"];
    }
    if (booted) tell_cells(*life);
    tell("end: {}, {} acknowledged",
         how == 1   ? "clean stop"
         : how == 2 ? "kill"
                    : "power cut",
         model_.acknowledged());
    for (const auto& actor : actors_) actor->lose_server();
    life.reset();
    if (random_.chance(options_.off_chance)) off_for_hours();
    // A clock whose battery is empty: nobody has set it when the machine starts.
    if (options_.clock_faults && random_.chance(0.1)) step_clock(false);
    if (random_.chance(0.3)) correct_clock();
    storage_.cut_power_at(0, drivers::SimCutPhase::kAfter);
    storage_.restart();
    if (rots) rot();
    time_.reboot();
    return true;
  }

  // One bit of one of the last sectors written in a slot: often of the last block, or of a footer.
  void rot() {
    drivers::SimVolume volume(storage_);
    const std::string name =
        fmt::format("cell-{:02}/slot-{:04}", random_.below(config_.cells), random_.below(4));
    const auto file = volume.open(name);
    if (!file) return;
    base::Pages page(4 * kKiB);
    std::vector<std::uint64_t> written;
    for (std::uint64_t at = config_.slot_bytes; at > 0 && written.size() < 4;) {
      at -= page.size();
      const bool read = volume.read(*file, at, page.bytes()).has_value();
      if (read &&
          std::ranges::any_of(page.bytes(), [](std::byte b) { return b != std::byte{0}; })) {
        written.push_back(at);
      }
    }
    volume.close(*file);
    if (written.empty()) return;
    if (storage_.flip_bit(name, written[random_.below(written.size())], page.size())) {
      ++harness_faults_["bit_rot"];
      tell("a bit of {} rots", name);
    }
  }

  // The machine stays off: time passes for retention too.
  void off_for_hours() {
    const std::int64_t hours = random_.between(options_.off_hours_min, options_.off_hours_max);
    time_.advance_to(time_.now() + hours * kHour);
    off_nanos_ += hours * kHour;
    was_off_ = stage_.was_off = true;
    ++harness_faults_["off_for_hours"];
  }

  template <class Until>
  bool run_until(Life& life, std::int64_t nanos, Until until) {
    const Nanos end = time_.now() + nanos;
    while (time_.now() < end) {
      if (until()) return true;
      const Nanos before = time_.now();
      runtime::WorkCount work = life.turn(random_);
      if (!storage_.powered()) return until();
      for (const auto& actor : actors_) actor->poll(time_.now(), time_.wall());
      if (work > 0) {
        time_.advance_to(time_.now() + random_.between(200, 20'000));
      } else {
        Nanos next = std::min(end, life.next_deadline());
        if (const auto completion = storage_.next_completion()) next = std::min(next, *completion);
        if (const auto event = network_.next_event()) next = std::min(next, *event);
        for (const auto& actor : actors_) next = std::min(next, actor->next_turn(stage_.quiet));
        time_.advance_to(std::max(next, time_.now() + 1'000));
      }
      on_nanos_ += time_.now() - before;
      stage_.retention_ms = started_ms_ + (on_nanos_ + off_nanos_) / kNanosPerMilli;
    }
    return until();
  }

  // One call outside of the actors. Nothing when the server died over it.
  std::optional<WireAnswer> ask(Life& life, std::string_view operation, const std::string& body) {
    WireClient client(network_, kPort, credentials_);
    std::optional<WireAnswer> answer;
    std::optional<WireAnswer> failure;  // the last one, where there is nothing better
    for (int attempt = 0; attempt < 5 && !answer; ++attempt) {
      client.call(operation, body, time_.wall());
      run_until(life, 20 * kNanosPerSecond, [&] {
        answer = client.poll();
        return answer.has_value() || !storage_.powered();
      });
      if (answer && (answer->status == 0 || answer->status >= 500)) {
        tell("{}: {} {}", operation, answer->status, answer->body);
        if (answer->status >= 500) failure = std::move(answer);
        answer.reset();
      } else if (!answer) {
        tell("{}: no answer", operation);
      }
      if (!storage_.powered()) break;
      if (client.busy()) client.drop();
    }
    return answer ? answer : failure;
  }

  void ensure_stream(Life& life) {
    stage_.quiet = true;
    const auto created = ask(life, "CreateStream",
                             fmt::format(R"({{"StreamName":"{}","ShardCount":{}}})", stage_.stream,
                                         1 + random_.below(4)));
    if (!storage_.powered()) return;
    if (weather_ == Weather::kPowerCuts && (!created || created->status >= 500)) {
      findings_.emplace_back("CreateStream: " + (created ? created->body : "no answer"));
    }
    run_until(life, kNanosPerSecond, [&] { return false; });
  }

  [[nodiscard]] bool none_busy() const {
    return std::ranges::none_of(actors_, [](const auto& actor) { return actor->busy(); });
  }

  // Every put has its result, and every subscriber gets to the end.
  void finish_native(Life& life, const std::vector<SeenShard>& shards) {
    for (const NativeProducer* producer : producers_) {
      if (producer->busy()) findings_.emplace_back("puts of a native producer have no result");
    }
    run_until(life, 60 * kNanosPerSecond, [&] {
      return std::ranges::all_of(
          subscribers_, [&](const NativeSubscriber* reader) { return reader->caught_up(shards); });
    });
    if (weather_ == Weather::kBitRot && loss_named_) model_.forgive_loss();
    for (NativeSubscriber* subscriber : subscribers_) subscriber->check(shards);
  }

  // Faults have stopped. New records must be taken, and everything must read back.
  void finish(Life& life) {
    const std::size_t before = model_.acknowledged();
    network_.set_rates({.delay = 0.001, .split = 0.1});
    stage_.calm = true;
    run_until(life, 5 * kNanosPerSecond, [&] { return false; });
    stage_.quiet = true;
    run_until(life, (native_ ? 60 : 20) * kNanosPerSecond, [this] { return none_busy(); });
    // What is unknown to its producer since its deadline passed may still be on its way.
    if (native_) run_until(life, 10 * kNanosPerSecond, [] { return false; });
    if (weather_ == Weather::kPowerCuts && model_.acknowledged() == before) {
      findings_.push_back("no record was taken after the faults had stopped: " + stage_.refusal);
    }
    if (!stage_.refusal.empty()) tell("the last refusal: {}", stage_.refusal);
    tell_cells(life);
    const std::vector<SeenShard> shards = read_all(life);
    if (!findings_.empty()) return;
    if (native_) finish_native(life, shards);
    // Records live 24 h at least; nothing younger than that may be gone.
    if (was_off_) model_.expired_before(stage_.retention_ms + believed_ms_ - 24 * kMillisPerHour);
    if (weather_ == Weather::kBitRot && loss_named_) model_.forgive_loss();
    for (std::string& finding : model_.check(shards)) findings_.push_back(std::move(finding));
  }

  std::vector<SeenShard> read_all(Life& life) {
    const auto listed =
        ask(life, "ListShards", fmt::format(R"({{"StreamName":"{}"}})", stage_.stream));
    if (!listed || listed->status != 200) {
      // Where cell 0 was fenced before the stream was made there is none to list.
      if (!listed || model_.acknowledged() > 0) {
        findings_.push_back(fmt::format("ListShards: {}", listed ? listed->body : "no answer"));
      }
      return {};
    }
    std::vector<SeenShard> shards = parse_shards(listed->body);
    for (SeenShard& shard : shards) {
      read_shard(life, shard);
      tell("{}: {} records read", shard.id, shard.records.size());
    }
    return shards;
  }

  // A read that ends in lost records says so, and where it goes on.
  [[nodiscard]] bool loss_is_named(const std::string& body) {
    const bool named = body.find("AFTER_SEQUENCE_NUMBER") != std::string::npos;
    loss_named_ = loss_named_ || named;
    return named;
  }
  std::optional<std::string> behind_loss(Life& life, const SeenShard& shard,
                                         const std::string& body) {
    constexpr std::string_view kBefore = "AFTER_SEQUENCE_NUMBER ";
    const std::size_t at = body.find(kBefore) + kBefore.size();
    const std::size_t end = body.find_first_not_of("0123456789", at);
    const auto begun =
        ask(life, "GetShardIterator",
            fmt::format(
                R"({{"StreamName":"{}","ShardId":"{}",)"
                R"("ShardIteratorType":"AFTER_SEQUENCE_NUMBER","StartingSequenceNumber":"{}"}})",
                stage_.stream, shard.id, body.substr(at, end - at)));
    std::size_t from = 0;
    return begun ? json_member(begun->body, "ShardIterator", from) : std::nullopt;
  }

  void read_shard(Life& life, SeenShard& shard) {
    const auto begun = ask(
        life, "GetShardIterator",
        fmt::format(R"({{"StreamName":"{}","ShardId":"{}","ShardIteratorType":"TRIM_HORIZON"}})",
                    stage_.stream, shard.id));
    std::size_t from = 0;
    std::optional<std::string> iterator =
        begun ? json_member(begun->body, "ShardIterator", from) : std::nullopt;
    for (int turns = 0; iterator && turns < 10'000; ++turns) {
      const auto answer =
          ask(life, "GetRecords", fmt::format(R"({{"ShardIterator":"{}"}})", *iterator));
      // A closed shard may expire between the listing and the reading.
      if (answer && answer->body.find("does not exist") != std::string::npos && was_off_) {
        tell("{}: {}", shard.id, answer->body);
        return;
      }
      if (!answer || answer->status != 200) {
        if (answer && loss_is_named(answer->body)) {
          // Where the disk does what it says, nothing may be lost, named or not.
          if (weather_ == Weather::kPowerCuts || weather_ == Weather::kFailingIo) {
            findings_.push_back(fmt::format("GetRecords of {}: {}", shard.id, answer->body));
            return;
          }
          iterator = behind_loss(life, shard, answer->body);
          continue;
        }
        // Shown, and not to be opened before the cell is cleared: then it holds nothing.
        if (answer && answer->status >= 500 && shard.records.empty() &&
            weather_ == Weather::kFailingIo && life.any_cell_fenced()) {
          return;
        }
        if (weather_ == Weather::kLyingDisk)
          model_.forgive_loss();
        else
          findings_.push_back(
              fmt::format("GetRecords of {}: {}", shard.id, answer ? answer->body : "no answer"));
        return;
      }
      for (SeenRecord& record : parse_records(answer->body))
        shard.records.push_back(std::move(record));
      from = 0;
      iterator = json_member(answer->body, "NextShardIterator", from);
      from = 0;
      const auto behind = json_member(answer->body, "MillisBehindLatest", from);
      if (behind == "0") return;
    }
  }

  WorldOptions options_;
  drivers::SimRandom random_;
  drivers::SimTime time_;
  Weather weather_;
  drivers::SimStorage storage_;
  drivers::SimNetwork network_;
  Model model_;
  Stage stage_;
  server::Config config_;
  server::Secrets secrets_;
  proto::ClientCredentials credentials_;
  std::vector<std::unique_ptr<Actor>> actors_;
  bool native_ = false;
  std::vector<NativeProducer*> producers_;
  std::vector<NativeSubscriber*> subscribers_;
  std::vector<std::string> findings_;
  std::map<std::string, std::uint64_t> harness_faults_;
  bool was_off_ = false;
  std::int64_t wall_error_ms_ = 0;
  std::int64_t believed_ms_ = 0;
  bool loss_named_ = false;
  std::int64_t started_ms_ = 0;
  std::int64_t on_nanos_ = 0;
  std::int64_t off_nanos_ = 0;
};

}  // namespace

WorldResult run_world(const WorldOptions& options) { return World(options).run(); }

}  // namespace penstock::sim
