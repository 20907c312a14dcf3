// AVX-512 (F, BW, VL, DQ), with and without the bf16 dot product.
#include "ops.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define NIMLLM_BUILT 1
#include <immintrin.h>
#define LANES 16
#define ROWS 4

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma,prefer-vector-width=512")
#endif
namespace nimllm {
namespace train {
namespace avx512 {
#define DOT_BF16 0
#include "ops_body.h"
#undef DOT_BF16
}  // namespace avx512
}  // namespace train
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
namespace train {
namespace avx512bf16 {
#define DOT_BF16 1
#include "ops_body.h"
}  // namespace avx512bf16
}  // namespace train
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace nimllm {
namespace train {

const Ops *ops_avx512(Dtype dtype, bool dot_bf16) {
#ifdef NIMLLM_BUILT
    return dot_bf16 ? avx512bf16::choose(dtype) : avx512::choose(dtype);
#else
    (void)dot_bf16;
    return ops_portable(dtype);
#endif
}

}  // namespace train
}  // namespace nimllm
