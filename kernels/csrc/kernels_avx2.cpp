// AVX2 with FMA: x86-64 from about 2013, most laptops.
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define NIMLLM_BUILT 1
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace nimllm {
namespace avx2 {
#define LANES 8
#define VECTORS 4
#define TILE 3
#define BLOCKS 2
#define DOT_BF16 0
#include "kernels_body.h"
}  // namespace avx2
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace nimllm {

const Kernels *kernels_avx2(bool bf16) {
#ifdef NIMLLM_BUILT
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return nullptr;
    static const Kernels narrow = avx2::make<avx2::Bf16>("avx2");
    static const Kernels wide = avx2::make<avx2::Fp32>("avx2");
    return bf16 ? &narrow : &wide;
#else
    (void)bf16;
    return nullptr;
#endif
}

}  // namespace nimllm
