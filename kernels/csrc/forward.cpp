// One pass of up to kChunk tokens over the weights, by all threads together.
//
// Every thread runs forward() and takes its share of each step; meet() stands wherever a step reads what another
// thread may have written. Each number is computed whole by one thread, so their count does not change a bit of it.
#include <cmath>

#include "model.h"

namespace nimllm {

namespace {
struct Share {
    int64_t first, last;
};

Share share(int64_t count, int member, int size) {
    return {count * member / size, count * (member + 1) / size};
}
}  // namespace

void Model::extend(const int32_t *ids, int64_t n, float *logits, bool all) {
    for (int64_t done = 0; done < n; done += kChunk) {
        const int64_t count = std::min(kChunk, n - done);
        Chunk chunk{this, ids + done, count, position_, nullptr, 0};
        if (all) {
            chunk.logits = logits + done * c_.vocab_size;
            chunk.wanted = count;
        } else if (done + count == n) {
            chunk.logits = logits;
            chunk.wanted = 1;
        }
        team_.run(&Model::member, &chunk);
        position_ += count;
    }
}

void Model::member(void *context, int member, int size) {
    const Chunk &chunk = *static_cast<const Chunk *>(context);
    chunk.model->forward(chunk, member, size);
}

void Model::multiply(const Matrix &matrix, const void *x, int64_t x_stride, int64_t n, Sink sink, void *y,
                     int64_t y_stride, int member, int size) {
    const Share part = share(sink == Sink::swiglu ? matrix.panels / 2 : matrix.panels, member, size);
    kernels_->matmul(matrix, x, x_stride, n, part.first, part.last, sink, y, y_stride);
}

void Model::embed(const Chunk &chunk, int64_t token) {
    float *x = x_ + token * x_stride_;
    const auto row = [&](const Matrix &m, int64_t index, bool add) {
        const int64_t wide = kernels_->panel, start = index / wide * wide * m.depth, r = index % wide;
        for (int64_t k = 0; k < m.inputs; ++k) {
            const int64_t at = start + (bf16_ ? (k / 2 * wide + r) * 2 + k % 2 : k * wide + r);
            const float value = bf16_ ? from_bf16(static_cast<const uint16_t *>(m.data)[at])
                                      : static_cast<const float *>(m.data)[at];
            x[k] = add ? x[k] + value : value;
        }
    };
    row(embedding_, chunk.ids[token], false);
    if (positions_.data) row(positions_, chunk.first + token, true);
    if (c_.embed_norm)
        kernels_->norm(x, embed_norm_.weight.data(), embed_norm_.bias_or_null(), c_.norm_eps,
                       c_.norm == NIMLLM_NORM_LAYER, c_.d_model, x, true);
}

// The norm of the tokens from `from` on, as activations of stride act_stride_. A single token is normed by every thread
// for itself, which takes less time than meeting.
const void *Model::normed(const Norm &norm, const Chunk &chunk, int64_t from, int member, int size) {
    const bool layer = c_.norm == NIMLLM_NORM_LAYER;
    const int64_t n = chunk.n - from;
    const auto one = [&](int64_t token, void *out) {
        kernels_->norm(x_ + token * x_stride_, norm.weight.data(), norm.bias_or_null(), c_.norm_eps, layer,
                       c_.d_model, out, false);
    };
    if (n == 1) {
        void *own = own_act_[size_t(member)];
        one(from, own);
        return own;
    }
    const Share part = share(n, member, size);
    for (int64_t i = part.first; i < part.last; ++i)
        one(from + i, act_ + i * act_stride_ * kernels_->act_bytes);
    team_.meet();
    return act_;
}

// Norms and rotates the heads of queries and keys; keys and values go to the cache.
void Model::cache(const Layer &layer, const Chunk &chunk, int member, int size) {
    const int64_t hd = c_.head_dim, half = hd / 2, lanes = kernels_->lanes, heads = c_.n_heads + c_.n_kv_heads;
    const float factor = 1.0f / std::sqrt(float(hd));
    const Share part = share(chunk.n * heads, member, size);
    for (int64_t i = part.first; i < part.last; ++i) {
        const int64_t token = i / heads, h = i % heads, position = chunk.first + token;
        float *x = qkv_ + token * qkv_stride_ + h * hd;  // queries, then keys, then values
        const bool query = h < c_.n_heads;
        const std::vector<float> &gain = query ? layer.q_gain : layer.k_gain;
        kernels_->head(x, hd, gain.empty() ? nullptr : gain.data(), c_.norm_eps,
                       cosine_ ? cosine_ + position * half : nullptr, sine_ ? sine_ + position * half : nullptr,
                       query ? factor : 1.0f);
        if (query) continue;
        const int64_t g = h - c_.n_heads;
        float *key = layer.keys + g * cache_context_ * hd + position / lanes * lanes * hd + position % lanes;
        float *value = layer.values + (g * cache_context_ + position) * value_stride_;
        for (int64_t d = 0; d < hd; ++d) {
            key[d * lanes] = x[d];
            value[d] = x[kv_width_ + d];
        }
    }
}

void Model::attend(const Layer &layer, const Chunk &chunk, int member, int size) {
    const int64_t hd = c_.head_dim, group = c_.n_heads / c_.n_kv_heads, per_g = chunk.n * group;
    // queries in the order (g, token, head of the group); tiles go round the threads, since later tokens see more
    const int64_t fair = (per_g * c_.n_kv_heads + size - 1) / size;
    const int64_t most = std::min<int64_t>(kernels_->max_queries, fair);
    const int64_t tiles = (per_g + most - 1) / most;
    for (int64_t i = member; i < tiles * c_.n_kv_heads; i += size) {
        const int64_t g = i / tiles, first = i % tiles * most, last = std::min(per_g, first + most);
        Attend a{};
        a.keys = layer.keys + g * cache_context_ * hd;
        a.values = layer.values + g * cache_context_ * value_stride_;
        a.head_dim = hd;
        a.value_stride = value_stride_;
        a.scratch = scratch_[size_t(member)];
        a.scratch_stride = cache_context_;
        for (int64_t j = first; j < last; ++j) {
            const int64_t token = j / group, h = g * group + j % group;
            a.query[j - first] = qkv_ + token * qkv_stride_ + h * hd;
            a.length[j - first] = chunk.first + token + 1;
            a.out[j - first] = mix_ + (token * mix_stride_ + h * hd) * kernels_->act_bytes;
        }
        kernels_->attend(a, int(last - first));
    }
}

void Model::forward(const Chunk &chunk, int member, int size) {
    const int64_t n = chunk.n;
    const Sink activation = c_.ffn == NIMLLM_FFN_SWIGLU ? Sink::swiglu
                            : c_.ffn == NIMLLM_FFN_GELU ? Sink::gelu
                                                        : Sink::relu2;
    const Share tokens = share(n, member, size);
    for (int64_t token = tokens.first; token < tokens.last; ++token) embed(chunk, token);
    team_.meet();
    for (const Layer &layer : layers_) {
        const void *act = normed(layer.before_attention, chunk, 0, member, size);
        multiply(layer.qkv, act, act_stride_, n, Sink::store, qkv_, qkv_stride_, member, size);
        team_.meet();
        cache(layer, chunk, member, size);
        team_.meet();
        attend(layer, chunk, member, size);
        team_.meet();
        multiply(layer.out, mix_, mix_stride_, n, Sink::add, x_, x_stride_, member, size);
        team_.meet();
        act = normed(layer.before_ffn, chunk, 0, member, size);
        multiply(layer.up, act, act_stride_, n, activation, ffn_, ffn_stride_, member, size);
        team_.meet();
        multiply(layer.down, ffn_, ffn_stride_, n, Sink::add, x_, x_stride_, member, size);
        team_.meet();
    }
    if (!chunk.wanted) return;
    const void *act = normed(final_norm_, chunk, n - chunk.wanted, member, size);
    multiply(head_, act, act_stride_, chunk.wanted, Sink::store, chunk.logits, c_.vocab_size, member, size);
}

}  // namespace nimllm
