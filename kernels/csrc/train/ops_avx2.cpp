// AVX2 with FMA: 8 of the 16 registers hold sums.
#include "ops.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define NIMLLM_BUILT 1
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace nimllm {
namespace train {
namespace avx2 {
#define LANES 8
#define ROWS 2
#define DOT_BF16 0
#include "ops_body.h"
}  // namespace avx2
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

const Ops *ops_avx2(Dtype dtype) {
#ifdef NIMLLM_BUILT
    return avx2::choose(dtype);
#else
    return ops_portable(dtype);
#endif
}

}  // namespace train
}  // namespace nimllm
