/* Fuzz target of the loader: whatever the bytes are, they are refused with a sentence, or every promise is kept.

With libFuzzer:

    cd kernels/csrc
    clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        fuzz/weights_file_fuzz.cpp weights_file.cpp weights_writer.cpp json.cpp -o /tmp/weights_fuzz
    /tmp/weights_fuzz -max_len=16384 -max_total_time=3600 CORPUS

Without clang, and with mutations that know what JSON is: driver.cpp beside this file, which also writes a corpus. */
#include "weights_file_fuzz.h"

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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_outcome(data, size);
    return 0;
}
