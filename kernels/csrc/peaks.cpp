// Multiply-adds per second of one instruction on registers. Every sum is counted and checked: ones times ones, so that a
// lane holds the number of its multiply-adds, exactly (below 2^24 in fp32), and nothing can be left out.
#include <chrono>

#include "limits.h"
#include "limits_threads.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define NIMLLM_X86 1
#include <immintrin.h>
#endif

namespace nimllm {
namespace {

const int STEPS = 1 << 14;  // instructions of one sum between two looks at the clock
const int SUMS = 16;        // independent: a latency of 6 cycles at two a cycle needs 12

volatile float one_float = 1.0f;  // volatile: the compiler must not know the factors

// Each returns the operations of one call, or 0 when a sum is wrong.
double fp32_portable() {
    typedef float Vector __attribute__((vector_size(16)));
    const float one = one_float;
    const Vector a = {one, one, one, one};
    Vector b = a, sum[SUMS] = {};
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 16
        for (int k = 0; k < SUMS; k++) sum[k] = a * b + sum[k];
        asm volatile("" : "+m"(b));  // else a * b is one constant
    }
    bool right = true;
    for (const Vector &vector : sum)
        for (int lane = 0; lane < 4; lane++) right = right && vector[lane] == float(STEPS);
    return right ? 2.0 * 4 * SUMS * STEPS : 0;
}

#ifdef NIMLLM_X86
volatile int one_bytes = 0x01010101;
volatile int one_halves = 0x3f803f80;  // two bf16 ones

__attribute__((target("avx2,fma"))) double fp32_avx2() {
    const __m256 a = _mm256_set1_ps(one_float), b = _mm256_set1_ps(one_float);
    __m256 sum[SUMS - 4];  // 12 and two factors fill the 16 registers
    for (auto &one : sum) one = _mm256_setzero_ps();
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 16
        for (int k = 0; k < SUMS - 4; k++) sum[k] = _mm256_fmadd_ps(a, b, sum[k]);
    }
    bool right = true;
    for (const auto &one : sum) {
        const __m256 good = _mm256_cmp_ps(one, _mm256_set1_ps(float(STEPS)), _CMP_EQ_OQ);
        right = right && _mm256_movemask_ps(good) == 0xff;
    }
    return right ? 2.0 * 8 * (SUMS - 4) * STEPS : 0;
}

__attribute__((target("avx512f"))) double fp32_avx512() {
    const __m512 a = _mm512_set1_ps(one_float), b = _mm512_set1_ps(one_float);
    __m512 sum[SUMS];
    for (auto &one : sum) one = _mm512_setzero_ps();
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 16
        for (int k = 0; k < SUMS; k++) sum[k] = _mm512_fmadd_ps(a, b, sum[k]);
    }
    bool right = true;
    for (const auto &one : sum)
        right = right && _mm512_cmp_ps_mask(one, _mm512_set1_ps(float(STEPS)), _CMP_EQ_OQ) == 0xffff;
    return right ? 2.0 * 16 * SUMS * STEPS : 0;
}

__attribute__((target("avx512f,avx512bf16"))) double bf16_avx512() {
    const __m512bh a = (__m512bh)_mm512_set1_epi32(one_halves), b = (__m512bh)_mm512_set1_epi32(one_halves);
    __m512 sum[SUMS];
    for (auto &one : sum) one = _mm512_setzero_ps();
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 16
        for (int k = 0; k < SUMS; k++) sum[k] = _mm512_dpbf16_ps(sum[k], a, b);
    }
    bool right = true;
    for (const auto &one : sum)
        right = right && _mm512_cmp_ps_mask(one, _mm512_set1_ps(2.0f * float(STEPS)), _CMP_EQ_OQ) == 0xffff;
    return right ? 2.0 * 32 * SUMS * STEPS : 0;
}

