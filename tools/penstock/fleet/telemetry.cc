#include "fleet/telemetry.h"

#include "base/crc32c.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace penstock::tools {
namespace {

constexpr std::string_view kDevice = R"({"device":"bus-)";
constexpr std::string_view kRun = R"(","run":")";
constexpr std::string_view kSequence = R"(","seq":)";
constexpr std::string_view kCrc = R"(,"crc":")";
constexpr std::string_view kEnd = R"("})";
constexpr std::size_t kNameDigits = 6;
constexpr std::size_t kHexDigits = 8;

// A region of 1.5° by 3°, so that coordinates always have two digits before the point.
constexpr std::int32_t kSouth = 46'500'000;
constexpr std::int32_t kWest = 11'000'000;

std::uint32_t checksum(std::string_view text) {
  return base::crc32c(std::as_bytes(std::span(text.data(), text.size())));
}

std::optional<std::uint32_t> parse(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Fault {
  std::string_view code;
  std::string_view text;
};
constexpr Fault kFaults[] = {
    {"P0128", "coolant temperature below thermostat regulating temperature"},
    {"P0299", "turbocharger underboost condition"},
    {"P0401", "exhaust gas recirculation flow insufficient detected"},
    {"P20EE", "selective catalytic reduction NOx efficiency below threshold bank 1"},
    {"C0035", "left front wheel speed sensor circuit"},
    {"U0121", "lost communication with anti-lock brake system control module"},
    {"B1318", "battery voltage low"},
    {"P2463", "diesel particulate filter soot accumulation"},
};

}  // namespace

Routes::Routes(std::uint64_t seed) {
  FleetRandom random(seed + 0x517cc1b7);
  for (auto& route : routes_) {
    // A tour around a centre: angles advance, radii vary, so that legs do not cross wildly.
    const double north = kSouth + 200'000 + random.below(1'100'000);
    const double east = kWest + 300'000 + random.below(2'400'000);
    const double radius = 30'000 + random.below(120'000);
    for (std::size_t i = 0; i < kPoints; ++i) {
      const double angle = 2 * 3.14159265358979 * static_cast<double>(i) / kPoints;
      const double reach = radius * (0.6 + 0.4 * random.below(1'000) / 1'000.0);
      route[i] = {static_cast<std::int32_t>(north + reach * std::sin(angle)),
                  static_cast<std::int32_t>(east + reach * 1.5 * std::cos(angle))};
    }
  }
}

// Appends to a buffer that is known to be long enough for the longest message.
class Vehicle::Writer {
 public:
  explicit Writer(char* out) : begin_(out), at_(out) {}
  Writer& text(std::string_view literal) {
    std::memcpy(at_, literal.data(), literal.size());
    at_ += literal.size();
    return *this;
  }
  Writer& number(std::int64_t value) {
    at_ = std::to_chars(at_, at_ + 24, value).ptr;
    return *this;
  }
  // value / 10^digits; digits 1, 3 or 6.
  Writer& decimal(std::int64_t value, unsigned digits) {
    if (value < 0) {
      *at_++ = '-';
      value = -value;
    }
    const std::int64_t scale = digits == 1 ? 10 : digits == 3 ? 1'000 : 1'000'000;
    number(value / scale);
    *at_ = '.';
    std::int64_t rest = value % scale;
    for (unsigned i = digits; i > 0; --i, rest /= 10) at_[i] = static_cast<char>('0' + rest % 10);
    at_ += digits + 1;
    return *this;
  }
  Writer& hex(std::uint32_t value) {
    for (std::size_t i = 0; i < kHexDigits; ++i)
      *at_++ = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    return *this;
  }
  [[nodiscard]] std::string_view written() const {
    return {begin_, static_cast<std::size_t>(at_ - begin_)};
  }

 private:
  char* begin_;
  char* at_;
};

