// What the forward pass needs of an instruction set. kernels_body.h is the one source of all of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nimllm {

// A [rows, inputs] weight in panels of `panel` rows: element (r, k) is at panel r / panel, then k, then r % panel, so
// that one vector holds the same input of neighbouring rows and a product needs no horizontal sum. In bf16 two inputs
// of a row stand side by side (what vdpbf16ps multiplies). Padding rows and inputs are zero.
struct Matrix {
    const void *data = nullptr;
    const float *bias = nullptr;  // [rows padded to panels], or null
    int64_t rows = 0, inputs = 0;
    int64_t depth = 0;   // inputs, padded to even in bf16
    int64_t panels = 0;
};

// What becomes of a product's rows.
enum class Sink {
    store,   // y = product                      y fp32
    add,     // y += product                     y fp32 (the residual stream)
    swiglu,  // y = silu(even panel) * odd panel  y activation
    gelu,    // y = gelu(product)                 y activation
    relu2,   // y = max(product, 0)^2             y activation
};

// The queries of one attention call share a key/value head; at most `max_queries` of them.
struct Attend {
    const float *keys;    // [context / lanes][head_dim][lanes]
    const float *values;  // [context][value_stride]
    int64_t head_dim, value_stride;
    const float *query[4];
    int64_t length[4];  // how many positions each one sees
    void *out[4];       // activations, head_dim of each
    float *scratch;     // [4][scratch_stride]
    int64_t scratch_stride;
};

struct Kernels {
    const char *name;
    int lanes;          // fp32 in one vector
    int panel;          // rows in one panel
    int act_bytes;      // size of one activation: 4, or 2 where the processor multiplies bf16 itself
    int max_queries;

    // y[t][rows of panels first .. last) for t < n; strides in elements. In swiglu a row of y is a pair of panels.
    void (*matmul)(const Matrix &, const void *x, int64_t x_stride, int64_t n, int64_t first, int64_t last, Sink sink,
                   void *y, int64_t y_stride);
    // RMSNorm, or LayerNorm when layer; bias may be null. wide = true writes fp32, else an activation.
    void (*norm)(const float *x, const float *weight, const float *bias, float eps, bool layer, int64_t d, void *out,
                 bool wide);
    // In place: RMSNorm with gain (or null), half-split rotation by cos and sin (or null), then a factor.
    void (*head)(float *x, int64_t head_dim, const float *gain, float eps, const float *cosine, const float *sine,
                 float factor);
    void (*attend)(const Attend &, int queries);
};

// Null when the build or the processor lacks the instruction set.
const Kernels *kernels_portable(bool bf16);
const Kernels *kernels_avx2(bool bf16);
const Kernels *kernels_avx512(bool bf16);  // with the bf16 dot product when the processor has it

inline uint16_t to_bf16(float value) {  // round to nearest, ties to even
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u);  // a NaN stays one
    return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float from_bf16(uint16_t half) {
    const uint32_t bits = uint32_t(half) << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

}  // namespace nimllm
