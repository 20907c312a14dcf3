#include "model.h"

#include <cmath>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace nimllm {

static int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

Arena::~Arena() {
    for (void *slab : slabs_) std::free(slab);
}

void *Arena::bytes(size_t size) {
    constexpr size_t huge = size_t(2) << 20, line = 64;
    size = (size + line - 1) / line * line;
    if (size > left_) {
        // untouched pages of a slab cost nothing, so it may be far larger than a small model
        const size_t slab = std::max((size + huge - 1) / huge * huge, size_t(64) << 20);
        slabs_.reserve(slabs_.size() + 1);
        void *data = nullptr;
        if (posix_memalign(&data, huge, slab) != 0) throw std::bad_alloc();
        slabs_.push_back(data);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        madvise(data, slab, MADV_HUGEPAGE);
#endif
        next_ = static_cast<char *>(data);
        left_ = slab;
    }
    void *piece = next_;
    next_ += size;
    left_ -= size;
    std::memset(piece, 0, size);
    return piece;
}

static void check(const nimllm_config &c) {
    const auto positive = [](int32_t value, const char *name) {
        if (value < 1) throw Failure(NIMLLM_BAD_CONFIG, std::string(name) + " must be positive");
        if (value > (1 << 24)) throw Failure(NIMLLM_BAD_CONFIG, std::string(name) + " is too large");
    };
    positive(c.vocab_size, "vocab_size");
    positive(c.n_layers, "n_layers");
    positive(c.d_model, "d_model");
    positive(c.n_heads, "n_heads");
    positive(c.n_kv_heads, "n_kv_heads");
    positive(c.head_dim, "head_dim");
    positive(c.d_ff, "d_ff");
    positive(c.context, "context");
    positive(c.threads, "threads");
    if (c.threads > 1024) throw Failure(NIMLLM_BAD_CONFIG, "threads is too large");
    if (c.n_heads % c.n_kv_heads) throw Failure(NIMLLM_BAD_CONFIG, "n_heads is not a multiple of n_kv_heads");
    if (c.pos == NIMLLM_POS_ROPE && c.head_dim % 2) throw Failure(NIMLLM_BAD_CONFIG, "RoPE needs an even head_dim");
    if (c.pos < 0 || c.pos > 1 || c.norm < 0 || c.norm > 1 || c.ffn < 0 || c.ffn > 2 || c.dtype < 0 || c.dtype > 1)
        throw Failure(NIMLLM_BAD_CONFIG, "pos, norm, ffn or dtype is unknown");
    if (!(c.norm_eps > 0) || !(c.rope_theta > 0))
        throw Failure(NIMLLM_BAD_CONFIG, "norm_eps or rope_theta is not positive");
}

static const Kernels *choose(int isa, bool bf16) {
    const Kernels *found = nullptr;
    if (isa == NIMLLM_ISA_AUTO || isa == NIMLLM_ISA_AVX512) found = kernels_avx512(bf16);
    if (!found && (isa == NIMLLM_ISA_AUTO || isa == NIMLLM_ISA_AVX2)) found = kernels_avx2(bf16);
    if (!found && (isa == NIMLLM_ISA_AUTO || isa == NIMLLM_ISA_PORTABLE)) found = kernels_portable(bf16);
    if (!found) throw Failure(NIMLLM_NO_ISA, "the processor or this build lacks the instruction set asked for");
    return found;
}

static const nimllm_config &checked(const nimllm_config &c) {
    check(c);
    return c;
}

const float *Model::tensor(const std::string &name, int64_t rows, int64_t cols) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw Failure(NIMLLM_BAD_TENSOR, "tensor " + name + " is missing");
    const nimllm_tensor &t = *found->second;
    if (t.rows != rows || t.cols != cols || !t.data)
        throw Failure(NIMLLM_BAD_TENSOR, "tensor " + name + " is " + std::to_string(t.rows) + " x " +
                                             std::to_string(t.cols) + ", expected " + std::to_string(rows) + " x " +
                                             std::to_string(cols));
    return t.data;
}

