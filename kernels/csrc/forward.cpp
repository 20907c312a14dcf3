// One pass of up to kChunk tokens over the weights, by all threads together.
//
// Every thread runs forward() and takes its share of each step; meet() stands wherever a step reads what another
// thread may have written. Each number is computed whole by one thread, so their count does not change a bit of it.
#include <cmath>
#include <cstring>

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

void Model::run(Chunk &chunk) {
    if (chunk.n > kFewTokens)
        for (Counter &counter : counters_) counter.next.store(0, std::memory_order_relaxed);
    team_.run(&Model::member, &chunk, chunk.n);
    if (!chunk.best || !chunk.wanted) return;
    for (int64_t row = 0; row < chunk.wanted; ++row) {
        int64_t best = -1;
        float top = 0;
        for (int member = 0; member < team_.size(); ++member) {
            const size_t at = size_t(member * kChunk + row);
            if (best_[at] == -2) continue;  // that thread had no part in it
            if (best_[at] == -1) {
                best = -1;
                break;
            }
            if (best < 0 || best_value_[at] > top) {
                best = best_[at];
                top = best_value_[at];
            }
        }
        chunk.best[row] = int32_t(best);
    }
}

void Model::extend(const int32_t *ids, int64_t n, float *logits, bool all, int32_t *best) {
    branches_.clear();
    hold(position_ + n);
    for (int64_t done = 0; done < n; done += kChunk) {
        const int64_t count = std::min(kChunk, n - done);
        Chunk chunk{this, ids + done, count, position_, nullptr, nullptr, 0, nullptr};
        if (all) {
            chunk.logits = logits + done * c_.vocab_size;
            chunk.wanted = count;
            chunk.best = best ? best + done : nullptr;
        } else if (done + count == n) {
            chunk.logits = logits;
            chunk.wanted = 1;
            chunk.best = best;
        }
        run(chunk);
        position_ += count;
    }
}

void Model::truncate(int64_t position) {
    branches_.clear();
    position_ = position;
}

void Model::fork(int64_t count, int64_t room) {
    branches_.clear();
    const int64_t lanes = kernels_->lanes, base = position_ / lanes * lanes;
    room_ = std::min(room, c_.context - position_);
    const int64_t need = round_up(room_ + (position_ - base) + lanes, lanes);
    if (int64_t(tails_.size()) < count || tails_[0].context < need) {
        tails_.clear();
        tail_memory_.reset(new Arena);
        for (int64_t i = 0; i < count; ++i) tails_.push_back({tail_memory_->take<char>(cache_bytes(need)), need});
    }
    const int64_t begun = position_ - base;  // positions of the block that is not whole: each branch has its own copy
    for (int64_t i = 0; i < count; ++i)
        for (int64_t layer = 0; begun && layer < c_.n_layers; ++layer)
            for (int64_t g = 0; g < c_.n_kv_heads; ++g) {
                const Cache &tail = tails_[size_t(i)];
                std::memcpy(keys(tail, layer, g), keys(cache_, layer, g) + base * c_.head_dim * element_,
                            size_t(lanes * c_.head_dim * element_));
                std::memcpy(values(tail, layer, g), values(cache_, layer, g) + base * value_stride_ * element_,
                            size_t(begun * value_stride_ * element_));
            }
    branches_.assign(size_t(count), 0);
}

void Model::step(const int32_t *ids, const int32_t *which, int64_t n, float *logits, int32_t *best) {
    Chunk chunk{this, ids, n, position_, which, logits, n, best};
    run(chunk);
    for (int64_t i = 0; i < n; ++i) ++branches_[size_t(which[i])];
}

void Model::adopt(int64_t branch) {
    const int64_t lanes = kernels_->lanes, base = position_ / lanes * lanes;
    const int64_t count = position_ - base + branches_[size_t(branch)];
    hold(base + count);
    const Cache &tail = tails_[size_t(branch)];
    for (int64_t layer = 0; layer < c_.n_layers; ++layer)
        for (int64_t g = 0; g < c_.n_kv_heads; ++g) {
            std::memcpy(keys(cache_, layer, g) + base * c_.head_dim * element_, keys(tail, layer, g),
                        size_t(round_up(count, lanes) * c_.head_dim * element_));
            std::memcpy(values(cache_, layer, g) + base * value_stride_ * element_, values(tail, layer, g),
                        size_t(count * value_stride_ * element_));
        }
    position_ += branches_[size_t(branch)];
    branches_.clear();
}

