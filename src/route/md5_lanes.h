// MD5 of eight short keys at a time, for a CPU that has AVX2, and for one that also has AVX-512 with VL.
#pragma once

#include "route/md5.h"

#include <span>

namespace penstock::route {

// Same contracts as `md5` and `md5_readable`.
void md5_avx2(std::span<const KeyRef> keys, std::span<base::HashKey> out);
void md5_readable_avx2(std::span<const KeyRef> keys, std::span<base::HashKey> out);
void md5_avx512(std::span<const KeyRef> keys, std::span<base::HashKey> out);
void md5_readable_avx512(std::span<const KeyRef> keys, std::span<base::HashKey> out);

}  // namespace penstock::route