Norm Model::norm(const std::string &name) {
    Norm result;
    const float *weight = tensor(name + ".weight", 1, c_.d_model);
    result.weight.assign(weight, weight + c_.d_model);
    if (c_.norm == NIMLLM_NORM_LAYER && c_.bias) {
        const float *bias = tensor(name + ".bias", 1, c_.d_model);
        result.bias.assign(bias, bias + c_.d_model);
    }
    return result;
}

Model::Part Model::part(const std::string &name, int64_t rows, int64_t cols) {
    return Part{tensor(name + ".weight", rows, cols), c_.bias ? tensor(name + ".bias", 1, rows) : nullptr, rows};
}

// Stacks the parts' rows, or takes panels from two parts in turn (each padded to whole panels).
Matrix Model::pack(const std::vector<Part> &parts, int64_t inputs, bool alternate) {
    const int64_t wide = kernels_->panel, step = bf16_ ? 2 : 1;
    std::vector<std::pair<const float *, float>> rows;  // the source of each packed row, and its bias
    bool bias = false;
    const auto take = [&](const Part &p, int64_t row) {
        if (row >= p.rows) return rows.emplace_back(nullptr, 0.0f), void();
        rows.emplace_back(p.data + row * inputs, p.bias ? p.bias[row] : 0.0f);
    };
    for (const Part &p : parts) bias = bias || p.bias;
    Matrix m;
    if (alternate) {
        for (int64_t first = 0; first < parts[0].rows; first += wide)
            for (const Part &p : parts)
                for (int64_t row = first; row < first + wide; ++row) take(p, row);
        m.rows = int64_t(parts.size()) * parts[0].rows;
    } else {
        for (const Part &p : parts)
            for (int64_t row = 0; row < p.rows; ++row) take(p, row);
        m.rows = int64_t(rows.size());
        rows.resize(size_t(round_up(m.rows, wide)), {nullptr, 0.0f});
    }
    m.inputs = inputs;
    m.depth = round_up(inputs, step);
    m.panels = int64_t(rows.size()) / wide;
    const int64_t elements = m.panels * wide * m.depth;
    char *memory = arena_.take<char>(elements * (bf16_ ? 2 : 4));
    float *fp32 = reinterpret_cast<float *>(memory);
    uint16_t *halves = reinterpret_cast<uint16_t *>(memory);
    for (int64_t p = 0; p < m.panels; ++p)
        for (int64_t k = 0; k < inputs; ++k)
            for (int64_t r = 0; r < wide; ++r) {
                const float *source = rows[size_t(p * wide + r)].first;
                if (!source) continue;
                if (bf16_)
                    halves[p * wide * m.depth + (k / 2 * wide + r) * 2 + k % 2] = to_bf16(source[k]);
                else
                    fp32[(p * m.depth + k) * wide + r] = source[k];
            }
    m.data = memory;
    if (bias) {
        float *to = arena_.take<float>(int64_t(rows.size()));
        for (size_t row = 0; row < rows.size(); ++row) to[row] = rows[row].second;
        m.bias = to;
    }
    return m;
}

