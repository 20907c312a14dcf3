#include "model.h"

#include <cmath>
#include <cstring>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace nimllm {

Arena::~Arena() {
    for (const Slab &slab : slabs_) {
#if defined(__unix__) || defined(__APPLE__)
        munmap(slab.data, slab.size);
#else
        std::free(slab.data);
#endif
    }
}

void *Arena::bytes(size_t size) {
    constexpr size_t huge = size_t(2) << 20, line = 64;
    size = (size + line - 1) / line * line;
    if (size > left_) {
        // untouched pages of a slab cost nothing, so it may be far larger than a small model
        const size_t slab = std::max((size + huge - 1) / huge * huge, size_t(64) << 20);
        slabs_.reserve(slabs_.size() + 1);
#if defined(__unix__) || defined(__APPLE__)
        void *data = mmap(nullptr, slab + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED) throw std::bad_alloc();
        slabs_.push_back({data, slab + huge});
        data = reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(data) + huge - 1) / huge * huge);
#if defined(MADV_HUGEPAGE)
        madvise(data, slab, MADV_HUGEPAGE);
#endif
#else
        void *data = std::calloc(1, slab + line);
        if (!data) throw std::bad_alloc();
        slabs_.push_back({data, slab + line});
        data = reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(data) + line - 1) / line * line);
#endif
        next_ = static_cast<char *>(data);
        left_ = slab;
    }
    void *piece = next_;
    next_ += size;
    left_ -= size;
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
    // no tensor bounds it where positions turn, and the tables and the cache grow with it
    if (c.context > (1 << 20)) throw Failure(NIMLLM_BAD_CONFIG, "context is too large");
    if (c.threads > 1024) throw Failure(NIMLLM_BAD_CONFIG, "threads is too large");
    if (c.n_heads % c.n_kv_heads) throw Failure(NIMLLM_BAD_CONFIG, "n_heads is not a multiple of n_kv_heads");
    if (c.pos == NIMLLM_POS_ROPE && c.head_dim % 2) throw Failure(NIMLLM_BAD_CONFIG, "RoPE needs an even head_dim");
    if (c.pos < 0 || c.pos > 1 || c.norm < 0 || c.norm > 1 || c.ffn < 0 || c.ffn > 2 || c.dtype < 0 ||
        c.dtype > NIMLLM_Q4)
        throw Failure(NIMLLM_BAD_CONFIG, "pos, norm, ffn or dtype is unknown");
    if (!(c.norm_eps > 0) || !(c.rope_theta > 0))
        throw Failure(NIMLLM_BAD_CONFIG, "norm_eps or rope_theta is not positive");
}

static const Kernels *kernels_of(int isa, Format format) {
    const Kernels *found = nullptr;
    if (isa == NIMLLM_ISA_AUTO || isa == NIMLLM_ISA_AVX512) found = kernels_avx512(format);
    if (!found && (isa == NIMLLM_ISA_AUTO || isa == NIMLLM_ISA_AVX2)) found = kernels_avx2(format);
    if (!found && (isa == NIMLLM_ISA_AUTO || isa == NIMLLM_ISA_PORTABLE)) found = kernels_portable(format);
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

uint8_t *Model::block(const std::string &name, const char *kind, int64_t bytes) {
    uint8_t *data = blocks_ ? blocks_->find(name, kind, bytes) : arena_.take<uint8_t>(bytes);
    named_.push_back({name, kind, data, bytes});
    return data;
}

float *Model::vector(const std::string &source, const std::string &name, int64_t length) {
    float *data = reinterpret_cast<float *>(block(name, "F32", length * 4));
    if (!blocks_) std::copy_n(tensor(source, 1, length), length, data);
    places_[source].push_back({Matrix{}, data, 0, false, 0, 1, length});
    return data;
}

Norm Model::norm(const std::string &source, const std::string &name) {
    Norm result;
    result.weight = vector(source + ".weight", name + ".weight", c_.d_model);
    if (c_.norm == NIMLLM_NORM_LAYER && c_.bias) result.bias = vector(source + ".bias", name + ".bias", c_.d_model);
    return result;
}

// Stacks the parts' rows, or takes panels from two parts in turn (each padded to whole panels).
Matrix Model::matrix(const std::string &name, const std::vector<Part> &parts, int64_t inputs, bool alternate) {
    int64_t rows = 0;
    for (const Part &p : parts) rows += alternate ? round_up(p.rows, kPanel) : p.rows;
    Matrix m = matrix_of(format_, rows, inputs);
    uint8_t *data = block(name, "U8", m.bytes());
    m.data = data;
    float *bias = nullptr;
    if (parts[0].bias) m.bias = bias = reinterpret_cast<float *>(block(name + ".bias", "F32", m.panels * kPanel * 4));
    std::vector<const float *> sources(size_t(m.panels * kPanel), nullptr);
    int64_t first = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
        const Part &p = parts[i];
        const Place place{m, nullptr, first, alternate, int64_t(i), p.rows, inputs};
        places_[p.name + ".weight"].push_back(place);
        if (bias) places_[p.name + ".bias"].push_back({m, bias, first, alternate, int64_t(i), 1, p.rows});
        first += p.rows;
        if (blocks_) continue;
        const float *weights = tensor(p.name + ".weight", p.rows, inputs);
        const float *biases = bias ? tensor(p.name + ".bias", 1, p.rows) : nullptr;
        for (int64_t row = 0; row < p.rows; ++row) {
            sources[size_t(place.packed(row))] = weights + row * inputs;
            if (bias) bias[place.packed(row)] = biases[row];
        }
    }
    if (!blocks_) pack(m, data, sources.data());
    return m;
}

