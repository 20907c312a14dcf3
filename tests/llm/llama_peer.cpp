// llama.cpp as a program that answers lines: what llama_peer.py talks to. Where llama.cpp is installed:
//   c++ -O2 -std=c++17 llama_peer.cpp -lllama -lggml -lggml-base -o llama_peer
// "T hex": ids of a text, special tokens in it being text. "G n id id ...": n greedy ids. "L id id ...": the logits after
// the last id. One thread, fp32 cache, no flash attention: as exact as it gets.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

static std::string bytes_of(const std::string &hex) {
    std::string text;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) text += char(std::stoi(hex.substr(i, 2), nullptr, 16));
    return text;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    llama_log_set([](ggml_log_level level, const char *text, void *) {
        if (level >= GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
    }, nullptr);
    llama_backend_init();
    llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) return 1;
    llama_context_params how = llama_context_default_params();
    how.n_ctx = 0;  // the model's own
    how.n_batch = how.n_ubatch = 2048;
    how.n_threads = how.n_threads_batch = 1;
    how.type_k = how.type_v = GGML_TYPE_F32;
    how.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    llama_context *context = llama_init_from_model(model, how);
    if (!context) return 1;
    const llama_vocab *vocabulary = llama_model_get_vocab(model);
    const int size = llama_vocab_n_tokens(vocabulary);
    std::printf("READY %d\n", size);
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string what;
        words >> what;
        if (what == "T") {
            std::string hex;
            words >> hex;
            const std::string text = bytes_of(hex);
            std::vector<llama_token> ids(text.size() + 16);
            const int count = llama_tokenize(vocabulary, text.data(), int(text.size()), ids.data(), int(ids.size()), false, false);
            for (int i = 0; i < count; ++i) std::printf("%d ", ids[size_t(i)]);
        } else {
            long left = 0;
            if (what == "G") words >> left;
            std::vector<llama_token> ids;
            for (llama_token id; words >> id;) ids.push_back(id);
            llama_memory_clear(llama_get_memory(context), true);
            while (!llama_decode(context, llama_batch_get_one(ids.data(), int(ids.size())))) {
                const float *logits = llama_get_logits_ith(context, -1);
                if (what == "L")
                    for (int i = 0; i < size; ++i) std::printf("%.9g ", double(logits[i]));
                if (left-- < 1) break;
                ids = {llama_token(std::max_element(logits, logits + size) - logits)};
                std::printf("%d ", ids[0]);
            }
        }
        std::printf("\n");
        std::fflush(stdout);
    }
}