__attribute__((target("avx512f,avx512vnni"))) double int8_avx512() {
    const __m512i a = _mm512_set1_epi32(one_bytes), b = _mm512_set1_epi32(one_bytes);
    __m512i sum[SUMS];
    for (auto &one : sum) one = _mm512_setzero_si512();
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 16
        for (int k = 0; k < SUMS; k++) sum[k] = _mm512_dpbusd_epi32(sum[k], a, b);
    }
    bool right = true;
    for (const auto &one : sum)
        right = right && _mm512_cmpeq_epi32_mask(one, _mm512_set1_epi32(4 * STEPS)) == 0xffff;
    return right ? 2.0 * 64 * SUMS * STEPS : 0;
}

#if defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11
#define NIMLLM_AVXVNNI 1
__attribute__((target("avx2,avxvnni"))) double int8_avxvnni() {
    const __m256i a = _mm256_set1_epi32(one_bytes), b = _mm256_set1_epi32(one_bytes);
    __m256i sum[SUMS - 4];
    for (auto &one : sum) one = _mm256_setzero_si256();
    for (int step = 0; step < STEPS; step++) {
#pragma GCC unroll 16
        for (int k = 0; k < SUMS - 4; k++) sum[k] = _mm256_dpbusd_avx_epi32(sum[k], a, b);
    }
    bool right = true;
    for (const auto &one : sum)
        right = right && _mm256_movemask_epi8(_mm256_cmpeq_epi32(one, _mm256_set1_epi32(4 * STEPS))) == -1;
    return right ? 2.0 * 32 * (SUMS - 4) * STEPS : 0;
}
#endif
#endif

typedef double (*Kernel)();

Kernel kernel(int32_t kind) {
#ifdef NIMLLM_X86
    switch (kind) {
        case NIMLLM_PEAK_FP32_AVX2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? fp32_avx2 : nullptr;
        case NIMLLM_PEAK_FP32_AVX512: return __builtin_cpu_supports("avx512f") ? fp32_avx512 : nullptr;
        case NIMLLM_PEAK_BF16_AVX512: return __builtin_cpu_supports("avx512bf16") ? bf16_avx512 : nullptr;
#ifdef NIMLLM_AVXVNNI
        case NIMLLM_PEAK_INT8_AVXVNNI: return __builtin_cpu_supports("avxvnni") ? int8_avxvnni : nullptr;
#endif
        case NIMLLM_PEAK_INT8_AVX512: return __builtin_cpu_supports("avx512vnni") ? int8_avx512 : nullptr;
        default: break;
    }
#endif
    return kind == NIMLLM_PEAK_FP32_PORTABLE ? fp32_portable : nullptr;
}

// Operations per second of this thread, or 0 when a sum was wrong.
double rate(Kernel function, double limit) {
    double done = 0, seconds = 0;
    const auto began = std::chrono::steady_clock::now();
    do {
        const double operations = function();
        if (operations == 0) return 0;
        done += operations;
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    } while (seconds < limit);
    return done / seconds;
}

}  // namespace
}  // namespace nimllm

extern "C" int32_t nimllm_peak(int32_t kind, int32_t threads, double seconds, double *operations_per_second) {
    using namespace nimllm;
    if (!operations_per_second || kind < NIMLLM_PEAK_FP32_PORTABLE || kind > NIMLLM_PEAK_INT8_AVX512 || threads < 1 ||
        threads > 1024 || !(seconds > 0 && seconds <= 60))
        return NIMLLM_BAD_ARGUMENT;
    const Kernel function = kernel(kind);
    if (!function) return NIMLLM_NO_ISA;
    try {
        std::vector<double> rates(size_t(threads), 0.0);
        together(
            threads, [&](int) { rate(function, seconds / 8); },
            [&](int member) { rates[size_t(member)] = rate(function, seconds); });
        double total = 0;
        for (double one : rates) {
            if (one == 0) return NIMLLM_INTERNAL;
            total += one;
        }
        *operations_per_second = total;
        return NIMLLM_OK;
    } catch (...) {
        return NIMLLM_NO_MEMORY;
    }
}
