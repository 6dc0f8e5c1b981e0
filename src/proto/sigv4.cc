#include "proto/sigv4.h"

#include "base/ascii.h"

#include <algorithm>
#include <cstring>

namespace penstock::proto {
namespace {

bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

void append_encoded(std::string& out, char c) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const auto value = static_cast<unsigned char>(c);
  out += '%';
  out += kDigits[value >> 4];
  out += kDigits[value & 15];
}

// Decodes what the client encoded and encodes it the one canonical way.
void append_normalised(std::string& out, std::string_view text) {
  for (const char c : base::percent_decoded(text)) {
    if (unreserved(c)) {
      out += c;
    } else {
      append_encoded(out, c);
    }
  }
}

// Dot segments and empty segments leave; what is encoded already is encoded once more.
void append_path(std::string& out, std::string_view path) {
  const std::size_t begin = out.size();
  std::size_t at = 0;
  while (at < path.size()) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, slash - at);
    at = slash + 1;
    if (segment.empty() || segment == ".") continue;
    if (segment == "..") {
      const std::size_t last = out.rfind('/');
      if (last != std::string::npos && last >= begin) out.resize(last);
      continue;
    }
    out += '/';
    for (const char c : segment) {
      if (unreserved(c)) {
        out += c;
      } else {
        append_encoded(out, c);
      }
    }
  }
  if (out.size() == begin || (path.ends_with('/') && out.back() != '/')) out += '/';
}

// Trimmed, with runs of spaces made one.
void append_header_value(std::string& out, std::string_view value) {
  bool pending = false;
  bool any = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      pending = any;
      continue;
    }
    if (pending) out += ' ';
    out += c;
    pending = false;
    any = true;
  }
}

}  // namespace

CredentialScope CredentialScope::parse(std::string_view credential) {
  CredentialScope scope;
  std::string_view* const parts[] = {&scope.terminator, &scope.service, &scope.region, &scope.date};
  for (std::string_view* part : parts) {
    const std::size_t slash = credential.rfind('/');
    if (slash == std::string_view::npos) break;
    *part = credential.substr(slash + 1);
    credential = credential.substr(0, slash);
  }
  scope.access_key_id = credential;
  return scope;
}

Authorization Authorization::parse(std::string_view header) {
  Authorization parts;
  const auto next_word = [&header] {
    const std::size_t begin = std::min(header.find_first_not_of(", "), header.size());
    const std::size_t end = std::min(header.find_first_of(", ", begin), header.size());
    const std::string_view word = header.substr(begin, end - begin);
    header.remove_prefix(end);
    return word;
  };
  parts.algorithm = next_word();
  for (std::string_view word = next_word(); !word.empty(); word = next_word()) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = word.substr(0, equals);
    const std::string_view value = word.substr(equals + 1);
    if (name == "Credential") parts.credential = value;
    if (name == "SignedHeaders") parts.signed_headers = value;
    if (name == "Signature") parts.signature = value;
  }
  return parts;
}

Signer::Signer() {
  canonical_.reserve(2048);
  to_sign_.reserve(256);
}

Sigv4Signature Signer::sign(const SignedRequest& request, std::string_view date_time,
                            const CredentialScope& scope, std::string_view secret) {
  const Sha256Digest& key = signing_key(scope, secret);
  write_canonical(request);
  hash_.reset();
  hash_.update(canonical_);
  const Sha256Digest digest = hash_.finish();
  std::array<char, 64> digest_hex{};
  write_hex(digest, digest_hex.data());

  to_sign_.assign(kSigv4Algorithm).append("\n").append(date_time).append("\n");
  to_sign_.append(scope.date).append("/").append(scope.region).append("/");
  to_sign_.append(scope.service).append("/").append(scope.terminator).append("\n");
  to_sign_.append(digest_hex.data(), digest_hex.size());

  Sigv4Signature signature{};
  write_hex(hash_.hmac(key, to_sign_), signature.data());
  return signature;
}

void Signer::write_canonical(const SignedRequest& request) {
  const std::size_t question = std::min(request.target.find('?'), request.target.size());
  canonical_.assign(request.method).append("\n");
  append_path(canonical_, request.target.substr(0, question));
  canonical_ += '\n';
  if (question < request.target.size()) write_query(request.target.substr(question + 1));
  canonical_ += '\n';
  write_headers(request);
  canonical_.append("\n").append(request.signed_headers).append("\n");
  canonical_.append(request.payload_hash);
}

