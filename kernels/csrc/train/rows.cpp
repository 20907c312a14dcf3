// The C interface of norms, rotations and activations: shapes from Python, rows to threads, gains' gradients summed in
// the order of the rows whatever the number of threads.
#include <atomic>

#include "ops.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace nimllm::train;

namespace {

template <class T>
T *at(int64_t address) {
    return reinterpret_cast<T *>(address);
}

// to[dim] = the sum over pieces of parts[piece][dim].
void add_up(const float *parts, int64_t pieces, int64_t dim, float *to) {
    for (int64_t i = 0; i < dim; ++i) to[i] = 0.0f;
    for (int64_t piece = 0; piece < pieces; ++piece)
        for (int64_t i = 0; i < dim; ++i) to[i] += parts[piece * dim + i];
}

int64_t pieces_of(int64_t rows) { return (rows + kRowsPerPiece - 1) / kRowsPerPiece; }

}  // namespace

// shape: rows, dim, layer, types of x, sum and out; then the addresses weight, bias, x, residual, sum, out, stats.
// False: no memory.
EXPORT bool nimllm_norm(const int64_t *shape, float eps) {
    Norm a{};
    const int64_t rows = shape[0];
    a.dim = shape[1], a.layer = shape[2] != 0, a.eps = eps;
    a.x_type = Dtype(shape[3]), a.sum_type = Dtype(shape[4]), a.out_type = Dtype(shape[5]);
    a.weight = at<float>(shape[6]), a.bias = at<float>(shape[7]), a.x = at<void>(shape[8]);
    a.residual = at<void>(shape[9]), a.sum = at<void>(shape[10]), a.out = at<void>(shape[11]);
    a.stats = at<float>(shape[12]);
    const Ops *table = ops(Dtype::fp32);
    std::atomic<bool> failed{false};
    parallel_for(rows, kRowsPerPiece, [&](int64_t first, int64_t last) {
        float *row = static_cast<float *>(scratch(size_t(a.dim) * sizeof(float)));
        if (row == nullptr)
            failed.store(true);
        else
            table->norm(a, first, last, row);
    });
    return !failed.load();
}

// As above, with stats as the forward pass left them; then the addresses grad_out, grad_sum, grad_residual, grad_x,
// grad_weight, grad_bias (of [dim]; null where not wanted) and parts: room for 2 * dim floats of each 64 rows.
EXPORT void nimllm_norm_back(const int64_t *shape) {
    Norm a{};
    const int64_t rows = shape[0], pieces = pieces_of(rows);
    a.dim = shape[1], a.layer = shape[2] != 0;
    a.x_type = Dtype(shape[3]), a.sum_type = Dtype(shape[4]), a.out_type = Dtype(shape[5]);
    a.weight = at<float>(shape[6]), a.sum = at<void>(shape[10]), a.stats = at<float>(shape[12]);
    a.grad_out = at<void>(shape[13]), a.grad_sum = at<void>(shape[14]);
    a.grad_residual = at<void>(shape[15]), a.grad_x = at<void>(shape[16]);
    float *const grad_weight = at<float>(shape[17]), *const grad_bias = at<float>(shape[18]);
    float *const parts = at<float>(shape[19]);
    a.grad_weight = grad_weight ? parts : nullptr;
    a.grad_bias = grad_bias ? parts + pieces * a.dim : nullptr;
    const Ops *table = ops(Dtype::fp32);
    parallel_for(rows, kRowsPerPiece, [&](int64_t first, int64_t last) {
        table->norm_back(a, first, last, first / kRowsPerPiece);
    });
    if (grad_weight) add_up(a.grad_weight, pieces, a.dim, grad_weight);
    if (grad_bias) add_up(a.grad_bias, pieces, a.dim, grad_bias);
}

// shape: batch, tokens, dim, type, address of the positions and their stride by batch row, cosine, sine; then for
// queries and keys: heads, weight, and (address, strides of batch, token, head) of x and out; for the backward pass of
// x, the gradient of out and the gradient of x, then the address of the weight's gradient (or null) and of its parts:
// dim floats for each 64 tokens.
EXPORT void nimllm_rotate(const int64_t *shape, float eps, bool backward) {
    Rotation a{};
    const int64_t batch = shape[0];
    a.tokens = shape[1], a.dim = shape[2], a.type = Dtype(shape[3]), a.eps = eps;
    a.positions = at<int64_t>(shape[4]), a.positions_b = shape[5];
    a.cosine = at<float>(shape[6]), a.sine = at<float>(shape[7]);
    const int64_t *next = shape + 8;
    const auto heads = [&] {
        const Heads found{at<void>(next[0]), next[1], next[2], next[3]};
        next += 4;
        return found;
    };
    float *grad_weight[2] = {};
    for (int i = 0; i < 2; ++i) {
        Side &side = a.side[i];
        side.heads = next[0], side.weight = at<float>(next[1]);
        next += 2;
        side.x = heads();
        (backward ? side.grad_out : side.out) = heads();
        if (!backward) continue;
        side.grad_x = heads();
        grad_weight[i] = at<float>(next[0]);
        side.grad_weight = grad_weight[i] ? at<float>(next[1]) : nullptr;
        next += 2;
    }
    const Ops *table = ops(Dtype::fp32);
    parallel_for(batch * a.tokens, kRowsPerPiece, [&](int64_t first, int64_t last) {
        if (backward)
            table->rotate_back(a, first, last, first / kRowsPerPiece);
        else
            table->rotate(a, first, last);
    });
    for (int i = 0; i < 2; ++i)
        if (grad_weight[i]) add_up(a.side[i].grad_weight, pieces_of(batch * a.tokens), a.dim, grad_weight[i]);
}

// shape: rows, dim, kind, type; then (address, stride of a row) of x, up, grad_out, out, grad_x, grad_up; null where
// the kind or the direction has none.
EXPORT void nimllm_activate(const int64_t *shape, bool backward) {
    Activate a{};
    const int64_t rows = shape[0];
    a.dim = shape[1], a.kind = Activation(shape[2]), a.type = Dtype(shape[3]);
    a.x = at<void>(shape[4]), a.x_row = shape[5], a.up = at<void>(shape[6]), a.up_row = shape[7];
    a.grad_out = at<void>(shape[8]), a.grad_out_row = shape[9], a.out = at<void>(shape[10]), a.out_row = shape[11];
    a.grad_x = at<void>(shape[12]), a.grad_x_row = shape[13], a.grad_up = at<void>(shape[14]);
    a.grad_up_row = shape[15];
    if (a.dim <= 0) return;
    const Ops *table = ops(Dtype::fp32);
    const int64_t grain = 16384 / a.dim + 1;
    parallel_for(rows, grain, [&](int64_t first, int64_t last) {
        (backward ? table->activate_back : table->activate)(a, first, last);
    });
}