void Model::member(void *context, int member, int size) {
    const Chunk &chunk = *static_cast<const Chunk *>(context);
    chunk.model->forward(chunk, member, size);
}

// Few tokens: equal shares, which takes no time to agree on. Many: panel by panel to whoever comes, so that a thread that
// has lost its core for a while does not keep the others waiting with its half.
void Model::multiply(const Matrix &matrix, const void *x, int64_t x_stride, int64_t n, Sink sink, void *y,
                     int64_t y_stride, int64_t step, int member, int size) {
    const int64_t count = sink == Sink::swiglu ? matrix.panels / 2 : matrix.panels;
    if (n > kFewTokens && size > 1) {
        std::atomic<int64_t> &next = counters_[size_t(step)].next;
        for (int64_t p; (p = next.fetch_add(1, std::memory_order_relaxed)) < count;)
            kernels_->matmul(matrix, x, x_stride, n, p, p + 1, sink, y, y_stride);
        return;
    }
    const Share part = share(count, member, size);
    kernels_->matmul(matrix, x, x_stride, n, part.first, part.last, sink, y, y_stride);
}

void Model::embed(const Chunk &chunk, int64_t token, int member) {
    float *x = x_ + token * x_stride_;
    unpack_row(embedding_, chunk.ids[token], x);
    if (positions_.data) {
        float *extra = spare_[size_t(member)];
        unpack_row(positions_, chunk.position(token), extra);
        for (int64_t k = 0; k < c_.d_model; ++k) x[k] += extra[k];
    }
    if (c_.embed_norm)
        kernels_->norm_wide(x, embed_norm_.weight, embed_norm_.bias, c_.norm_eps, c_.norm == NIMLLM_NORM_LAYER, c_.d_model,
                         x);
}

// The norm of the tokens from `from` on, as activations of stride act_stride_. A single token is normed by every thread
// for itself, which takes less time than meeting.
const void *Model::normed(const Norm &norm, const Chunk &chunk, int64_t from, int member, int size) {
    const bool layer = c_.norm == NIMLLM_NORM_LAYER;
    const int64_t n = chunk.n - from;
    const auto one = [&](int64_t token, void *out) {
        kernels_->norm(x_ + token * x_stride_, norm.weight, norm.bias, c_.norm_eps, layer, c_.d_model, out,
               spare_[size_t(member)]);
    };
    if (n == 1) {
        void *own = own_act_[size_t(member)];
        one(from, own);
        return own;
    }
    const Share part = share(n, member, size);
    for (int64_t i = part.first; i < part.last; ++i) one(from + i, act_ + i * act_stride_);
    team_.meet();
    return act_;
}

// What attention gave, as activations of stride mix_act_stride_.
const void *Model::mixed(const Chunk &chunk, int member, int size) {
    if (!kernels_->own_inputs) return mix_;
    if (chunk.n == 1) {
        void *own = own_act_[size_t(member)];
        kernels_->convert(mix_, q_width_, own);
        return own;
    }
    const Share part = share(chunk.n, member, size);
    for (int64_t i = part.first; i < part.last; ++i)
        kernels_->convert(mix_ + i * mix_stride_, q_width_, mix_act_ + i * mix_act_stride_);
    team_.meet();
    return mix_act_;
}

