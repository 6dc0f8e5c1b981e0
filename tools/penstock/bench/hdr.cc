#include "bench/hdr.h"

#include "base/assert.h"
#include "client/base64.h"
#include "words.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>

namespace penstock::tools::bench {
namespace {

// 10^3 values must differ in every doubling: half a bucket has the next power of two.
constexpr unsigned kHalfBits = 10;
constexpr std::size_t kHalf = std::size_t{1} << kHalfBits;
// The first doubling beyond an hour is the last one; with unit buckets below 2,048.
constexpr std::size_t kBuckets = 42 - kHalfBits;
constexpr std::size_t kCounts = (kBuckets + 1) * kHalf;
static_assert((std::uint64_t{1} << 42) > HdrHistogram::kValueMax);
static_assert((std::uint64_t{1} << 41) <= HdrHistogram::kValueMax);

constexpr std::uint32_t kCookie = 0x1c849313;            // V2, words of up to 9 bytes
constexpr std::uint32_t kCompressedCookie = 0x1c849314;  // the same, compressed
constexpr double kNanosPerMilli = 1e6;

std::size_t index_of(std::uint64_t value) {
  const auto bits = static_cast<unsigned>(std::bit_width(value | (2 * kHalf - 1)));
  const unsigned bucket = bits - (kHalfBits + 1);
  return bucket * kHalf + static_cast<std::size_t>(value >> bucket);
}

// The largest value that is counted at `index`.
std::uint64_t last_value(std::size_t index) {
  if (index < 2 * kHalf) return index;
  const std::size_t bucket = index / kHalf - 1;
  const std::uint64_t part = index - bucket * kHalf;
  return ((part + 1) << bucket) - 1;
}

template <class Int>
void append_big_endian(Int value, std::string& out) {
  for (unsigned shift = sizeof value * 8; shift > 0;) {
    shift -= 8;
    out += static_cast<char>(static_cast<unsigned char>(value >> shift));
  }
}

// ZigZag LEB128 in at most nine bytes: the ninth has eight bits of value.
void append_varint(std::int64_t value, std::string& out) {
  std::uint64_t rest =
      (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  for (int i = 0; i < 8 && rest >= 0x80; ++i) {
    out += static_cast<char>(static_cast<unsigned char>(rest | 0x80));
    rest >>= 7;
  }
  out += static_cast<char>(static_cast<unsigned char>(rest));
}

std::string compressed(const std::string& text) {
  uLongf length = compressBound(text.size());
  std::string out(length, '\0');
  const int outcome = compress(reinterpret_cast<Bytef*>(out.data()), &length,
                               reinterpret_cast<const Bytef*>(text.data()), text.size());
  PENSTOCK_ASSERT(outcome == Z_OK);
  out.resize(length);
  return out;
}

Problem file_problem(const std::string& path, int error) {
  Problem problem{Exit::kFailed, kNumberLocalFile, "the log of latencies cannot be written", {}};
  problem.found(fmt::format("{}: {}", path, std::strerror(error)))
      .needed("a file that this user may write to, and room for it")
      .mend("--hdr FILE elsewhere");
  return problem;
}

}  // namespace

HdrHistogram::HdrHistogram() : counts_(kCounts) {}

void HdrHistogram::record(std::uint64_t nanos, std::uint64_t count) {
  const std::uint64_t value = std::min(nanos, kValueMax);
  counts_[index_of(value)] += count;
  count_ += count;
  if (count > 0) max_ = std::max(max_, value);
  if (count > 0) min_ = std::min(min_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(count);
}

void HdrHistogram::merge(const HdrHistogram& other) {
  for (std::size_t i = 0; i < kCounts; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  min_ = std::min(min_, other.min_);
  sum_ += other.sum_;
}

void HdrHistogram::clear() {
  std::fill(counts_.begin(), counts_.end(), 0);
  count_ = 0;
  max_ = 0;
  min_ = ~std::uint64_t{0};
  sum_ = 0;
}

double HdrHistogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::uint64_t HdrHistogram::quantile(double q) const {
  PENSTOCK_ASSERT(q >= 0);
  PENSTOCK_ASSERT(q <= 1);
  if (count_ == 0) return 0;
  const double exact = std::ceil(q * static_cast<double>(count_));
  const auto rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kCounts; ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min(last_value(i), max_);
  }
  return max_;
}

std::string HdrHistogram::encoded() const {
  std::string counts;
  const std::size_t used = count_ == 0 ? 0 : index_of(max_) + 1;
  for (std::size_t i = 0; i < used;) {
    std::size_t end = i;
    while (end < used && counts_[end] == 0) ++end;
    if (end > i) {
      append_varint(-static_cast<std::int64_t>(end - i), counts);
      i = end;
    } else {
      append_varint(static_cast<std::int64_t>(counts_[i++]), counts);
    }
  }
  std::string plain;
  append_big_endian(kCookie, plain);
  append_big_endian(static_cast<std::uint32_t>(counts.size()), plain);
  append_big_endian(std::uint32_t{0}, plain);  // index offset
  append_big_endian(std::uint32_t{kSignificantDigits}, plain);
  append_big_endian(std::uint64_t{1}, plain);  // lowest value
  append_big_endian(kValueMax, plain);
  append_big_endian(std::bit_cast<std::uint64_t>(1.0), plain);  // factor to a double
  const std::string packed = compressed(plain + counts);
  std::string payload;
  append_big_endian(kCompressedCookie, payload);
  append_big_endian(static_cast<std::uint32_t>(packed.size()), payload);
  std::string text;
  client::base64_append(payload + packed, text);
  return text;
}

Attempt<HdrLog> HdrLog::create(const std::string& path, double epoch_seconds) {
  errno = 0;
  std::ofstream file(path, std::ios::trunc);
  if (!file) return std::unexpected(file_problem(path, errno != 0 ? errno : EIO));
  HdrLog log(std::move(file), path);
  const auto written = log.write(fmt::format(
      "#[Histogram log format version 1.3]\n"
      "#[StartTime: {0:.3f} (seconds since epoch), {1}]\n"
      "#[BaseTime: {0:.3f} (seconds since epoch)]\n"
      "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
      epoch_seconds, format_time(epoch_seconds)));
  if (!written) return std::unexpected(written.error());
  return log;
}

Attempt<void> HdrLog::append(std::string_view tag, double start_seconds, double length_seconds,
                             const HdrHistogram& latencies) {
  PENSTOCK_ASSERT(start_seconds >= 0);
  PENSTOCK_ASSERT(length_seconds >= 0);
  std::string name(tag);
  for (char& c : name) {
    if (c == ',' || static_cast<unsigned char>(c) <= ' ') c = '_';
  }
  return write(fmt::format("Tag={},{:.3f},{:.3f},{:.3f},{}\n", name, start_seconds, length_seconds,
                           static_cast<double>(latencies.max()) / kNanosPerMilli,
                           latencies.encoded()));
}

Attempt<void> HdrLog::write(const std::string& text) {
  errno = 0;
  file_ << text << std::flush;
  if (!file_) return std::unexpected(file_problem(path_, errno != 0 ? errno : EIO));
  return {};
}

}  // namespace penstock::tools::bench
