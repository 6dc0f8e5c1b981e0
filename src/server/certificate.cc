#include "server/certificate.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace penstock::server {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kValid = 825 * kDay;
constexpr std::int64_t kRenewBefore = 90 * kDay;
constexpr std::int64_t kClocksDiffer = 3'600;
// 2026-01-01: this was written later.
constexpr std::int64_t kFirstClock = 1'767'225'600;
// 9999-12-31 23:59:59: "has no well-defined expiration date" (RFC 5280 §4.1.2.5).
constexpr std::int64_t kNever = 253'402'300'799;

template <auto Free>
struct Freeing {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freeing<X509_free>>;
using Bio = std::unique_ptr<BIO, Freeing<BIO_free_all>>;

std::string reason() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  return text.data();
}

bool extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

Certificate blank(EVP_PKEY* key, const std::string& name, const Validity& validity,
                  env::Entropy& entropy) {
  Certificate certificate(X509_new());
  std::array<std::byte, 8> serial{};
  entropy.fill(serial);
  std::uint64_t number = 0;
  for (const std::byte b : serial) number = (number << 8) | std::to_integer<std::uint64_t>(b);
  X509_set_version(certificate.get(), 2);  // counted from 0: v3
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), number >> 1);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), validity.from);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), validity.until);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

std::string pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

Bio readable(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate parse_certificate(std::string_view text) {
  return Certificate(PEM_read_bio_X509(readable(text).get(), nullptr, nullptr, nullptr));
}

Key parse_key(std::string_view text) {
  return Key(PEM_read_bio_PrivateKey(readable(text).get(), nullptr, nullptr, nullptr));
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  const std::unique_ptr<ASN1_TIME, Freeing<ASN1_TIME_free>> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  ASN1_TIME_diff(&days, &seconds, epoch.get(), time);
  return days * kDay + seconds;
}

Certificate issue(X509* authority, EVP_PKEY* authority_key, EVP_PKEY* server_key,
                  env::Entropy& entropy, std::int64_t now) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  const Validity validity =
      clock_was_set(now) ? Validity{now - kClocksDiffer, now + kValid} : Validity{0, kNever};
  Certificate server = blank(server_key, "penstockd", validity, entropy);
  X509_set_issuer_name(server.get(), X509_get_subject_name(authority));
  std::string names = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1";
  if (host[0] != '\0') names += fmt::format(",DNS:{}", host.data());
  if (!extend(server.get(), authority, NID_subject_alt_name, names) ||
      !extend(server.get(), authority, NID_basic_constraints, "critical,CA:FALSE") ||
      !extend(server.get(), authority, NID_key_usage, "critical,digitalSignature") ||
      !extend(server.get(), authority, NID_ext_key_usage, "serverAuth") ||
      !extend(server.get(), authority, NID_subject_key_identifier, "hash") ||
      !extend(server.get(), authority, NID_authority_key_identifier, "keyid") ||
      X509_sign(server.get(), authority_key, EVP_sha256()) == 0) {
    return nullptr;
  }
  return server;
}

}  // namespace

bool clock_was_set(std::int64_t now) { return now >= kFirstClock; }

std::expected<Certificates, std::string> make_certificates(env::Entropy& entropy,
                                                           std::int64_t now) {
  const Key authority_key(EVP_EC_gen("P-256"));
  const Key server_key(EVP_EC_gen("P-256"));
  if (!authority_key || !server_key) return std::unexpected("cannot make a key: " + reason());

  const Certificate authority =
      blank(authority_key.get(), "Penstock local authority", {0, kNever}, entropy);
  X509_set_issuer_name(authority.get(), X509_get_subject_name(authority.get()));
  if (!extend(authority.get(), authority.get(), NID_basic_constraints,
              "critical,CA:TRUE,pathlen:0") ||
      !extend(authority.get(), authority.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !extend(authority.get(), authority.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(authority.get(), authority_key.get(), EVP_sha256()) == 0) {
    return std::unexpected("cannot make the authority: " + reason());
  }
  const Certificate server =
      issue(authority.get(), authority_key.get(), server_key.get(), entropy, now);
  if (!server) return std::unexpected("cannot make the certificate: " + reason());
  return Certificates{pem(authority.get()), pem(authority_key.get()), pem(server.get()),
                      pem(server_key.get())};
}

std::expected<std::string, std::string> renew_certificate(std::string_view authority,
                                                          std::string_view authority_key,
                                                          std::string_view server_key,
                                                          env::Entropy& entropy, std::int64_t now) {
  const Certificate issuer = parse_certificate(authority);
  const Key issuer_key = parse_key(authority_key);
  const Key key = parse_key(server_key);
  if (!issuer || !issuer_key || !key) {
    return std::unexpected("cannot read the authority or a key: " + reason());
  }
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    return std::unexpected("the authority's key is not that of its certificate");
  }
  const Certificate server = issue(issuer.get(), issuer_key.get(), key.get(), entropy, now);
  if (!server) return std::unexpected("cannot make the certificate: " + reason());
  return pem(server.get());
}

std::expected<Validity, std::string> validity_of(std::string_view chain) {
  const Certificate certificate = parse_certificate(chain);
  if (!certificate) return std::unexpected("no certificate: " + reason());
  return Validity{seconds_of(X509_get0_notBefore(certificate.get())),
                  seconds_of(X509_get0_notAfter(certificate.get()))};
}

std::string_view renewal_reason(const Validity& validity, std::int64_t now) {
  if (!clock_was_set(now)) return {};
  if (now >= validity.until) return "it has expired";
  if (now < validity.from) return "it is not valid yet";
  if (validity.until - now < kRenewBefore) return "it expires within 90 days";
  if (validity.until == kNever) return "it was made before the clock was set";
  return {};
}

}  // namespace penstock::server