// Norms and rotates a head (queries first, then keys); a key and its value go to the cache.
void Model::turn(const Layer &layer, int64_t index, const Chunk &chunk, int64_t token, int64_t head) {
    const int64_t hd = c_.head_dim, half = hd / 2, position = chunk.position(token);
    float *x = qkv_ + token * qkv_stride_ + head * hd;  // queries, then keys, then values
    const bool query = head < c_.n_heads;
    kernels_->head(x, hd, query ? layer.q_gain : layer.k_gain, c_.norm_eps, cosine_ ? cosine_ + position * half : nullptr,
                sine_ ? sine_ + position * half : nullptr, query ? 1.0f / std::sqrt(float(hd)) : 1.0f);
    if (query) return;
    const int64_t g = head - c_.n_heads;
    const Cache &cache = chunk.which ? tails_[size_t(chunk.which[token])] : cache_;
    const int64_t at = chunk.which ? position - position_ / kernels_->lanes * kernels_->lanes : position;
    kernels_->remember(x, x + kv_width_, hd, value_stride_, at, keys(cache, index, g), values(cache, index, g));
}

// Queries first .. last) of those that read key/value head g, in the order (token, head of the group); in branches they
// are all of the one token.
void Model::attend_heads(int64_t index, const Chunk &chunk, int64_t g, int64_t token, int64_t first, int64_t last,
                         int member, const void *soon) {
    const int64_t hd = c_.head_dim, group = c_.n_heads / c_.n_kv_heads, lanes = kernels_->lanes;
    Attend a{};
    a.run[0] = {keys(cache_, index, g), values(cache_, index, g), cache_.context};
    if (chunk.which) {
        const Cache &tail = tails_[size_t(chunk.which[token])];
        a.run[0].positions = position_ / lanes * lanes;
        a.run[1] = {keys(tail, index, g), values(tail, index, g), tail.context};
    }
    a.head_dim = hd;
    a.value_stride = value_stride_;
    a.alone = chunk.n == 1 || chunk.which != nullptr;
    a.soon = soon;
    a.soon_positions = chunk.position(token) + 1 - (chunk.which ? a.run[0].positions : 0);
    a.scratch = scratch_[size_t(member)];
    a.scratch_stride = scratch_stride_;
    for (int64_t j = first; j < last; ++j) {
        const int64_t t = token + j / group, h = g * group + j % group;
        a.query[j - first] = qkv_ + t * qkv_stride_ + h * hd;
        a.length[j - first] = chunk.position(t) + 1;
        a.out[j - first] = mix_ + t * mix_stride_ + h * hd;
    }
    kernels_->attend(a, int(last - first));
}

// Heads turned, cached and attended to. One token with whole groups for every thread needs no meeting in between.
void Model::attend(const Layer &layer, int64_t index, const Chunk &chunk, int member, int size) {
    const int64_t group = c_.n_heads / c_.n_kv_heads, heads = c_.n_heads + c_.n_kv_heads, most = kernels_->max_queries;
    if (chunk.n == 1 && c_.n_kv_heads % size == 0) {
        const Share part = share(c_.n_kv_heads, member, size);
        for (int64_t g = part.first; g < part.last; ++g) {
            turn(layer, index, chunk, 0, c_.n_heads + g);
            for (int64_t h = g * group; h < (g + 1) * group; ++h) turn(layer, index, chunk, 0, h);
            for (int64_t h = 0; h < group; h += most)
                attend_heads(index, chunk, g, 0, h, std::min(group, h + most), member,
                             g + 1 < part.last && !chunk.which ? keys(cache_, index, g + 1) : nullptr);
        }
        return;
    }
    const Share part = share(chunk.n * heads, member, size);
    for (int64_t i = part.first; i < part.last; ++i) turn(layer, index, chunk, i / heads, i % heads);
    team_.meet();
    // tiles go round the threads, since later tokens see more; many of them to whoever comes
    if (chunk.which) {
        int64_t turn_of = 0;
        const auto next = [&](int64_t token, int64_t g) -> const void * {  // the keys of this thread's next tile
            token += g / c_.n_kv_heads;
            if (token >= chunk.n) return nullptr;
            return keys(tails_[size_t(chunk.which[token])], index, g % c_.n_kv_heads);
        };
        for (int64_t token = 0; token < chunk.n; ++token)
            for (int64_t g = 0; g < c_.n_kv_heads; ++g)
                for (int64_t h = 0; h < group; h += most)
                    if (turn_of++ % size == member)
                        attend_heads(index, chunk, g, token, h, std::min(group, h + most), member,
                                     next(token, g + size));
        return;
    }
    const int64_t per_g = chunk.n * group, fair = (per_g * c_.n_kv_heads + size - 1) / size;
    const int64_t wide = std::min<int64_t>(most, fair);
    const int64_t tiles = (per_g + wide - 1) / wide, count = tiles * c_.n_kv_heads;
    const auto tile = [&](int64_t i) {
        const int64_t first = i % tiles * wide;
        attend_heads(index, chunk, i / tiles, 0, first, std::min(per_g, first + wide), member);
    };
    if (chunk.n <= kFewTokens) {
        for (int64_t i = member; i < count; i += size) tile(i);
        return;
    }
    constexpr int64_t some = 8;
    std::atomic<int64_t> &next = counters_[size_t(kSteps * index + 1)].next;
    for (int64_t i; (i = next.fetch_add(some, std::memory_order_relaxed)) < count;)
        for (int64_t j = i; j < std::min(count, i + some); ++j) tile(j);
}