Model::Model(const nimllm_config &config, const nimllm_tensor *tensors, int64_t count)
    : c_(checked(config)), kernels_(kernels_of(config.isa, Format(config.dtype))), format_(Format(config.dtype)),
      team_(config.threads) {
    for (int64_t i = 0; i < count; ++i) tensors_[tensors[i].name] = &tensors[i];
    build();
    tensors_.clear();
}

Model::Model(const nimllm_config &config, std::unique_ptr<Blocks> blocks)
    : c_(checked(config)), kernels_(kernels_of(config.isa, Format(config.dtype))), format_(Format(config.dtype)),
      blocks_(std::move(blocks)), team_(config.threads) {
    build();
}

void Model::build() {
    const int64_t d = c_.d_model, ff = c_.d_ff, hd = c_.head_dim;
    q_width_ = c_.n_heads * hd;
    kv_width_ = c_.n_kv_heads * hd;
    embedding_ = matrix("embed", {{"model.embed_tokens", c_.vocab_size, false}}, d, false);
    head_ = c_.tied ? embedding_ : matrix("head", {{"lm_head", c_.vocab_size, false}}, d, false);
    if (c_.pos == NIMLLM_POS_LEARNED)
        positions_ = matrix("positions", {{"model.embed_positions", c_.context, false}}, d, false);
    if (c_.embed_norm) embed_norm_ = norm("model.embed_norm", "embed_norm");
    final_norm_ = norm("model.norm", "norm");
    bytes_per_token_ = head_.bytes();
    const bool bias = c_.bias != 0, qkv = bias || c_.qkv_bias != 0;
    for (int64_t i = 0; i < c_.n_layers; ++i) {
        const std::string to = "layers." + std::to_string(i) + ".", at = "model." + to;
        const std::string sa = at + "self_attn.", mlp = at + "mlp.";
        Layer layer;
        layer.qkv = matrix(to + "qkv",
                           {{sa + "q_proj", q_width_, qkv}, {sa + "k_proj", kv_width_, qkv},
                            {sa + "v_proj", kv_width_, qkv}}, d, false);
        layer.out = matrix(to + "out", {{sa + "o_proj", d, bias}}, q_width_, false);
        if (c_.ffn == NIMLLM_FFN_SWIGLU)
            layer.up = matrix(to + "up", {{mlp + "gate_proj", ff, bias}, {mlp + "up_proj", ff, bias}}, d,
                              true);
        else
            layer.up = matrix(to + "up", {{mlp + "up_proj", ff, bias}}, d, false);
        layer.down = matrix(to + "down", {{mlp + "down_proj", d, bias}}, ff, false);
        layer.before_attention = norm(at + "input_layernorm", to + "before_attention");
        layer.before_ffn = norm(at + "post_attention_layernorm", to + "before_ffn");
        if (c_.qk_norm) {
            layer.q_gain = vector(sa + "q_norm.weight", to + "q_norm", hd);
            layer.k_gain = vector(sa + "k_norm.weight", to + "k_norm", hd);
        }
        bytes_per_token_ += layer.qkv.bytes() + layer.out.bytes() + layer.up.bytes() + layer.down.bytes();
        layers_.push_back(layer);
    }
    reserve();
}

