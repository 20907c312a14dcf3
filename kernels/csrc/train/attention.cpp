// The C interface of attention: shapes from Python, pieces to threads.
#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

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

// body(piece, scratch); false: there is no memory for the scratch.
template <class F>
static bool run(int64_t pieces, size_t bytes, F &&body) {
    std::atomic<bool> failed{false};
    parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
        void *memory = scratch(bytes);
        if (memory == nullptr) {
            failed.store(true);
            return;
        }
        for (int64_t piece = begin; piece < end; ++piece) body(piece, memory);
    });
    return !failed.load();
}

// How many pieces a forward pass has; sets what one of them is. `rows`: key/value heads of everything there is to do.
static int64_t divide(Attention &a, const Ops &table, int64_t rows) {
    const int64_t blocks = (a.queries + table.queries_per_block - 1) / table.queries_per_block;
    const int64_t per_group = a.heads / a.groups, own = a.batch * a.groups;
    a.heads_per_piece = per_group;
    a.blocks_per_piece = blocks;
    if (rows >= kPieces) return own;
    a.heads_per_piece = 1;  // the keys are packed again in every piece: no more of them than needed
    if (rows * per_group >= kPieces) return own * per_group;
    const int64_t wanted = (kPieces + rows * per_group - 1) / (rows * per_group);
    a.blocks_per_piece = (blocks + wanted - 1) / wanted;
    return own * per_group * ((blocks + a.blocks_per_piece - 1) / a.blocks_per_piece);
}

static Heads from(Heads heads, int64_t token, Dtype type) {
    if (heads.data != nullptr)
        heads.data = static_cast<char *>(heads.data) + token * heads.t * (type == Dtype::bf16 ? 2 : 4);
    return heads;
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
    if (a.batch * a.groups == 0 || a.queries == 0) return true;
    if (backward) {
        a.grad_out = heads_of(at), a.grad_q = heads_of(at), a.grad_k = heads_of(at), a.grad_v = heads_of(at);
        a.heads_per_piece = a.heads / a.groups;
        a.blocks_per_piece = a.queries;
        return run(a.batch * a.groups, table->attend_back_memory(a),
                   [&](int64_t piece, void *memory) { table->attend_back(a, piece, memory); });
    }
    const int64_t pieces = divide(a, *table, a.batch * a.groups);
    return run(pieces, table->attend_memory(a), [&](int64_t piece, void *memory) { table->attend(a, piece, memory); });
}

// Documents end to end in one row of `tokens` tokens: document i is the tokens bounds[i] to bounds[i + 1], and every
// one of them is a whole of its own. shape: tokens, documents, heads, groups, dim, causal, dtype, then tensors as above
// (their strides of batch are not read). lse: [heads of token 0, document by document], heads * tokens floats.
// 0: done. 1: there is no memory. 2: the bounds do not ascend from 0 to at most `tokens`.
EXPORT int64_t nimllm_attention_packed(const int64_t *shape, const int64_t *bounds, float scale, float *lse,
                                       bool backward) {
    const int64_t tokens = shape[0], documents = shape[1];
    if (bounds[0] != 0 || bounds[documents] > tokens) return 2;
    for (int64_t i = 0; i < documents; ++i)
        if (bounds[i] > bounds[i + 1]) return 2;
    Attention whole{};
    whole.batch = 1, whole.heads = shape[2], whole.groups = shape[3], whole.dim = shape[4];
    whole.causal = shape[5] != 0, whole.scale = scale;
    const Dtype type = Dtype(shape[6]);
    const Ops *table = ops(type);
    const int64_t *at = shape + 7;
    whole.q = heads_of(at), whole.k = heads_of(at), whole.v = heads_of(at), whole.out = heads_of(at);
    if (backward)
        whole.grad_out = heads_of(at), whole.grad_q = heads_of(at), whole.grad_k = heads_of(at),
        whole.grad_v = heads_of(at);
    if (whole.groups == 0) return 0;
    struct Part {
        Attention a;
        int64_t first;  // its first piece
    };
    std::vector<Part> parts;
    std::vector<int64_t> order;
    try {
        order.reserve(size_t(documents));
        for (int64_t i = 0; i < documents; ++i)
            if (bounds[i] < bounds[i + 1]) order.push_back(i);
        // the longest first, so that no thread begins with one when the others are done
        std::sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
            const int64_t one = bounds[i + 1] - bounds[i], other = bounds[j + 1] - bounds[j];
            return one != other ? one > other : i < j;
        });
        parts.reserve(order.size());
    } catch (const std::bad_alloc &) {
        return 1;
    }
    if (order.empty()) return 0;
    int64_t pieces = 0;
    for (const int64_t i : order) {
        Attention a = whole;
        const int64_t first = bounds[i];
        a.queries = a.keys = bounds[i + 1] - first;
        a.lse = lse ? lse + first * a.heads : nullptr;
        for (Heads *heads : {&a.q, &a.k, &a.v, &a.out, &a.grad_out, &a.grad_q, &a.grad_k, &a.grad_v})
            *heads = from(*heads, first, type);
        a.heads_per_piece = a.heads / a.groups;
        a.blocks_per_piece = a.queries;
        parts.push_back({a, pieces});
        pieces += backward ? a.groups : divide(parts.back().a, *table, int64_t(order.size()) * a.groups);
    }
    const Attention &longest = parts.front().a;
    const size_t bytes = backward ? table->attend_back_memory(longest) : table->attend_memory(longest);
    const bool done = run(pieces, bytes, [&](int64_t piece, void *memory) {
        const Part &part = *(std::upper_bound(parts.begin(), parts.end(), piece,
                                              [](int64_t p, const Part &other) { return p < other.first; }) - 1);
        (backward ? table->attend_back : table->attend)(part.a, piece - part.first, memory);
    });
    return done ? 0 : 1;
}
