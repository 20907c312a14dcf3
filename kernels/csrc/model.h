// A model packed for one instruction set, its KV cache, and the forward pass.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine.h"
#include "failure.h"
#include "kernels.h"
#include "threads.h"

namespace nimllm {

// Zeroed memory, given back all at once, in 2 MB pages where the system has them: with 4 KB pages one core reads the
// weights of a 10M model a tenth slower. So matrices share large slabs. Every piece begins on a cache line.
class Arena {
public:
    Arena() = default;
    Arena(const Arena &) = delete;
    Arena &operator=(const Arena &) = delete;
    ~Arena();
    template <class T>
    T *take(int64_t count) {
        return static_cast<T *>(bytes(size_t(count) * sizeof(T)));
    }

private:
    void *bytes(size_t size);
    std::vector<void *> slabs_;
    char *next_ = nullptr;
    size_t left_ = 0;
};

struct Norm {
    std::vector<float> weight, bias;  // bias is empty where the configuration has none
    const float *bias_or_null() const { return bias.empty() ? nullptr : bias.data(); }
};

struct Layer {
    Matrix qkv, out, up, down;  // up holds gate and up in alternating panels when swiglu
    Norm before_attention, before_ffn;
    std::vector<float> q_gain, k_gain;  // empty without qk_norm
    float *keys, *values;               // this layer's part of the cache
};

class Model {
public:
    Model(const nimllm_config &config, const nimllm_tensor *tensors, int64_t count);

    // ids are inside the vocabulary and fit the context: the caller has checked.
    void extend(const int32_t *ids, int64_t n, float *logits, bool all);
    void truncate(int64_t position) { position_ = position; }

    const nimllm_config &config() const { return c_; }
    int64_t position() const { return position_; }
    const char *isa() const { return kernels_->name; }
    int64_t bytes_per_token() const { return bytes_per_token_; }

private:
    struct Chunk {  // what one pass over the weights computes
        Model *model;
        const int32_t *ids;
        int64_t n, first;  // tokens, position of the first one
        float *logits;     // [wanted, vocabulary], null when none are
        int64_t wanted;    // logits of so many last tokens
    };

    // packing (model.cpp)
    struct Part {
        const float *data;
        const float *bias;
        int64_t rows;
    };
    const float *tensor(const std::string &name, int64_t rows, int64_t cols);
    Norm norm(const std::string &name);
    Part part(const std::string &name, int64_t rows, int64_t cols);
    Matrix pack(const std::vector<Part> &parts, int64_t inputs, bool alternate);

    // computing (forward.cpp)
    static void member(void *chunk, int member, int size);
    void forward(const Chunk &chunk, int member, int size);
    void embed(const Chunk &chunk, int64_t token);
    const void *normed(const Norm &norm, const Chunk &chunk, int64_t from, int member, int size);
    void cache(const Layer &layer, const Chunk &chunk, int member, int size);
    void attend(const Layer &layer, const Chunk &chunk, int member, int size);
    void multiply(const Matrix &matrix, const void *x, int64_t x_stride, int64_t n, Sink sink, void *y,
                  int64_t y_stride, int member, int size);

    nimllm_config c_;
    const Kernels *kernels_;
    bool bf16_;
    std::unordered_map<std::string, const nimllm_tensor *> tensors_;  // only while packing
    Arena arena_;
    std::vector<Layer> layers_;
    Matrix embedding_, head_, positions_;
    Norm embed_norm_, final_norm_;
    int64_t bytes_per_token_ = 0;
    int64_t position_ = 0;

    float *cosine_ = nullptr, *sine_ = nullptr;  // [context, head_dim / 2]
    int64_t q_width_, kv_width_, value_stride_, cache_context_;
    // strides in elements, padded so that no two threads share a cache line of one row's ends
    int64_t x_stride_, qkv_stride_, act_stride_, mix_stride_, ffn_stride_;
    float *x_, *qkv_;             // [kChunk, stride]
    char *act_, *mix_, *ffn_;     // [kChunk, stride] activations
    std::vector<char *> own_act_;  // one per thread
    std::vector<float *> scratch_;
    Team team_;
};

// Tokens computed in one pass over the weights. A panel of 64 rows stays in the L2 while so many tokens pass by.
constexpr int64_t kChunk = 96;

}  // namespace nimllm
