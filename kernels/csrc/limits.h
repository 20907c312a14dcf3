/* What this processor can do at most: read bandwidth at a working-set size, multiply-adds per second in registers.
 * Exported beside the engine so that a benchmark can print every speed with its limit, taken in the same minute. */
#ifndef NIMLLM_LIMITS_H
#define NIMLLM_LIMITS_H

#include "engine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NIMLLM_PEAK_FP32_PORTABLE = 0, /* what the compiler makes of a*b+c for the build's own target */
    NIMLLM_PEAK_FP32_AVX2 = 1,     /* vfmadd, 256 bits */
    NIMLLM_PEAK_FP32_AVX512 = 2,   /* vfmadd, 512 bits */
    NIMLLM_PEAK_BF16_AVX512 = 3,   /* vdpbf16ps, 512 bits */
    NIMLLM_PEAK_INT8_AVXVNNI = 4,  /* vpdpbusd, 256 bits, VEX */
    NIMLLM_PEAK_INT8_AVX512 = 5    /* vpdpbusd, 512 bits */
};

/* Bytes per second that `threads` threads together read from an array of `bytes` bytes, over and over for `seconds`.
 * The pages are touched by the thread that reads them. NIMLLM_BAD_ARGUMENT: bytes below 4096, threads outside 1..1024,
 * seconds outside (0, 60]. NIMLLM_NO_MEMORY. NIMLLM_INTERNAL: the sum of what was read is wrong. */
NIMLLM_API int32_t nimllm_bandwidth(int64_t bytes, int32_t threads, double seconds, double *bytes_per_second);

/* Operations per second (a multiply and an add are two) of one instruction on registers. NIMLLM_NO_ISA: this processor
 * or this build has no such instruction. NIMLLM_BAD_ARGUMENT and NIMLLM_INTERNAL as above. */
NIMLLM_API int32_t nimllm_peak(int32_t kind, int32_t threads, double seconds, double *operations_per_second);

#ifdef __cplusplus
}
#endif

#endif
