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

constexpr long kValidSeconds = 825L * 86'400;

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

Certificate blank(EVP_PKEY* key, const std::string& name, env::Entropy& entropy) {
  Certificate certificate(X509_new());
  std::array<std::byte, 8> serial{};
  entropy.fill(serial);
  std::uint64_t number = 0;
  for (const std::byte b : serial) number = (number << 8) | std::to_integer<std::uint64_t>(b);
  X509_set_version(certificate.get(), 2);  // counted from 0: v3
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), number >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);  // clocks differ
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds);
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

}  // namespace

std::expected<Certificates, std::string> make_certificates(env::Entropy& entropy) {
  const Key authority_key(EVP_EC_gen("P-256"));
  const Key server_key(EVP_EC_gen("P-256"));
  if (!authority_key || !server_key) return std::unexpected("cannot make a key: " + reason());

  const Certificate authority = blank(authority_key.get(), "Penstock local authority", entropy);
  X509_set_issuer_name(authority.get(), X509_get_subject_name(authority.get()));
  if (!extend(authority.get(), authority.get(), NID_basic_constraints,
              "critical,CA:TRUE,pathlen:0") ||
      !extend(authority.get(), authority.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !extend(authority.get(), authority.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(authority.get(), authority_key.get(), EVP_sha256()) == 0) {
    return std::unexpected("cannot make the authority: " + reason());
  }

  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  const Certificate server = blank(server_key.get(), "penstockd", entropy);
  X509_set_issuer_name(server.get(), X509_get_subject_name(authority.get()));
  std::string names = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1";
  if (host[0] != '\0') names += fmt::format(",DNS:{}", host.data());
  if (!extend(server.get(), authority.get(), NID_subject_alt_name, names) ||
      !extend(server.get(), authority.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !extend(server.get(), authority.get(), NID_key_usage, "critical,digitalSignature") ||
      !extend(server.get(), authority.get(), NID_ext_key_usage, "serverAuth") ||
      !extend(server.get(), authority.get(), NID_subject_key_identifier, "hash") ||
      !extend(server.get(), authority.get(), NID_authority_key_identifier, "keyid") ||
      X509_sign(server.get(), authority_key.get(), EVP_sha256()) == 0) {
    return std::unexpected("cannot make the certificate: " + reason());
  }
  return Certificates{pem(authority.get()), pem(server.get()), pem(server_key.get())};
}

}  // namespace penstock::server
