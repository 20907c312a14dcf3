// AVX-512 (F, BW, VL, DQ), with and without the 8-bit (VNNI) and bf16 dot products. 24 of the 32 registers hold sums:
// 6 tokens x 64 rows.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define NIMLLM_BUILT 1
#include <immintrin.h>
#define LANES 16
#define VECTORS 4
#define TILE 6
#define BLOCKS 4

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma,prefer-vector-width=512")
#endif
namespace nimllm {
namespace avx512 {
// Even and odd bytes as 16-bit numbers: vpmaddubsw would saturate, these products cannot.
static inline __attribute__((always_inline)) __m512i dot8(__m512i acc, __m512i w, int32_t four) {
    const __m512i x = _mm512_set1_epi32(four);
    const __m512i even = _mm512_madd_epi16(_mm512_and_si512(w, _mm512_set1_epi16(255)),
                                           _mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8));
    const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(w, 8), _mm512_srai_epi16(x, 8));
    return _mm512_add_epi32(acc, _mm512_add_epi32(even, odd));
}
#define DOT_BF16 0
#define DOT8(acc, w, x) ((vi)dot8((__m512i)(acc), (__m512i)(w), (x)))
#include "kernels_body.h"
#undef DOT_BF16
#undef DOT8
}  // namespace avx512
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,prefer-vector-width=512")
#endif
#define DOT8(acc, w, x) ((vi)_mm512_dpbusd_epi32((__m512i)(acc), (__m512i)(w), _mm512_set1_epi32(x)))
namespace nimllm {
namespace avx512vnni {
#define DOT_BF16 0
#include "kernels_body.h"
#undef DOT_BF16
}  // namespace avx512vnni
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,fma,prefer-vector-width=512")
#endif
namespace nimllm {
namespace avx512bf16 {
#define DOT_BF16 1
#include "kernels_body.h"
}  // namespace avx512bf16
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace nimllm {

const Kernels *kernels_avx512(Format format) {
#ifdef NIMLLM_BUILT
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return nullptr;
    static const Kernels table[] = {avx512::make<avx512::Fp32>("avx512"), avx512::make<avx512::Bf16>("avx512"),
                                    avx512::make<avx512::Q8>("avx512"), avx512::make<avx512::Q4>("avx512")};
    static const Kernels vnni[] = {avx512vnni::make<avx512vnni::Q8>("avx512vnni"),
                                   avx512vnni::make<avx512vnni::Q4>("avx512vnni")};
    static const Kernels dot = avx512bf16::make<avx512bf16::Bf16>("avx512bf16");
    if (format >= Format::q8 && __builtin_cpu_supports("avx512vnni")) return &vnni[int(format) - int(Format::q8)];
    if (format == Format::bf16 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16"))
        return &dot;
    return &table[int(format)];
#else
    (void)format;
    return nullptr;
#endif
}

}  // namespace nimllm
