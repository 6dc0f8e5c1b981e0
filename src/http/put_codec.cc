#include "http/put_codec.h"

#include "base/assert.h"
#include "http/base64.h"
#include "http/json_scan.h"
#include "http/validation.h"
#include "route/md5.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>

namespace penstock::http {

namespace {

// --- The scan ---------------------------------------------------------------------------------

// REQUIRES: below the surrogates, as every escape that the scan understands.
constexpr std::uint32_t utf8_bytes(std::uint32_t code_point) {
  return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : 3;
}

struct Text {
  const char* begin = nullptr;
  std::string_view as_sent;  // from there
  bool escaped = false;
  bool ascii = true;
  std::size_t escape_savings = 0;  // characters fewer once unescaped, each escape counting as one
  std::size_t bytes_saved = 0;     // bytes fewer
};

class Scanner {
 public:
  Scanner(std::span<const char> body, ScannedPut& out, std::span<ScannedRecord> records)
      : begin_(body.data()),
        at_(body.data()),
        end_(body.data() + body.size()),
        out_(out),
        records_(records) {}

  bool put_record();
  bool put_records();

 private:
  enum class Next : std::uint8_t { kMember, kEnd, kWrong };

  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool take(char wanted) {
    skip_space();
    if (at_ >= end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  bool at_document_end() {
    skip_space();
    return at_ == end_;
  }
  // After an opening brace or a value: the next member's name with its colon, or the closing brace.
  Next next_member(bool first, std::string_view& name);
  bool read_string(Text& out);
  bool read_name(std::string_view& out, Pattern pattern, std::size_t longest);
  bool read_data(ScannedRecord& record);
  bool read_escaped_data(const char* from, ScannedRecord& record);
  bool finish_data(const char* from, std::string_view tail, std::size_t characters,
                   ScannedRecord& record);
  bool read_key(ScannedRecord& record);
  bool read_hash(ScannedRecord& record);
  bool read_list();
  bool read_record(ScannedRecord& record);
  // Members of a record, wherever they stand. Gives nothing for any other name.
  std::optional<bool> record_member(std::string_view name, ScannedRecord& record);
  std::optional<bool> stream_member(std::string_view name);
  bool complete(const ScannedRecord& record);
  [[nodiscard]] bool names_a_stream() const {
    return !out_.stream_name.empty() || !out_.stream_arn.empty();
  }
  [[nodiscard]] std::uint32_t offset(const char* at) const {
    return static_cast<std::uint32_t>(at - begin_);
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  ScannedPut& out_;
  std::span<ScannedRecord> records_;
};

Scanner::Next Scanner::next_member(bool first, std::string_view& name) {
  if (take('}')) return Next::kEnd;
  if (!first && !take(',')) return Next::kWrong;
  Text text;
  if (!read_string(text) || text.escaped || !take(':')) return Next::kWrong;
  name = text.as_sent;
  return Next::kMember;
}

bool Scanner::read_string(Text& out) {
  if (!take('"')) return false;
  const char* const from = at_;
  for (;;) {
    at_ = skip_plain(at_, end_, out.ascii);
    if (at_ >= end_) return false;
    if (*at_ == '"') break;
    if (*at_ != '\\') return false;
    const Escape escape = read_escape(at_);
    if (escape.characters == 0 || at_ + escape.characters > end_) return false;
    out.escaped = true;
    out.escape_savings += escape.characters - 1;
    out.bytes_saved += escape.characters - utf8_bytes(escape.code_point);
    at_ += escape.characters;
  }
  out.begin = from;
  out.as_sent = {from, static_cast<std::size_t>(at_ - from)};
  ++at_;
  return true;
}

bool Scanner::read_name(std::string_view& out, Pattern pattern, std::size_t longest) {
  Text text;
  if (!out.empty() || !read_string(text) || text.escaped || !text.ascii) return false;
  if (text.as_sent.size() > longest || !matches(pattern, text.as_sent)) return false;
  out = text.as_sent;
  return true;
}

bool Scanner::read_key(ScannedRecord& record) {
  Text text;
  if (record.has_key || !read_string(text)) return false;
  if (!text.ascii && !simdjson::validate_utf8(text.as_sent)) return false;
  const std::size_t sent = text.ascii ? text.as_sent.size() : count_characters(text.as_sent);
  const std::size_t characters = sent - text.escape_savings;
  if (characters < 1 || characters > kPartitionKeyCharactersMax) return false;
  record.has_key = true;
  record.key_escaped = text.escaped;
  record.key_at = offset(text.begin);
  record.key_characters = static_cast<std::uint32_t>(text.as_sent.size());
  record.key_bytes = static_cast<std::uint32_t>(text.as_sent.size() - text.bytes_saved);
  return true;
}

bool Scanner::read_hash(ScannedRecord& record) {
  Text text;
  if (record.has_hash || !read_string(text) || text.escaped) return false;
  const std::optional<base::HashKey> hash = base::HashKey::parse(text.as_sent);
  if (!hash) return false;
  record.hash = *hash;
  record.has_hash = true;
  return true;
}

bool Scanner::read_data(ScannedRecord& record) {
  if (record.has_data || !take('"')) return false;
  const char* const from = at_;
  at_ = skip_base64(at_, end_);
  if (at_ >= end_) return false;
  if (*at_ == '\\') {
    at_ = from;
    return read_escaped_data(from, record);
  }
  const char* const alphabet_end = at_;
  while (at_ < end_ && *at_ == '=' && at_ - alphabet_end < 2) ++at_;
  if (at_ >= end_ || *at_ != '"') return false;
  const auto characters = static_cast<std::size_t>(at_ - from);
  const std::size_t tail = characters < 4 ? characters : 4;
  if (!finish_data(from, {at_ - tail, tail}, characters, record)) return false;
  ++at_;
  return true;
}

// Slashes are often escaped, by PHP for one: character by character, until the quote.
bool Scanner::read_escaped_data(const char* from, ScannedRecord& record) {
  std::array<char, 4> tail{};
  std::size_t characters = 0;
  std::size_t padding = 0;
  while (at_ < end_ && *at_ != '"') {
    char c = *at_;
    std::uint32_t taken = 1;
    if (c == '\\') {
      const Escape escape = read_escape(at_);
      if (escape.characters == 0 || escape.code_point >= 0x80) return false;
      c = static_cast<char>(escape.code_point);
      taken = escape.characters;
    }
    if (at_ + taken > end_) return false;
    if (c == '=') {
      ++padding;
    } else if (!is_base64_character(c) || padding > 0) {
      return false;
    }
    tail[characters % 4] = c;
    ++characters;
    at_ += taken;
  }
  if (at_ >= end_ || padding > 2) return false;
  record.data_escaped = true;
  const std::size_t tail_characters = characters < 4 ? characters : 4;
  if (!finish_data(from, {tail.data(), tail_characters}, characters, record)) return false;
  ++at_;
  return true;
}

// `tail`: the last four characters, unescaped; at_ stands on the closing quote.
bool Scanner::finish_data(const char* from, std::string_view tail, std::size_t characters,
                          ScannedRecord& record) {
  if (characters % 4 != 0) return false;
  const std::size_t padding = tail.ends_with("==") ? 2 : tail.ends_with("=") ? 1 : 0;
  // Bits of the last character that no byte takes must be 0.
  const unsigned unused = padding == 2 ? 15 : padding == 1 ? 3 : 0;
  if (padding > 0 && (base64_value(tail[tail.size() - padding - 1]) & unused) != 0) return false;
  const std::size_t bytes = characters / 4 * 3 - padding;
  if (bytes > kRecordDataBytesMax) return false;
  record.has_data = true;
  record.data_at = offset(from);
  record.data_characters = static_cast<std::uint32_t>(at_ - from);
  record.data_bytes = static_cast<std::uint32_t>(bytes);
  return true;
}

std::optional<bool> Scanner::record_member(std::string_view name, ScannedRecord& record) {
  if (name == "Data") return read_data(record);
  if (name == "PartitionKey") return read_key(record);
  if (name == "ExplicitHashKey") return read_hash(record);
  return std::nullopt;
}

std::optional<bool> Scanner::stream_member(std::string_view name) {
  if (name == "StreamName") return read_name(out_.stream_name, Pattern::kName, kStreamNameMax);
  if (name == "StreamARN") return read_name(out_.stream_arn, Pattern::kStreamArn, kStreamArnMax);
  return std::nullopt;
}

bool Scanner::complete(const ScannedRecord& record) {
  if (!record.has_data || !record.has_key) return false;
  out_.data_bytes += record.data_bytes;
  out_.key_bytes += record.key_bytes;
  if (record.data_bytes > out_.data_bytes_max) out_.data_bytes_max = record.data_bytes;
  ++out_.count;
  return true;
}

bool Scanner::read_record(ScannedRecord& record) {
  record = {};
  if (!take('{')) return false;
  std::string_view name;
  for (bool first = true;; first = false) {
    switch (next_member(first, name)) {
      case Next::kEnd:
        return complete(record);
      case Next::kWrong:
        return false;
      case Next::kMember:
        if (!record_member(name, record).value_or(false)) return false;
    }
  }
}

bool Scanner::read_list() {
  if (out_.count > 0 || !take('[')) return false;
  do {
    if (out_.count == kPutRecordsMax || !read_record(records_[out_.count])) return false;
  } while (take(','));
  return take(']');
}

bool Scanner::put_records() {
  if (!take('{')) return false;
  std::string_view name;
  for (bool first = true;; first = false) {
    switch (next_member(first, name)) {
      case Next::kEnd:
        return out_.count > 0 && names_a_stream() && at_document_end();
      case Next::kWrong:
        return false;
      case Next::kMember:
        if (name == "Records") {
          if (!read_list()) return false;
        } else if (!stream_member(name).value_or(false)) {
          return false;
        }
    }
  }
}

bool Scanner::put_record() {
  ScannedRecord& record = records_[0];
  record = {};
  if (!take('{')) return false;
  std::string_view name;
  for (bool first = true;; first = false) {
    switch (next_member(first, name)) {
      case Next::kEnd:
        return complete(record) && names_a_stream() && at_document_end();
      case Next::kWrong:
        return false;
      case Next::kMember:
        break;
    }
    std::optional<bool> understood = record_member(name, record);
    if (!understood) understood = stream_member(name);
    if (!understood && name == "SequenceNumberForOrdering") {
      understood =
          read_name(out_.sequence_for_ordering, Pattern::kSequenceNumber, kSequenceDigitsMax);
    }
    if (!understood.value_or(false)) return false;
  }
}

}  // namespace

bool scan_put(PutCall call, std::span<const char> body, ScannedPut& out,
              std::span<ScannedRecord> records) {
  PENSTOCK_ASSERT(records.size() >= kPutRecordsMax);
  out = {};
  if (body.size() >= UINT32_MAX) return false;
  Scanner scanner(body, out, records);
  return call == PutCall::kPutRecord ? scanner.put_record() : scanner.put_records();
}

std::span<const Member> put_shape(PutCall call) {
  static constexpr Member kStreamName{.name = "StreamName",
                                      .needed = Needed::kUnlessArn,
                                      .pattern = Pattern::kName,
                                      .min = 1,
                                      .max = kStreamNameMax};
  static constexpr Member kStreamArn{
      .name = "StreamARN", .pattern = Pattern::kStreamArn, .min = 1, .max = kStreamArnMax};
  static constexpr Member kKey{
      .name = "PartitionKey", .needed = Needed::kYes, .min = 1, .max = kPartitionKeyCharactersMax};
  static constexpr Member kHash{.name = "ExplicitHashKey", .pattern = Pattern::kHashKey};
  static constexpr Member kData{
      .name = "Data", .kind = Kind::kBlob, .needed = Needed::kYes, .max = kRecordDataBytesMax};
  static constexpr Member kEntry[] = {kKey, kHash, kData};
  static constexpr Member kPutRecords[] = {
      {.name = "Records",
       .kind = Kind::kList,
       .needed = Needed::kYes,
       .min = 1,
       .max = kPutRecordsMax,
       .children = kEntry,
       .element_class = "com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310"},
      kStreamName,
      kStreamArn,
      {.name = "StreamId"}};
  static constexpr Member kPutRecord[] = {
      {.name = "SequenceNumberForOrdering", .pattern = Pattern::kSequenceNumber},
      kKey,
      kHash,
      kData,
      kStreamName,
      kStreamArn,
      {.name = "StreamId"}};
  if (call == PutCall::kPutRecord) return kPutRecord;
  return kPutRecords;
}

namespace {

// Copies what the parser holds over a body that is no longer needed. What is unescaped is never
// longer than what was sent, so it fits.
class BodyWriter {
 public:
  explicit BodyWriter(std::span<char> body) : body_(body) {}
  std::uint32_t put(std::string_view text) {
    PENSTOCK_ASSERT(text.size() <= body_.size() - used_);
    std::copy(text.begin(), text.end(), body_.data() + used_);
    const auto at = static_cast<std::uint32_t>(used_);
    used_ += text.size();
    return at;
  }

 private:
  std::span<char> body_;
  std::size_t used_ = 0;
};

const Value& member(PutCall call, std::span<const Value> values, std::string_view name) {
  const std::span<const Member> shape = put_shape(call);
  const auto at =
      std::find_if(shape.begin(), shape.end(), [name](const Member& m) { return m.name == name; });
  PENSTOCK_ASSERT(at != shape.end());
  return values[static_cast<std::size_t>(at - shape.begin())];
}

}  // namespace

void general_put(PutCall call, std::span<const Value> values, std::span<char> body, ScannedPut& out,
                 std::span<ScannedRecord> records, std::string_view& hash_out_of_range) {
  out = {};
  out.stream_name = member(call, values, "StreamName").text;
  out.stream_arn = member(call, values, "StreamARN").text;
  BodyWriter writer(body);
  const auto add = [&](const Value& key, const Value& hash, const Value& data) {
    ScannedRecord& record = records[out.count++];
    record = {.key_at = writer.put(key.text),
              .key_characters = static_cast<std::uint32_t>(key.text.size()),
              .key_bytes = static_cast<std::uint32_t>(key.text.size()),
              .data_at = writer.put(data.text),
              .data_characters = static_cast<std::uint32_t>(data.text.size()),
              .data_bytes = static_cast<std::uint32_t>(base64_decoded_bytes(data.text)),
              .has_key = true,
              .has_data = true,
              .has_hash = hash.present};
    out.data_bytes += record.data_bytes;
    out.key_bytes += record.key_bytes;
    out.data_bytes_max = std::max(out.data_bytes_max, record.data_bytes);
    if (!hash.present) return;
    const std::optional<base::HashKey> parsed = base::HashKey::parse(hash.text);
    if (parsed) {
      record.hash = *parsed;
    } else if (hash_out_of_range.empty()) {
      hash_out_of_range = hash.text;
    }
  };
  if (call == PutCall::kPutRecord) {
    out.sequence_for_ordering = member(call, values, "SequenceNumberForOrdering").text;
    add(member(call, values, "PartitionKey"), member(call, values, "ExplicitHashKey"),
        member(call, values, "Data"));
    return;
  }
  for (const Value& item : member(call, values, "Records").items) {
    add(item.items[0], item.items[1], item.items[2]);
  }
}

namespace {

void hash_keys(std::span<const ScannedRecord> records, std::span<shard::PutEntry> entries) {
  constexpr std::size_t kGroup = 64;
  std::array<route::KeyRef, kGroup> keys;
  std::array<base::HashKey, kGroup> hashes;
  std::array<shard::PutEntry*, kGroup> owners{};
  std::size_t held = 0;
  const auto flush = [&] {
    route::md5(std::span(keys).first(held), std::span(hashes).first(held));
    for (std::size_t i = 0; i < held; ++i) owners[i]->record.hash = hashes[i];
    held = 0;
  };
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (records[i].has_hash) continue;
    keys[held] = {entries[i].record.key, entries[i].record.key_bytes};
    owners[held] = &entries[i];
    if (++held == kGroup) flush();
  }
  if (held > 0) flush();
}

}  // namespace

void materialise_put(std::span<char> body, std::span<const ScannedRecord> records,
                     std::span<shard::PutEntry> entries) {
  PENSTOCK_ASSERT(records.size() == entries.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const ScannedRecord& from = records[i];
    char* const key = body.data() + from.key_at;
    char* const data = body.data() + from.data_at;
    const std::size_t key_bytes =
        from.key_escaped ? unescape(key, from.key_characters) : from.key_characters;
    const std::size_t data_characters =
        from.data_escaped ? unescape(data, from.data_characters) : from.data_characters;
    auto* const bytes = reinterpret_cast<std::byte*>(data);
    const std::optional<std::size_t> decoded = base64_decode({data, data_characters}, bytes);
    PENSTOCK_ASSERT(decoded == std::optional<std::size_t>(from.data_bytes));
    entries[i] = {};
    entries[i].record = {.key = reinterpret_cast<const std::byte*>(key),
                         .data = bytes,
                         .data_bytes = from.data_bytes,
                         .key_bytes = static_cast<std::uint16_t>(key_bytes),
                         .hash = from.hash};
  }
  hash_keys(records, entries);
}

}  // namespace penstock::http
