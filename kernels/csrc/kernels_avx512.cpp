// AVX-512 (F, BW, VL, DQ), with and without the bf16 dot product. 24 of the 32 registers hold sums: 6 tokens x 64 rows.
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
#define DOT_BF16 0
#include "kernels_body.h"
#undef DOT_BF16
}  // namespace avx512
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma,prefer-vector-width=512")
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

const Kernels *kernels_avx512(bool bf16) {
#ifdef NIMLLM_BUILT
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return nullptr;
    static const Kernels wide = avx512::make<avx512::Fp32>("avx512");
    if (!bf16) return &wide;
    if (__builtin_cpu_supports("avx512bf16")) {
        static const Kernels dot = avx512bf16::make<avx512bf16::Bf16>("avx512bf16");
        return &dot;
    }
    static const Kernels narrow = avx512::make<avx512::Bf16>("avx512");
    return &narrow;
#else
    (void)bf16;
    return nullptr;
#endif
}

}  // namespace nimllm
