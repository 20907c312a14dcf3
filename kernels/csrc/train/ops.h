// What a training step needs of an instruction set besides its large matrix products: serial kernels over pieces of the
// work. The files *_body.h are the one source of all of them; attention.cpp, norms.cpp, rotary.cpp and activations.cpp
// hand the pieces to threads and are the C interface.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernels.h"  // to_bf16, from_bf16
#include "parallel.h"

namespace nimllm {
namespace train {

enum class Dtype { fp32 = 0, bf16 = 1 };

// A tensor [batch, position, head, feature] in place; strides in elements, features adjacent.
struct Heads {
    void *data;
    int64_t b, t, h;
};

struct Attention {
    int64_t batch, heads, groups, queries, keys, dim;  // groups: key/value heads; a divisor of heads
    float scale;
    bool causal;  // query i sees the keys up to i + keys - queries
    Heads q, k, v, out;
    float *lse;  // [batch][heads][queries]: log2 of the sum of exp2 of the scaled scores; forward: may be null
    Heads grad_out, grad_q, grad_k, grad_v;
    // One piece of work is a batch row, a key/value head, heads_per_piece of its query heads and, forward only, blocks
    // of queries.
    int64_t heads_per_piece, blocks_per_piece;
};

// Rows of `dim` features: RMSNorm, or LayerNorm when `layer`, of x, or of sum = x + residual, which is stored, too.
struct Norm {
    int64_t dim;
    bool layer;
    Dtype x_type, sum_type, out_type;
    float eps;
    const float *weight, *bias;  // bias may be null
    const void *x;               // null without a residual: then sum is the input
    const void *residual;        // [rows][dim] of sum_type, as sum
    void *sum;
    void *out;
    float *stats;                // [rows][2]: mean, 1 / deviation
    // backward
    const void *grad_out, *grad_sum;      // grad_sum: of what else uses the sum; may be null
    void *grad_residual, *grad_x;         // the same values in sum_type and in x_type; grad_x may be null
    float *grad_weight, *grad_bias;       // [pieces][dim], or null
};

// One side of query/key norm and rotation; all tensors of one dtype.
struct Side {
    Heads x, out, grad_out, grad_x;
    int64_t heads;
    const float *weight;  // null: no norm
    float *grad_weight;   // [pieces][dim], or null
};
struct Rotation {
    int64_t dim, tokens;          // tokens of a batch row; a row of the work is a token
    Dtype type;
    float eps;
    const float *cosine, *sine;   // [position][dim / 2], or null: no rotation
    const int64_t *positions;     // of token t of batch row b: [b * positions_b + t]
    int64_t positions_b;
    Side side[2];
};

enum class Activation { swiglu = 0, gelu = 1, relu2 = 2 };
// Rows of `dim` values; strides between rows in elements.
struct Activate {
    Activation kind;
    Dtype type;
    int64_t dim;
    const void *x, *up, *grad_out;  // swiglu: x is the gate
    void *out, *grad_x, *grad_up;
    int64_t x_row, up_row, grad_out_row, out_row, grad_x_row, grad_up_row;
};

constexpr int64_t kRowsPerPiece = 64;  // of norms and rotations; fixed, since gains' gradients are summed by pieces

struct Ops {
    int queries_per_block;
    size_t (*attend_memory)(const Attention &);  // bytes of scratch of one forward piece
    void (*attend)(const Attention &, int64_t piece, void *scratch);
    size_t (*attend_back_memory)(const Attention &);
    void (*attend_back)(const Attention &, int64_t piece, void *scratch);
    void (*norm)(const Norm &, int64_t first, int64_t last, float *row);  // row: dim floats of scratch
    void (*norm_back)(const Norm &, int64_t first, int64_t last, int64_t piece);
    void (*rotate)(const Rotation &, int64_t first, int64_t last);
    void (*rotate_back)(const Rotation &, int64_t first, int64_t last, int64_t piece);
    void (*activate)(const Activate &, int64_t first, int64_t last);
    void (*activate_back)(const Activate &, int64_t first, int64_t last);
};

const Ops *ops(Dtype dtype);  // of the instruction set in force

const Ops *ops_portable(Dtype);
const Ops *ops_avx2(Dtype);
const Ops *ops_avx512(Dtype, bool dot_bf16);

}  // namespace train
}  // namespace nimllm
