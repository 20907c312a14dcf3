// Passes over memory that a training step makes besides its products: soft-max with its gradient, AdamW, sums of bf16
// gradients. Serial, over a piece; loss.cpp and optimizer.cpp hand the pieces to threads. passes_body.h is the one
// source of all instruction sets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernels.h"  // to_bf16, from_bf16
#include "parallel.h"

namespace nimllm {
namespace train {

// What AdamW does to every element (Loshchilov and Hutter 2019, algorithm 2), with the divisions that are the same for
// all of them done beforehand.
struct AdamW {
    float clip;         // factor of the gradient
    float keep;         // 1 - lr * weight decay
    float beta1, beta2, rest1, rest2;  // rest: 1 - beta, rounded once from double
    float size;         // lr / (1 - beta1^step)
    float root;         // 1 / sqrt(1 - beta2^step)
    float eps;
};

struct Passes {
    // -log softmax(row)[target] of n logits. With a gradient: the row becomes (softmax - onehot(target)) * factor.
    // wide: n floats of scratch.
    float (*cross_entropy_bf16)(uint16_t *row, int64_t n, int64_t target, float factor, bool gradient, float *wide);
    float (*cross_entropy_fp32)(float *row, int64_t n, int64_t target, float factor, bool gradient, float *wide);
    double (*squares)(const float *x, int64_t n);  // sum of x^2
    void (*adamw)(const AdamW &, float *param, const float *grad, float *first, float *second, int64_t n);
    void (*widen)(const uint16_t *from, float *to, int64_t n, bool add);  // to = from, or to += from
};

const Passes &passes();  // of the instruction set in force


}  // namespace train
}  // namespace nimllm
