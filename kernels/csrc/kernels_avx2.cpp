// AVX2 with FMA: x86-64 from about 2013, most laptops; with AVX-VNNI from about 2021.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define NIMLLM_BUILT 1
#include <cpuid.h>
#include <immintrin.h>
#define LANES 8
#define VECTORS 4
#define TILE 3
#define BLOCKS 2
#define DOT_BF16 0

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace nimllm {
namespace avx2 {
// Even and odd bytes as 16-bit numbers: vpmaddubsw would saturate, these products cannot.
static inline __attribute__((always_inline)) __m256i dot8(__m256i acc, __m256i w, int32_t four) {
    const __m256i x = _mm256_set1_epi32(four);
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(w, _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(w, 8), _mm256_srai_epi16(x, 8));
    return _mm256_add_epi32(acc, _mm256_add_epi32(even, odd));
}
#define DOT8(acc, w, x) ((vi)dot8((__m256i)(acc), (__m256i)(w), (x)))
#include "kernels_body.h"
#undef DOT8
}  // namespace avx2
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,avxvnni"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avxvnni")
#endif
namespace nimllm {
namespace avxvnni {
#define DOT8(acc, w, x) ((vi)_mm256_dpbusd_avx_epi32((__m256i)(acc), (__m256i)(w), _mm256_set1_epi32(x)))
#include "kernels_body.h"
}  // namespace avxvnni
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace nimllm {

#ifdef NIMLLM_BUILT
static bool has_avxvnni() {  // leaf 7, subleaf 1: not in every compiler's list of names
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

const Kernels *kernels_avx2(Format format) {
#ifdef NIMLLM_BUILT
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return nullptr;
    static const Kernels table[] = {avx2::make<avx2::Fp32>("avx2"), avx2::make<avx2::Bf16>("avx2"),
                                    avx2::make<avx2::Q8>("avx2"), avx2::make<avx2::Q4>("avx2")};
    static const Kernels vnni[] = {avxvnni::make<avxvnni::Q8>("avx2vnni"), avxvnni::make<avxvnni::Q4>("avx2vnni")};
    if (format >= Format::q8 && has_avxvnni()) return &vnni[int(format) - int(Format::q8)];
    return &table[int(format)];
#else
    (void)format;
    return nullptr;
#endif
}

}  // namespace nimllm
