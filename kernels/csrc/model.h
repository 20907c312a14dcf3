// A model packed for one instruction set, its KV cache, and the forward pass.
#pragma once

#include <algorithm>
#include <atomic>
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
    struct Slab {
        void *data;
        size_t size;
    };
    std::vector<Slab> slabs_;
    char *next_ = nullptr;
    size_t left_ = 0;
};

// Where a model's blocks come from when they are packed already: a file. A block is what matrix() or vector() in
// model.cpp asks for, by a name such as "layers.0.qkv" or "layers.0.qkv.bias".
class Blocks {
public:
    virtual ~Blocks() = default;
    // The block's bytes, on a cache line, writable (writes stay private) and alive as long as this object. Throws
    // Failure(NIMLLM_BAD_TENSOR) when there is none of this name, kind and size. kind: "U8" packed weights, "F32".
    virtual uint8_t *find(const std::string &name, const char *kind, int64_t bytes) = 0;
};

struct NamedBlock {  // one of a model's own
    std::string name;
    const char *kind;
    const uint8_t *data;
    int64_t bytes;
};

struct Norm {
    float *weight = nullptr, *bias = nullptr;  // bias is null where the configuration has none
};

struct Layer {
    Matrix qkv, out, up, down;  // up holds gate and up in alternating panels when swiglu
    Norm before_attention, before_ffn;
    float *q_gain = nullptr, *k_gain = nullptr;  // null without qk_norm
};

class Model {
public:
    // Packs fp32 tensors by their Hugging Face names.
    Model(const nimllm_config &config, const nimllm_tensor *tensors, int64_t count);
    // Computes in the blocks as they lie.
    Model(const nimllm_config &config, std::unique_ptr<Blocks> blocks);

    // ids are inside the vocabulary and fit the context: the caller has checked. logits: [n or 1][vocab_size]. best,
    // where not null: the id of the largest logit of each of these rows, -1 where one is not finite. Ends all branches.
    void extend(const int32_t *ids, int64_t n, float *logits, bool all, int32_t *best = nullptr);
    void truncate(int64_t position);

    // Branches continue the sequence side by side: they share its cache and have room for `room` tokens each of their
    // own. step() appends ids[i] to branch which[i] (each at most once), logits [n][vocab_size]. adopt() makes one of
    // them the sequence; extend, truncate and fork end the others.
    void fork(int64_t count, int64_t room);
    void step(const int32_t *ids, const int32_t *which, int64_t n, float *logits, int32_t *best = nullptr);
    void adopt(int64_t branch);
    // Another job for the threads, which are awake after a step: it may not throw. work: as Team::run.
    void together(Team::Job job, void *context, int64_t work) { team_.run(job, context, work); }
    int64_t branches() const { return int64_t(branches_.size()); }
    int64_t branch_length(int64_t branch) const { return branches_[size_t(branch)]; }
    int64_t room() const { return room_; }

    // The weights of `name` at the flat indices of a [rows, cols] tensor become what data holds there. Quantised
    // weights share a scale with their neighbours, so the whole groups are made anew from data: the result is the same
    // as packing data. Forgets the cache.
    void update(const std::string &name, const float *data, int64_t rows, int64_t cols, const int64_t *indices,
                int64_t count);
    const std::vector<NamedBlock> &blocks() const { return named_; }

    const nimllm_config &config() const { return c_; }
    int64_t position() const { return position_; }
    const char *isa() const { return kernels_->name; }
    int64_t bytes_per_token() const { return bytes_per_token_; }

private:
    struct Chunk {  // what one pass over the weights computes
        Model *model;
        const int32_t *ids;
        int64_t n, first;      // tokens, position of the first one
        const int32_t *which;  // the branch of each token, or null: all belong to the sequence
        float *logits;         // [wanted, vocabulary], null when none are
        int64_t wanted;        // logits of so many last tokens
        int32_t *best;         // [wanted], or null
        int64_t position(int64_t token) const {
            return which ? model->position_ + model->branches_[size_t(which[token])] : first + token;
        }
    };

    // packing (model.cpp)
    struct Part {
        std::string name;
        int64_t rows;
        bool bias;
    };
    struct Place {  // where a tensor's rows went
        Matrix matrix;
        float *vector;  // a norm or a bias: the matrix gives only the order of rows
        int64_t first;  // packed row of its first row
        bool alternate;
        int64_t side;
        int64_t rows, cols;
        int64_t packed(int64_t row) const {
            return alternate ? (row / kPanel * 2 + side) * kPanel + row % kPanel : first + row;
        }
    };
    void build();
    const float *tensor(const std::string &name, int64_t rows, int64_t cols);
    Norm norm(const std::string &source, const std::string &name);
    float *vector(const std::string &source, const std::string &name, int64_t length);
    Matrix matrix(const std::string &name, const std::vector<Part> &parts, int64_t inputs, bool alternate);
    uint8_t *block(const std::string &name, const char *kind, int64_t bytes);
    void reserve();