// Everything beside the weights: the cache, the rotation's table, the buffers of one pass.
void Model::reserve() {
    const int64_t d = c_.d_model, hd = c_.head_dim, lanes = kernels_->lanes;
    element_ = kernels_->narrow_cache ? 2 : 4;
    value_stride_ = round_up(hd, lanes);
    scratch_stride_ = round_up(c_.context, lanes) + lanes;
    hold(1);
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
    x_stride_ = round_up(d, kPanel);
    qkv_stride_ = round_up(q_width_ + 2 * kv_width_, kPanel);
    mix_stride_ = round_up(q_width_, kPanel);
    act_stride_ = kernels_->row_bytes(d);
    mix_act_stride_ = kernels_->row_bytes(q_width_);
    ffn_stride_ = kernels_->row_bytes(c_.d_ff);
    const int64_t rows = std::min<int64_t>(kChunk, std::max<int64_t>(c_.context, kBranches));
    x_ = arena_.take<float>(rows * x_stride_);
    qkv_ = arena_.take<float>(rows * qkv_stride_);
    mix_ = arena_.take<float>(rows * mix_stride_);
    act_ = arena_.take<char>(rows * act_stride_);
    mix_act_ = arena_.take<char>(rows * mix_act_stride_);
    ffn_ = arena_.take<char>(rows * ffn_stride_);
    for (int member = 0; member < team_.size(); ++member) {
        own_act_.push_back(arena_.take<char>(std::max(act_stride_, mix_act_stride_)));
        spare_.push_back(arena_.take<float>(x_stride_));
        scratch_.push_back(arena_.take<float>(kernels_->max_queries * scratch_stride_));
    }
    counters_ = std::vector<Counter>(size_t(kSteps * c_.n_layers + 1));
    best_.resize(size_t(team_.size() * kChunk));
    best_value_.resize(best_.size());
}

void Model::hold(int64_t positions) {
    if (positions <= cache_.context) return;
    const int64_t most = round_up(c_.context, kernels_->lanes);
    Cache longer;
    longer.context = std::min(most, std::max(kFirstCache, std::max(2 * cache_.context, round_up(positions, kFirstCache))));
    std::unique_ptr<Arena> memory(new Arena);
    longer.data = memory->take<char>(cache_bytes(longer.context));
    const int64_t kept = round_up(position_, kernels_->lanes);
    for (int64_t layer = 0; kept && layer < c_.n_layers; ++layer)
        for (int64_t g = 0; g < c_.n_kv_heads; ++g) {
            std::memcpy(keys(longer, layer, g), keys(cache_, layer, g), size_t(kept * c_.head_dim * element_));
            std::memcpy(values(longer, layer, g), values(cache_, layer, g), size_t(kept * value_stride_ * element_));
        }
    cache_ = longer;
    cache_memory_ = std::move(memory);
}

void Model::update(const std::string &name, const float *data, int64_t rows, int64_t cols, const int64_t *indices,
                   int64_t count) {
    const auto found = places_.find(name);
    if (found == places_.end()) throw Failure(NIMLLM_BAD_TENSOR, "the model has no tensor " + name);
    const Place &shape = found->second[0];
    if (rows != shape.rows || cols != shape.cols)
        throw Failure(NIMLLM_BAD_TENSOR, "tensor " + name + " is " + std::to_string(rows) + " x " + std::to_string(cols) +
                                             ", expected " + std::to_string(shape.rows) + " x " +
                                             std::to_string(shape.cols));
    for (int64_t i = 0; i < count; ++i)
        if (indices[i] < 0 || indices[i] >= rows * cols)
            throw Failure(NIMLLM_BAD_ARGUMENT, "an index is outside tensor " + name);
    truncate(0);
    for (const Place &place : found->second) {
        const int64_t wide = group_inputs(place.matrix.format);
        int64_t last_row = -1, last_group = -1;
        for (int64_t i = 0; i < count; ++i) {
            const int64_t row = indices[i] / cols, col = indices[i] % cols;
            if (place.vector) {
                place.vector[place.packed(col)] = data[indices[i]];
                continue;
            }
            const int64_t group = col / wide;
            if (row == last_row && group == last_group) continue;  // sorted indices make each group once
            last_row = row;
            last_group = group;
            pack_group(place.matrix, const_cast<uint8_t *>(place.matrix.data), place.packed(row), group,
                       data + row * cols + group * wide, std::min(wide, cols - group * wide));
        }
    }
}

}  // namespace nimllm
