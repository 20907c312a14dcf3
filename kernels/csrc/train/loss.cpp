// Cross entropy of a block of logits, in place, over the threads.
#include "passes.h"

#include <cmath>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace nimllm::train;

// Rows of logits [n, v], stride elements apart, fp32 or bf16; targets [n], ignored rows where it equals `ignore`. Writes
// losses [n] (0 where ignored) and, with gradient, (softmax - onehot) * factor over the logits (0 where ignored).
// Returns the row of a target that is not in [0, v), else -1; -2 without memory.
EXPORT int64_t nimllm_train_cross_entropy(void *logits, int64_t n, int64_t v, int64_t stride, bool bf16,
                                          const int64_t *targets, int64_t ignore, float factor, bool gradient,
                                          float *losses) {
    for (int64_t row = 0; row < n; ++row)
        if (targets[row] != ignore && (targets[row] < 0 || targets[row] >= v)) return row;
    const Passes &p = passes();
    int64_t result = -1;
    parallel_for(n, 4, [&](int64_t begin, int64_t end) {
        float *wide = static_cast<float *>(scratch(size_t(v) * sizeof(float)));
        if (wide == nullptr) {
            __atomic_store_n(&result, int64_t(-2), __ATOMIC_RELAXED);
            return;
        }
        for (int64_t row = begin; row < end; ++row) {
            const bool kept = targets[row] != ignore;
            if (bf16) {
                uint16_t *at = static_cast<uint16_t *>(logits) + row * stride;
                losses[row] = kept ? p.cross_entropy_bf16(at, v, targets[row], factor, gradient, wide) : 0.0f;
                if (!kept && gradient)
                    for (int64_t i = 0; i < v; ++i) at[i] = 0;
            } else {
                float *at = static_cast<float *>(logits) + row * stride;
                losses[row] = kept ? p.cross_entropy_fp32(at, v, targets[row], factor, gradient, wide) : 0.0f;
                if (!kept && gradient)
                    for (int64_t i = 0; i < v; ++i) at[i] = 0.0f;
            }
        }
    });
    return result;
}

// to [n] fp32 = from [n] bf16, or += with add.
EXPORT void nimllm_train_widen(const uint16_t *from, float *to, int64_t n, bool add) {
    const Passes &p = passes();
    parallel_for(n, 1 << 15, [&](int64_t begin, int64_t end) { p.widen(from + begin, to + begin, end - begin, add); });
}
