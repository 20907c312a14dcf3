// What the forward pass needs of an instruction set. kernels_body.h is the one source of all of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "packing.h"

namespace nimllm {

// What becomes of a product's rows.
enum class Sink {
    store,   // y = product                       y fp32
    add,     // y += product                      y fp32 (the residual stream)
    swiglu,  // y = silu(even panel) * odd panel  y activations
    gelu,    // y = gelu(product)                 y activations
    relu2,   // y = max(product, 0)^2             y activations
};

// The queries of one attention call share their keys and values; at most `max_queries` of them. The keys lie in two
// runs, since a branch shares its prompt's cache and continues in memory of its own.
struct Attend {
    struct Run {
        const void *keys;    // [blocks of `lanes` positions][head_dim][lanes], fp32 or bf16
        const void *values;  // [positions][value_stride], fp32 or bf16
        int64_t positions;   // of the first run a multiple of lanes
    };
    Run run[2];
    int64_t head_dim, value_stride;
    const float *query[4];
    int64_t length[4];  // how many positions each one sees, over both runs
    float *out[4];      // head_dim of each
    bool alone;         // one token, or branches: the cache was last read a whole pass over the weights ago
    const void *soon;   // the keys read next, or null
    int64_t soon_positions;
    float *scratch;     // [4][scratch_stride]
    int64_t scratch_stride;
};

struct Kernels {
    const char *name;
    int lanes;          // fp32 in one vector
    int max_queries;
    bool narrow_cache;  // keys and values are bf16, not fp32
    bool own_inputs;    // activations are not plain fp32: convert() makes them

    // Bytes of one row of activations of that width (a multiple of 64).
    int64_t (*row_bytes)(int64_t width);
    // y[t][rows of panels first .. last) for t < n; strides in bytes. In swiglu a row of y is a pair of panels.
    void (*matmul)(const Matrix &, const void *x, int64_t x_stride, int64_t n, int64_t first, int64_t last, Sink sink,
                   void *y, int64_t y_stride);
    // RMSNorm, or LayerNorm when layer; bias may be null. norm writes activations, norm_wide fp32 (may be in place).
    void (*norm)(const float *x, const float *weight, const float *bias, float eps, bool layer, int64_t d, void *out,
                 float *spare);
    void (*norm_wide)(const float *x, const float *weight, const float *bias, float eps, bool layer, int64_t d,
                      float *out);
    // fp32 to activations; x is readable up to the next multiple of 64 (zeros there)
    void (*convert)(const float *x, int64_t width, void *out);
    // In place: RMSNorm with gain (or null), half-split rotation by cos and sin (or null), then a factor.
    void (*head)(float *x, int64_t head_dim, const float *gain, float eps, const float *cosine, const float *sine,
                 float factor);
    // One position's key and value into its place of a run.
    void (*remember)(const float *key, const float *value, int64_t head_dim, int64_t value_stride, int64_t position,
                     void *keys, void *values);
    void (*attend)(const Attend &, int queries);
    // The largest value's index (the first of them) and the value; -1 when any of them is not finite.
    int64_t (*largest)(const float *x, int64_t n, float *value);
};

// Null when the build or the processor lacks the instruction set.
const Kernels *kernels_portable(Format format);
const Kernels *kernels_avx2(Format format);    // with the 8-bit dot product (AVX-VNNI) when the processor has it
const Kernels *kernels_avx512(Format format);  // with the 8-bit and bf16 dot products when the processor has them

}  // namespace nimllm
