/* Fuzz target of the loader: whatever the bytes are, they are refused with a sentence, or every promise is kept.

With libFuzzer:

    cd kernels/csrc
    clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        fuzz/weights_file_fuzz.cpp weights_file.cpp weights_writer.cpp json.cpp -o /tmp/weights_fuzz
    /tmp/weights_fuzz -max_len=16384 -max_total_time=3600 CORPUS

Without clang, and with mutations that know what JSON is: driver.cpp beside this file, which also writes a corpus. */
#include "target.h"

#include <cstdlib>
#include <cstring>

#include "../failure.h"
#include "../json.h"
#include "../weights_file.h"

static void demand(bool true_) {
    if (!true_) std::abort();
}

static uint64_t touch(const uint8_t *data, size_t size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < size; ++i) sum = sum * 31 + data[i];
    return sum;
}

static void keep_promises(const nimllm::WeightsFile &file, const uint8_t *data, size_t size) {
    volatile uint64_t sum = 0;
    int64_t total = 0;
    for (const nimllm::Block &block : file.blocks()) {
        demand(block.data >= data && block.bytes > 0 && block.bytes <= int64_t(size));
        demand((block.data - data) % 64 == 0 && block.data + block.bytes <= data + size);
        int64_t bytes = nimllm::element_size(block.dtype);
        for (const int64_t one : block.shape) bytes *= one;
        demand(bytes == block.bytes && file.find(block.name) == &block);
        demand(&file.at(block.name, block.dtype, block.shape) == &block);
        sum = sum + touch(block.data, size_t(block.bytes));
        total += block.bytes;
    }
    demand(total <= int64_t(size));
    // a configuration survives being written and read
    const std::string text = nimllm::config_to_json(file.config());
    const nimllm_config again = nimllm::config_from_json(text.data(), text.size());
    demand(nimllm::config_to_json(again) == text);
    for (const auto &word : file.metadata()) {
        const std::string quoted = nimllm::quote_json(word.second);
        demand(nimllm::parse_json(quoted.data(), quoted.size()).text == word.second);
    }
}

std::string fuzz_outcome(const uint8_t *data, size_t size) {
    try {
        nimllm::WeightsFile file(data, size);
        keep_promises(file, data, size);
        return "";
    } catch (const nimllm::Failure &error) {
        demand(error.code == NIMLLM_BAD_FILE && std::strlen(error.what()) > 0);
        return error.what();
    }
}

static nimllm_config shape(int32_t d, int32_t layers, int32_t vocab) {
    nimllm_config c{};
    c.vocab_size = vocab, c.n_layers = layers, c.d_model = d, c.n_heads = 2, c.n_kv_heads = 1, c.head_dim = 2;
    c.d_ff = 2 * d, c.context = 64, c.threads = 1, c.norm_eps = 1e-6f, c.rope_theta = 10000.0;
    c.pos = vocab % 2, c.norm = layers % 2, c.ffn = layers % 3, c.tied = 1, c.qk_norm = d % 2;
    return c;
}

std::vector<std::string> fuzz_seeds(const std::string &folder) {
    using nimllm::DType;
    std::vector<std::string> made;
    const std::vector<uint8_t> data(8192, 7);
    const auto add = [&](const nimllm_config &config, const std::vector<nimllm::BlockSource> &blocks,
                         const std::string &layout) {
        const std::string path = folder + "/seed" + std::to_string(made.size()) + ".safetensors";
        nimllm::write_weights_file(path, config, {{"layout", layout}, {"dtype", "q8"}}, blocks);
        made.push_back(path);
    };
    add(shape(1, 1, 2), {{"embedding", DType::u8, {64}, data.data()}}, "panels");
    add(shape(2, 1, 3), {{"layers.0.qkv", DType::u8, {8, 64}, data.data()},
                         {"layers.0.qkv.bias", DType::f32, {5}, data.data()},
                         {"layers.0.norm", DType::bf16, {3, 1, 2}, data.data()}}, "panels of 64 rows");
    add(shape(4, 2, 5), {{"a", DType::i8, {1}, data.data()}, {"b", DType::i32, {17}, data.data()},
                         {"c", DType::f16, {2, 3, 5}, data.data()}, {"d", DType::f32, {100}, data.data()}}, "\"\\\n");
    std::vector<nimllm::BlockSource> many;
    for (int i = 0; i < 24; ++i)
        many.push_back({"layers." + std::to_string(i) + ".\xc3\xa9", DType::f32, {1 + i % 7, 16}, data.data()});
    add(shape(3, 6, 8), many, "");
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_outcome(data, size);
    return 0;
}