Vehicle::Vehicle(std::uint32_t number, std::uint64_t seed)
    : random_(seed ^ (number + 1ULL) * 0xD1342543DE82EF95ULL),
      number_(number),
      route_(random_.below(Routes::kRoutes)),
      leg_(random_.below(Routes::kPoints)),
      speed_(static_cast<std::int32_t>(200 + random_.below(400))),
      fuel_(static_cast<std::int32_t>(300 + random_.below(700))),
      odometer_(random_.below(400'000'000)) {
  std::memcpy(name_.data(), "bus-", 4);
  for (std::size_t i = name_.size(); i > 4; --i, number /= 10) {
    name_[i - 1] = static_cast<char>('0' + number % 10);
  }
}

// One second along the route.
void Vehicle::drive(const Routes& routes) {
  speed_ = std::clamp(speed_ + static_cast<std::int32_t>(random_.below(61)) - 30, 0, 950);
  const auto points = routes.route(route_);
  // A leg is some 5 km: at 50 km/h about 360 s, so 18 of its 65,536 parts per 0.1 km/h and 100 s.
  progress_ += static_cast<std::uint32_t>(speed_) * 4 / 11;
  odometer_ += static_cast<std::uint32_t>(speed_ / 36);
  if (random_.below(64) == 0 && fuel_ > 0) --fuel_;
  if (fuel_ < 50) fuel_ = 1000;
  if (progress_ >= 65'536) {
    progress_ -= 65'536;
    leg_ = (leg_ + 1) % Routes::kPoints;
  }
  const Routes::Point from = points[leg_];
  const Routes::Point to = points[(leg_ + 1) % Routes::kPoints];
  const auto part = static_cast<std::int64_t>(progress_);
  const std::int64_t north = to.latitude - from.latitude;
  const std::int64_t east = to.longitude - from.longitude;
  at_.latitude = from.latitude + static_cast<std::int32_t>(north * part / 65'536);
  at_.longitude = from.longitude + static_cast<std::int32_t>(east * part / 65'536);
  if (progress_ < 400 || messages_ == 0) {
    heading_ = static_cast<std::int32_t>(std::lround(
        std::atan2(static_cast<double>(east) * 0.69, static_cast<double>(north)) * 57.29578));
    if (heading_ < 0) heading_ += 360;
  }
}

void Vehicle::position(Writer& out) const {
  out.text(R"(,"lat":)").decimal(at_.latitude, 6).text(R"(,"lon":)").decimal(at_.longitude, 6);
  out.text(R"(,"speed":)").decimal(speed_, 1).text(R"(,"heading":)").number(heading_);
}

void Vehicle::engine(Writer& out) {
  out.text(R"(,"type":"engine","rpm":)")
      .number(650 + speed_ * 2 + std::int64_t{random_.below(120)});
  out.text(R"(,"coolant":)").decimal(780 + random_.below(150), 1);
  out.text(R"(,"oil":)").decimal(850 + random_.below(250), 1);
  out.text(R"(,"oil_pressure":)").decimal(2'400 + random_.below(1'800), 3);
  out.text(R"(,"load":)").decimal(random_.below(1'000), 1);
  out.text(R"(,"fuel":)").decimal(fuel_, 1);
  out.text(R"(,"fuel_rate":)").decimal(20 + speed_ / 4 + std::int64_t{random_.below(60)}, 1);
  out.text(R"(,"battery":)").decimal(26'800 + random_.below(1'600), 3);
  out.text(R"(,"odometer":)").number(odometer_);
}

void Vehicle::tyres(Writer& out) {
  constexpr std::array<std::string_view, 6> kWheels{"1L", "1R", "2LO", "2LI", "2RI", "2RO"};
  out.text(R"(,"type":"tyre","ambient":)")
      .decimal(60 + random_.below(200), 1)
      .text(R"(,"tyres":[)");
  for (std::size_t i = 0; i < kWheels.size(); ++i) {
    out.text(i == 0 ? R"({"wheel":")" : R"(,{"wheel":")").text(kWheels[i]);
    out.text(R"(","bar":)").decimal(7'400 + random_.below(1'300), 3);
    out.text(R"(,"celsius":)").decimal(180 + random_.below(250), 1);
    out.text(R"(,"tread":)").decimal(40 + random_.below(110), 1).text("}");
  }
  out.text("]");
}

void Vehicle::faults(Writer& out) {
  const std::uint32_t count = 1 + random_.below(5);
  out.text(R"(,"type":"diagnostics","odometer":)").number(odometer_).text(R"(,"faults":[)");
  for (std::uint32_t i = 0; i < count; ++i) {
    const Fault& fault = kFaults[random_.below(std::size(kFaults))];
    out.text(i == 0 ? R"({"code":")" : R"(,{"code":")").text(fault.code);
    out.text(R"(","text":")").text(fault.text).text(R"(","count":)").number(1 + random_.below(40));
    out.text(random_.below(3) == 0 ? R"(,"active":true})" : R"(,"active":false})");
  }
  out.text("]");
}

void Vehicle::trip(Writer& out, const Routes& routes) {
  const auto points = routes.route(route_);
  const std::uint32_t count = 28 + random_.below(20);
  out.text(R"(,"type":"trip","odometer":)").number(odometer_).text(R"(,"track":[)");
  for (std::uint32_t i = 0; i < count; ++i) {
    const Routes::Point point = points[(leg_ + i) % Routes::kPoints];
    out.text(i == 0 ? "[" : ",[").decimal(point.latitude, 6).text(",");
    out.decimal(point.longitude, 6).text(",").number(random_.below(95)).text("]");
  }
  out.text("]");
}

std::string_view Vehicle::next(const Routes& routes, std::uint32_t run, std::int64_t start_ms,
                               char* out) {
  drive(routes);
  Writer writer(out);
  writer.text(kDevice).text(name().substr(4)).text(kRun).hex(run).text(kSequence).number(messages_);
  // Most is positions; the rest in the shares that a real bus has them in.
  const std::uint32_t kind = random_.below(100);
  if (kind < 12) {
    writer.text(R"(,"type":"alive","up":)").number(messages_);
  } else {
    writer.text(R"(,"ts":)").number(start_ms + std::int64_t{messages_} * 1'000);
    position(writer);
    if (kind >= 97) {
      if (kind == 99) {
        trip(writer, routes);
      } else {
        faults(writer);
      }
    } else if (kind >= 90) {
      tyres(writer);
    } else if (kind >= 72) {
      engine(writer);
    }
  }
  const std::uint32_t crc = checksum(writer.written());
  ++messages_;
  return writer.text(kCrc).hex(crc).text(kEnd).written();
}

std::optional<Telemetry> read_telemetry(std::string_view message) {
  constexpr std::size_t kName = kDevice.size();
  constexpr std::size_t kRunAt = kName + kNameDigits + kRun.size();
  constexpr std::size_t kSequenceAt = kRunAt + kHexDigits + kSequence.size();
  constexpr std::size_t kTail = kCrc.size() + kHexDigits + kEnd.size();
  if (message.size() < kSequenceAt + 1 + kTail || !message.starts_with(kDevice) ||
      message.substr(kName + kNameDigits, kRun.size()) != kRun ||
      message.substr(kRunAt + kHexDigits, kSequence.size()) != kSequence) {
    return std::nullopt;
  }
  const auto vehicle = parse(message.substr(kName, kNameDigits), 10);
  const auto run = parse(message.substr(kRunAt, kHexDigits), 16);
  const std::size_t digits = message.find_first_not_of("0123456789", kSequenceAt) - kSequenceAt;
  const auto sequence = parse(message.substr(kSequenceAt, digits), 10);
  if (!vehicle || !run || !sequence) return std::nullopt;
  const std::string_view content = message.substr(0, message.size() - kTail);
  const std::string_view tail = message.substr(content.size());
  const auto crc = parse(tail.substr(kCrc.size(), kHexDigits), 16);
  const bool framed = tail.starts_with(kCrc) && tail.ends_with(kEnd);
  constexpr std::size_t kPrefix = std::string_view("bus-").size();
  const std::string_view device = message.substr(kName - kPrefix, kPrefix + kNameDigits);
  return Telemetry{device, *vehicle, *run, *sequence, framed && crc && *crc == checksum(content)};
}

}  // namespace penstock::tools
