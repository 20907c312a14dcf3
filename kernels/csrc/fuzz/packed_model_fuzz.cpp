// Fuzz target of the whole way from a file to logits: what opens must also compute, inside its own memory. driver.cpp
// tells how to build it.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "../packed_model.h"
#include "../weights_file.h"
#include "target.h"

static void demand(bool true_) {
    if (!true_) std::abort();
}

static void compute(nimllm::Model &model) {
    const nimllm_config &c = model.config();
    // a configuration may be far larger than its weights are interesting
    if (double(c.vocab_size) * c.d_model > 1e6 || c.context > 4096 || c.n_layers > 64) return;
    std::vector<float> logits(size_t(c.vocab_size) * 3);
    const int32_t ids[3] = {0, c.vocab_size - 1, c.vocab_size / 2};
    const int64_t count = c.context < 3 ? c.context : 3;
    model.extend(ids, count, logits.data(), true);
    demand(model.position() == count);
    model.truncate(count - 1);
    model.extend(ids, 1, logits.data(), false);
}

std::string fuzz_outcome(const uint8_t *data, size_t size) {
    static const std::string path = "/dev/shm/nimllm-fuzz-" + std::to_string(getpid());
    std::FILE *file = std::fopen(path.c_str(), "wb");
    demand(file && std::fwrite(data, 1, size, file) == size);
    demand(std::fclose(file) == 0);
    std::string outcome;
    try {
        compute(*nimllm::open_model(path, 1, NIMLLM_ISA_AUTO, size % 2));
    } catch (const nimllm::Failure &error) {
        demand(std::strlen(error.what()) > 0);
        outcome = error.what();
    } catch (const std::bad_alloc &) {
        outcome = "not enough memory";
    }
    std::remove(path.c_str());
    return outcome;
}

// One small model of each dtype and of several architectures.
std::vector<std::string> fuzz_seeds(const std::string &folder) {
    std::vector<std::string> made;
    for (int32_t i = 0; i < 8; ++i) {
        nimllm_config c{};
        c.vocab_size = 5, c.n_layers = 1 + i % 2, c.d_model = 6, c.n_heads = 2, c.n_kv_heads = 1 + i / 4, c.head_dim = 4;
        c.d_ff = 7, c.context = 20 + i, c.threads = 1, c.norm_eps = 1e-6f, c.rope_theta = 10000.0;
        c.pos = i / 2 % 2, c.norm = i / 4, c.ffn = i % 3, c.tied = i % 2, c.qk_norm = i / 2 % 2, c.bias = i / 4;
        c.embed_norm = i == 5, c.qkv_bias = i == 2, c.dtype = i % 4;
        const int32_t d = c.d_model, q = c.n_heads * c.head_dim, kv = c.n_kv_heads * c.head_dim;
        std::vector<std::string> names;
        std::vector<std::pair<int32_t, int32_t>> shapes;
        const auto add = [&](const std::string &name, int32_t rows, int32_t cols) {
            names.push_back(name);
            shapes.push_back({rows, cols});
        };
        const auto linear = [&](const std::string &name, int32_t rows, int32_t cols) {
            add(name + ".weight", rows, cols);
            add(name + ".bias", 1, rows);
        };
        add("model.embed_tokens.weight", c.vocab_size, d);
        add("lm_head.weight", c.vocab_size, d);
        add("model.embed_positions.weight", c.context, d);
        linear("model.embed_norm", 1, d);
        linear("model.norm", 1, d);
        for (int32_t layer = 0; layer < c.n_layers; ++layer) {
            const std::string at = "model.layers." + std::to_string(layer) + ".";
            linear(at + "self_attn.q_proj", q, d);
            linear(at + "self_attn.k_proj", kv, d);
            linear(at + "self_attn.v_proj", kv, d);
            linear(at + "self_attn.o_proj", d, q);
            add(at + "self_attn.q_norm.weight", 1, c.head_dim);
            add(at + "self_attn.k_norm.weight", 1, c.head_dim);
            linear(at + "mlp.gate_proj", c.d_ff, d);
            linear(at + "mlp.up_proj", c.d_ff, d);
            linear(at + "mlp.down_proj", d, c.d_ff);
            linear(at + "input_layernorm", 1, d);
            linear(at + "post_attention_layernorm", 1, d);
        }
        for (size_t n = 0; n < names.size(); ++n)  // a norm's weight is a vector, and so is its bias
            if (names[n].find("norm.bias") != std::string::npos) shapes[n] = {1, d};
        const std::vector<float> values(4096, 0.25f);
        std::vector<nimllm_tensor> tensors;
        for (size_t n = 0; n < names.size(); ++n)
            tensors.push_back({names[n].c_str(), values.data(), shapes[n].first, shapes[n].second});
        made.push_back(folder + "/seed" + std::to_string(i) + ".safetensors");
        nimllm::save_model(nimllm::Model(c, tensors.data(), int64_t(tensors.size())), made.back());
    }
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_outcome(data, size);
    return 0;
}