    // computing (forward.cpp)
    static void member(void *chunk, int member, int size);
    void forward(const Chunk &chunk, int member, int size);
    void embed(const Chunk &chunk, int64_t token, int member);
    const void *normed(const Norm &norm, const Chunk &chunk, int64_t from, int member, int size);
    const void *mixed(const Chunk &chunk, int member, int size);
    void turn(const Layer &layer, int64_t index, const Chunk &chunk, int64_t token, int64_t head);
    void attend_heads(int64_t index, const Chunk &chunk, int64_t g, int64_t token, int64_t first, int64_t last,
                      int member, const void *soon = nullptr);
    void attend(const Layer &layer, int64_t index, const Chunk &chunk, int member, int size);
    void choose(const Chunk &chunk, int member, int size);
    void multiply(const Matrix &matrix, const void *x, int64_t x_stride, int64_t n, Sink sink, void *y,
                  int64_t y_stride, int64_t step, int member, int size);
    void run(Chunk &chunk);

    nimllm_config c_;
    const Kernels *kernels_;
    Format format_;
    std::unordered_map<std::string, const nimllm_tensor *> tensors_;  // only while packing
    std::unique_ptr<Blocks> blocks_;
    std::vector<NamedBlock> named_;
    std::unordered_map<std::string, std::vector<Place>> places_;
    Arena arena_;
    std::vector<Layer> layers_;
    Matrix embedding_, head_, positions_;
    Norm embed_norm_, final_norm_;
    int64_t bytes_per_token_ = 0;
    int64_t position_ = 0;

    // The cache, in elements of element_ bytes: for each layer, keys [n_kv_heads][context][head_dim] in blocks of
    // `lanes` positions, then values [n_kv_heads][context][value_stride]. A branch's tail is the same, from the last
    // whole block before the fork on.
    struct Cache {
        char *data = nullptr;
        int64_t context = 0;  // a multiple of lanes
    };
    char *keys(const Cache &cache, int64_t layer, int64_t g) const {
        return cache.data + ((layer * c_.n_kv_heads * (c_.head_dim + value_stride_) + g * c_.head_dim) * cache.context) *
                                element_;
    }
    char *values(const Cache &cache, int64_t layer, int64_t g) const {
        return cache.data + ((layer * c_.n_kv_heads * (c_.head_dim + value_stride_) + c_.n_kv_heads * c_.head_dim +
                              g * value_stride_) * cache.context) * element_;
    }
    int64_t cache_bytes(int64_t context) const {
        return c_.n_layers * c_.n_kv_heads * (c_.head_dim + value_stride_) * context * element_;
    }
    // Makes the cache long enough. It begins short and doubles: a context of 1024 that is seldom used to its end would
    // take 21 MB of a 48M model's memory, and in pages of 4 KB instead, decoding is a tenth slower.
    void hold(int64_t positions);
    Cache cache_;
    std::unique_ptr<Arena> cache_memory_;
    std::vector<Cache> tails_;
    std::unique_ptr<Arena> tail_memory_;
    std::vector<int64_t> branches_;  // tokens of each open branch
    int64_t room_ = 0;

    float *cosine_ = nullptr, *sine_ = nullptr;  // [context, head_dim / 2]
    int64_t q_width_, kv_width_, value_stride_, element_, scratch_stride_;
    int64_t x_stride_, qkv_stride_, mix_stride_;        // floats
    int64_t act_stride_, mix_act_stride_, ffn_stride_;  // bytes
    float *x_, *qkv_, *mix_;                            // [kChunk, stride]
    char *act_, *mix_act_, *ffn_;                       // [kChunk, stride] activations
    std::vector<char *> own_act_;                       // one per thread
    std::vector<float *> spare_;
    std::vector<float *> scratch_;
    std::vector<float> best_value_;  // [thread][wanted]
    std::vector<int64_t> best_;
    // Of each product and attention of a pass over many tokens: the next piece that nobody has taken.
    struct alignas(64) Counter {
        std::atomic<int64_t> next{0};
    };
    std::vector<Counter> counters_;
    Team team_;
};

// Tokens computed in one pass over the weights. A panel of 64 rows stays in the L2 while so many tokens pass by.
constexpr int64_t kChunk = 96;
constexpr int64_t kFirstCache = 256;  // positions
constexpr int64_t kFewTokens = 16;  // up to which a pass is shared out beforehand
constexpr int64_t kSteps = 5;  // of a layer that are shared out: four products and attention
constexpr int64_t kBranches = 64;  // that may be open at once

}  // namespace nimllm