Model::Model(const nimllm_config &config, const nimllm_tensor *tensors, int64_t count)
    : c_(checked(config)), kernels_(choose(config.isa, config.dtype == NIMLLM_BF16)),
      bf16_(config.dtype == NIMLLM_BF16), team_(config.threads) {
    for (int64_t i = 0; i < count; ++i) tensors_[tensors[i].name] = &tensors[i];
    const int64_t d = c_.d_model, ff = c_.d_ff, hd = c_.head_dim, lanes = kernels_->lanes;
    q_width_ = c_.n_heads * hd;
    kv_width_ = c_.n_kv_heads * hd;

    const float *embedding = tensor("model.embed_tokens.weight", c_.vocab_size, d);
    embedding_ = pack({{embedding, nullptr, c_.vocab_size}}, d, false);
    head_ = c_.tied ? embedding_
                    : pack({{tensor("lm_head.weight", c_.vocab_size, d), nullptr, c_.vocab_size}}, d, false);
    if (c_.pos == NIMLLM_POS_LEARNED)
        positions_ = pack({{tensor("model.embed_positions.weight", c_.context, d), nullptr, c_.context}}, d, false);
    if (c_.embed_norm) embed_norm_ = norm("model.embed_norm");
    final_norm_ = norm("model.norm");

    cache_context_ = round_up(c_.context, lanes);
    value_stride_ = round_up(hd, lanes);
    const int64_t per_layer = c_.n_kv_heads * cache_context_ * (hd + value_stride_);
    float *cache = arena_.take<float>(c_.n_layers * per_layer);
    const auto bytes = [&](const Matrix &m) { return m.panels * kernels_->panel * m.depth * (bf16_ ? 2 : 4); };
    bytes_per_token_ = bytes(head_);
    for (int64_t i = 0; i < c_.n_layers; ++i) {
        const std::string at = "model.layers." + std::to_string(i) + ".", sa = at + "self_attn.", mlp = at + "mlp.";
        Layer layer;
        layer.qkv = pack({part(sa + "q_proj", q_width_, d), part(sa + "k_proj", kv_width_, d),
                          part(sa + "v_proj", kv_width_, d)}, d, false);
        layer.out = pack({part(sa + "o_proj", d, q_width_)}, q_width_, false);
        if (c_.ffn == NIMLLM_FFN_SWIGLU)
            layer.up = pack({part(mlp + "gate_proj", ff, d), part(mlp + "up_proj", ff, d)}, d, true);
        else
            layer.up = pack({part(mlp + "up_proj", ff, d)}, d, false);
        layer.down = pack({part(mlp + "down_proj", d, ff)}, ff, false);
        layer.before_attention = norm(at + "input_layernorm");
        layer.before_ffn = norm(at + "post_attention_layernorm");
        if (c_.qk_norm) {
            const float *q = tensor(sa + "q_norm.weight", 1, hd), *k = tensor(sa + "k_norm.weight", 1, hd);
            layer.q_gain.assign(q, q + hd);
            layer.k_gain.assign(k, k + hd);
        }
        layer.keys = cache + i * per_layer;
        layer.values = layer.keys + c_.n_kv_heads * cache_context_ * hd;
        bytes_per_token_ += bytes(layer.qkv) + bytes(layer.out) + bytes(layer.up) + bytes(layer.down);
        layers_.push_back(std::move(layer));
    }
    tensors_.clear();

    if (c_.pos == NIMLLM_POS_ROPE) {
        const int64_t half = hd / 2;
        cosine_ = arena_.take<float>(2 * c_.context * half);
        sine_ = cosine_ + c_.context * half;
        for (int64_t i = 0; i < half; ++i) {
            const float frequency = float(std::pow(c_.rope_theta, -double(i) / double(half)));
            for (int64_t p = 0; p < c_.context; ++p) {
                const float angle = float(p) * frequency;  // fp32, as the reference does it
                cosine_[p * half + i] = float(std::cos(double(angle)));
                sine_[p * half + i] = float(std::sin(double(angle)));
            }
        }
    }

    x_stride_ = round_up(d, 16);
    qkv_stride_ = round_up(q_width_ + 2 * kv_width_, 16);
    act_stride_ = round_up(d, 32);
    mix_stride_ = round_up(q_width_, 32);
    ffn_stride_ = round_up(ff, 32);
    const int64_t rows = std::min<int64_t>(kChunk, c_.context), act = kernels_->act_bytes;
    x_ = arena_.take<float>(rows * x_stride_);
    qkv_ = arena_.take<float>(rows * qkv_stride_);
    act_ = arena_.take<char>(rows * act_stride_ * act);
    mix_ = arena_.take<char>(rows * mix_stride_ * act);
    ffn_ = arena_.take<char>(rows * ffn_stride_ * act);
    for (int member = 0; member < team_.size(); ++member) {
        own_act_.push_back(arena_.take<char>(act_stride_ * act));
        scratch_.push_back(arena_.take<float>(kernels_->max_queries * cache_context_));
    }
}

}  // namespace nimllm