void Signer::write_query(std::string_view query) {
  query_.clear();
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    QueryPart part;
    append_normalised(part.name, pair.substr(0, equals));
    append_normalised(part.value, pair.substr(std::min(equals + 1, pair.size())));
    if (part.name != "X-Amz-Signature") query_.push_back(std::move(part));
  }
  std::sort(query_.begin(), query_.end(), [](const QueryPart& a, const QueryPart& b) {
    return a.name != b.name ? a.name < b.name : a.value < b.value;
  });
  for (std::size_t i = 0; i < query_.size(); ++i) {
    if (i > 0) canonical_ += '&';
    canonical_.append(query_[i].name).append("=").append(query_[i].value);
  }
}

void Signer::write_headers(const SignedRequest& request) {
  std::string_view names = request.signed_headers;
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(';'), names.size());
    const std::string_view name = names.substr(0, end);
    names.remove_prefix(std::min(end + 1, names.size()));
    canonical_.append(name).append(":");
    bool first = true;
    for (const HeaderField& header : request.headers) {
      if (!base::equals_ignoring_case(header.name, name)) continue;
      if (!first) canonical_ += ',';
      append_header_value(canonical_, header.value);
      first = false;
    }
    canonical_ += '\n';
  }
}

const Sha256Digest& Signer::signing_key(const CredentialScope& scope, std::string_view secret) {
  for (const CachedKey& entry : keys_) {
    if (entry.date == scope.date && entry.region == scope.region &&
        entry.service == scope.service && entry.secret == secret && !entry.date.empty()) {
      return entry.key;
    }
  }
  CachedKey& entry = keys_[next_key_++ % kCachedKeys];
  entry.secret = secret;
  entry.date = scope.date;
  entry.region = scope.region;
  entry.service = scope.service;
  const std::string start = "AWS4" + entry.secret;
  entry.key = hash_.hmac(std::as_bytes(std::span(start)), scope.date);
  entry.key = hash_.hmac(entry.key, scope.region);
  entry.key = hash_.hmac(entry.key, scope.service);
  entry.key = hash_.hmac(entry.key, kSigv4Terminator);
  return entry.key;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(a[i])) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

SignatureHeaders sign_request(Signer& signer, const ClientCredentials& credentials,
                              std::string_view method, std::string_view target,
                              std::span<const HeaderField> headers, std::string_view body,
                              WallMillis wall) {
  SignatureHeaders result;
  const auto date_time = sigv4_date_time(wall.raw() / 1000);
  result.date_time.assign(date_time.data(), date_time.size());

  std::vector<HeaderField> all(headers.begin(), headers.end());
  all.push_back({"x-amz-date", result.date_time});
  std::vector<std::string> names;
  for (const HeaderField& header : all) {
    std::string name(header.name);
    std::transform(name.begin(), name.end(), name.begin(), base::lower);
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string signed_headers;
  for (const std::string& name : names) {
    if (!signed_headers.empty()) signed_headers += ';';
    signed_headers += name;
  }

  std::array<char, 64> payload{};
  write_hex(sha256(body), payload.data());
  const CredentialScope scope{.access_key_id = credentials.access_key_id,
                              .date = std::string_view(result.date_time).substr(0, 8),
                              .region = credentials.region,
                              .service = credentials.service,
                              .terminator = kSigv4Terminator};
  const Sigv4Signature signature =
      signer.sign({.method = method,
                   .target = target,
                   .headers = all,
                   .signed_headers = signed_headers,
                   .payload_hash = {payload.data(), payload.size()}},
                  result.date_time, scope, credentials.secret_access_key);
  result.authorization.append(kSigv4Algorithm).append(" Credential=");
  result.authorization.append(scope.access_key_id).append("/").append(scope.date).append("/");
  result.authorization.append(scope.region).append("/").append(scope.service).append("/");
  result.authorization.append(scope.terminator).append(", SignedHeaders=");
  result.authorization.append(signed_headers).append(", Signature=");
  result.authorization.append(signature.data(), signature.size());
  return result;
}

}  // namespace penstock::proto
