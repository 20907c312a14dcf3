// The C interface of attention: shapes from Python, pieces to threads.
#include <atomic>

#include "ops.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace nimllm {
namespace train {

static Heads heads_of(const int64_t *&at) {
    const Heads heads{reinterpret_cast<void *>(at[0]), at[1], at[2], at[3]};
    at += 4;
    return heads;
}

// Enough pieces for many threads, whatever their number is: results must not depend on it.
constexpr int64_t kPieces = 16;

static bool run(const Attention &a, int64_t pieces, size_t bytes, void (*body)(const Attention &, int64_t, void *)) {
    std::atomic<bool> failed{false};
    parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
        void *memory = scratch(bytes);
        if (memory == nullptr) {
            failed.store(true);
            return;
        }
        for (int64_t piece = begin; piece < end; ++piece) body(a, piece, memory);
    });
    return !failed.load();
}

}  // namespace train
}  // namespace nimllm

using namespace nimllm::train;

// shape: batch, heads, groups, queries, keys, dim, causal, dtype; then (address, strides of batch, position, head) of
// q, k, v, out and, for the backward pass, of the gradients of out, q, k, v. lse: [batch][heads][queries] or null.
// False: there is no memory for the scratch.
EXPORT bool nimllm_attention(const int64_t *shape, float scale, float *lse, bool backward) {
    Attention a{};
    a.batch = shape[0], a.heads = shape[1], a.groups = shape[2], a.queries = shape[3], a.keys = shape[4];
    a.dim = shape[5], a.causal = shape[6] != 0, a.scale = scale, a.lse = lse;
    const Ops *table = ops(Dtype(shape[7]));
    const int64_t *at = shape + 8;
    a.q = heads_of(at), a.k = heads_of(at), a.v = heads_of(at), a.out = heads_of(at);
    const int64_t per_group = a.heads / a.groups, rows = a.batch * a.groups;
    const int64_t blocks = (a.queries + table->queries_per_block - 1) / table->queries_per_block;
    a.heads_per_piece = per_group;
    a.blocks_per_piece = blocks;
    if (rows == 0 || blocks == 0) return true;
    if (backward) {
        a.grad_out = heads_of(at), a.grad_q = heads_of(at), a.grad_k = heads_of(at), a.grad_v = heads_of(at);
        return run(a, rows, table->attend_back_memory(a), table->attend_back);
    }
    int64_t parts = 1;
    if (rows < kPieces) {  // the keys are packed again in every piece: no more of them than needed
        a.heads_per_piece = 1;
        parts = per_group;
        if (rows * per_group < kPieces) {
            const int64_t wanted = (kPieces + rows * per_group - 1) / (rows * per_group);
            a.blocks_per_piece = (blocks + wanted - 1) / wanted;
            parts *= (blocks + a.blocks_per_piece - 1) / a.blocks_per_piece;
        }
    }
    return run(a, rows * parts, table->attend_memory(a), table->attend);
}