// The largest logit of this thread's rows of the head: they are still in its cache.
void Model::choose(const Chunk &chunk, int member, int size) {
    const Share part = share(head_.panels, member, size);
    const int64_t first = part.first * kPanel, last = std::min<int64_t>(part.last * kPanel, c_.vocab_size);
    for (int other = size; member == 0 && other < team_.size(); ++other)
        for (int64_t row = 0; row < chunk.wanted; ++row) best_[size_t(other * kChunk + row)] = -2;
    for (int64_t row = 0; row < chunk.wanted; ++row) {
        const size_t at = size_t(member * kChunk + row);
        best_[at] = -2;
        if (first >= last) continue;
        const int64_t found = kernels_->largest(chunk.logits + row * c_.vocab_size + first, last - first, &best_value_[at]);
        best_[at] = found < 0 ? -1 : first + found;
    }
}

void Model::forward(const Chunk &chunk, int member, int size) {
    const int64_t n = chunk.n;
    const Sink activation = c_.ffn == NIMLLM_FFN_SWIGLU ? Sink::swiglu
                            : c_.ffn == NIMLLM_FFN_GELU ? Sink::gelu
                                                        : Sink::relu2;
    const int64_t wide = int64_t(sizeof(float));
    const Share tokens = share(n, member, size);
    for (int64_t token = tokens.first; token < tokens.last; ++token) embed(chunk, token, member);
    team_.meet();
    for (int64_t index = 0; index < c_.n_layers; ++index) {
        const Layer &layer = layers_[size_t(index)];
        const void *act = normed(layer.before_attention, chunk, 0, member, size);
        multiply(layer.qkv, act, act_stride_, n, Sink::store, qkv_, qkv_stride_ * wide, kSteps * index, member, size);
        team_.meet();
        attend(layer, index, chunk, member, size);
        team_.meet();
        act = mixed(chunk, member, size);
        const int64_t mix_stride = kernels_->own_inputs ? mix_act_stride_ : mix_stride_ * wide;
        multiply(layer.out, act, mix_stride, n, Sink::add, x_, x_stride_ * wide, kSteps * index + 2, member, size);
        team_.meet();
        act = normed(layer.before_ffn, chunk, 0, member, size);
        multiply(layer.up, act, act_stride_, n, activation, ffn_, ffn_stride_, kSteps * index + 3, member, size);
        team_.meet();
        multiply(layer.down, ffn_, ffn_stride_, n, Sink::add, x_, x_stride_ * wide, kSteps * index + 4, member, size);
        team_.meet();
    }
    if (!chunk.wanted) return;
    const void *act = normed(final_norm_, chunk, n - chunk.wanted, member, size);
    multiply(head_, act, act_stride_, chunk.wanted, Sink::store, chunk.logits, c_.vocab_size * wide,
             kSteps * c_.n_layers, member, size);
    if (!chunk.best) return;
    if (chunk.wanted > kFewTokens) team_.meet();  // its rows are not all this thread's own
    choose(chunk, member, size);
}

}  // namespace nimllm
