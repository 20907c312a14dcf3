/* A stand-alone fuzzer for the loaders: no clang needed, deterministic by its seed, and its mutations know JSON.

    cd kernels/csrc
    g++ -std=c++17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all fuzz/driver.cpp \
        fuzz/weights_file_fuzz.cpp weights_file.cpp weights_writer.cpp json.cpp -o /tmp/weights_fuzz_driver
    g++ -std=c++17 -g -O1 -pthread -Wno-psabi -fsanitize=address,undefined -fno-sanitize-recover=all fuzz/driver.cpp \
        fuzz/packed_model_fuzz.cpp packed_model.cpp model.cpp packing.cpp forward.cpp threads.cpp kernels_*.cpp \
        weights_file.cpp weights_writer.cpp json.cpp -o /tmp/model_fuzz_driver   # the same for opening and computing
    /tmp/weights_fuzz_driver --seconds 3600 --seed 1      # or --runs N, which repeats exactly
    /tmp/weights_fuzz_driver FILE...                      # replay, e.g. what it left as weights-fuzz-finding.bin
    /tmp/weights_fuzz_driver --corpus FOLDER              # write its seeds, for libFuzzer or another reader

The seeds are valid files made by our own writer. An input that brings a sentence of refusal not seen before, or is
accepted with a header not seen before, joins the corpus: a poor man's coverage. */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "target.h"

// both sanitizers end in abort(), where the input is saved
extern "C" const char *__asan_default_options() { return "abort_on_error=1"; }
extern "C" const char *__ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace {

typedef std::vector<uint8_t> Bytes;
std::mt19937_64 random_bits;
size_t below(size_t n) { return n ? size_t(random_bits() % n) : 0; }
bool chance(int percent) { return below(100) < size_t(percent); }

const Bytes *current = nullptr;

void save_finding() {  // a sanitizer or abort() ends the process: leave the input behind
    if (!current) return;
    if (std::FILE *file = std::fopen("weights-fuzz-finding.bin", "wb")) {
        std::fwrite(current->data(), 1, current->size(), file);
        std::fclose(file);
        std::fprintf(stderr, "the input is in weights-fuzz-finding.bin (%zu bytes)\n", current->size());
    }
}

void on_abort(int) {
    save_finding();
    _exit(134);
}

Bytes read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

// Valid files of several shapes, by our own writer.
std::vector<Bytes> seeds(const std::string &folder) {
    std::vector<Bytes> made;
    for (const std::string &path : fuzz_seeds(folder)) made.push_back(read_file(path));
    return made;
}

// ---- mutations ----

size_t header_length(const Bytes &bytes) {
    uint64_t length = 0;
    if (bytes.size() < 8) return 0;
    std::memcpy(&length, bytes.data(), 8);
    return size_t(std::min<uint64_t>(length, bytes.size() - 8));
}

void set_length(Bytes &bytes, uint64_t length) {
    if (bytes.size() >= 8) std::memcpy(bytes.data(), &length, 8);
}

size_t place(const Bytes &bytes) {  // mostly in the header: the data mean nothing to the loader
    return chance(90) ? below(std::min(bytes.size(), header_length(bytes) + 16)) : below(bytes.size());
}

std::vector<std::string> tokens(const std::string &json) {
    std::vector<std::string> found;
    for (size_t i = 0; i < json.size();) {
        size_t end = i + 1;
        const auto loose = [](char c) { return !std::strchr("{}[],:\" ", c); };
        if (json[i] == '"') {
            while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2 : 1;
            end = std::min(end + 1, json.size());
        } else if (loose(json[i])) {
            while (end < json.size() && loose(json[end])) ++end;
        }
        found.push_back(json.substr(i, end - i));
        i = end;
    }
    return found;
}

std::string number_like(const std::string &old) {
    static const char *const odd[] = {
        "0", "-0", "-1", "1", "63", "64", "65", "2147483647", "2147483648", "4294967296", "9007199254740993",
        "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e3", "1e999", "-1e-999", "0.5", "00",
        "1.", "+1", "0x10", "NaN", "Infinity", "1152921504606846976", "3037000500", "99999999999999999999999999999999"};
    if (chance(50) || old.size() > 18) return odd[below(std::size(odd))];
    static const int64_t steps[] = {-64, -63, -16, -4, -1, 1, 2, 4, 63, 64, 128, 4096};
    const int64_t value = std::strtoll(old.c_str(), nullptr, 10);
    return std::to_string(chance(20) ? value * int64_t(below(9)) : value + steps[below(std::size(steps))]);
}

std::string string_like() {
    static const char *const odd[] = {
        "\"F32\"", "\"U8\"", "\"BF16\"", "\"I64\"", "\"F8_E4M3\"", "\"__metadata__\"", "\"padding.1\"", "\"padding.2\"",
        "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"\"", "\"a\"", "\"\\u0000\"", "\"\\ud83d\\ude00\"", "\"\\ud83d\"",
        "\"\\udc00\\ud800\"", "\"\\x\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "\"format\"",
        "\"version\"", "\"config\"", "\"nimllm-engine\"", "\"{}\"", "\"{\\\"d_model\\\": 0}\"", "\"1\"", "true", "null"};
    return odd[below(std::size(odd))];
}

void mutate_tokens(Bytes &bytes, const Bytes &other) {
    const size_t length = header_length(bytes);
    const std::string header(bytes.begin() + std::min<ptrdiff_t>(8, ptrdiff_t(bytes.size())),
                             bytes.begin() + std::min<ptrdiff_t>(ptrdiff_t(8 + length), ptrdiff_t(bytes.size())));
    std::vector<std::string> parts = tokens(header);
    if (parts.empty()) return;
    for (int64_t times = 1 + int64_t(below(3)); times > 0; --times) {
        const size_t i = below(parts.size()), j = below(parts.size());
        const ptrdiff_t at = ptrdiff_t(i);
        switch (below(8)) {
            case 0:
            case 1:
            case 2: {  // the next number or string from here on
                size_t k = i;
                while (k < parts.size() && !std::isalnum((unsigned char)parts[k][0]) && parts[k][0] != '"') ++k;
                if (k == parts.size()) break;
                const bool pair = parts[k][0] != '"' && k + 2 < parts.size() && parts[k + 1] == "," &&
                                  std::isdigit((unsigned char)parts[k + 2][0]);
                if (pair && chance(40)) {  // a tensor moves as a whole: only its neighbours can tell
                    const int64_t step = 64 * (int64_t(below(9)) - 4);
                    for (const size_t n : {k, k + 2})
                        parts[n] = std::to_string(std::strtoll(parts[n].substr(0, 9).c_str(), nullptr, 10) + step);
                } else if (parts[k][0] != '"') parts[k] = number_like(parts[k]);
                else if (parts[k].size() > 60 && chance(80)) {  // the configuration: JSON inside a string
                    std::vector<std::string> inner = tokens(parts[k].substr(1, parts[k].size() - 2));
                    const size_t n = below(inner.size());
                    if (!inner.empty()) inner[n] = chance(70) ? number_like(inner[n]) : inner[below(inner.size())];
                    std::string joined = "\"";
                    for (const std::string &one : inner) joined += one;
                    parts[k] = joined + "\"";
                } else parts[k] = string_like();
                break;
            }
            case 3: std::swap(parts[i], parts[j]); break;
            case 4: parts.erase(parts.begin() + at); break;
            case 5: {  // a range again
                const size_t n = std::min(parts.size() - i, 1 + below(24));
                const std::vector<std::string> range(parts.begin() + at, parts.begin() + at + ptrdiff_t(n));
                parts.insert(parts.begin() + ptrdiff_t(j), range.begin(), range.end());
                break;
            }
            case 6: {  // a range of another file
                const size_t l = header_length(other);
                if (!l) break;
                const std::vector<std::string> theirs = tokens(std::string(other.begin() + 8,
                                                                           other.begin() + ptrdiff_t(8 + l)));
                const size_t k = below(theirs.size()), n = std::min(theirs.size() - k, 1 + below(24));
                parts.insert(parts.begin() + at, theirs.begin() + ptrdiff_t(k), theirs.begin() + ptrdiff_t(k + n));
                break;
            }
            default: {
                static const char *const marks[] = {"{", "}", "[", "]", ",", ":", "\"", " ", "[[[[[[[[[[[[[[[[[[[["};
                parts.insert(parts.begin() + at, marks[below(std::size(marks))]);
            }
        }
        if (parts.empty()) return;
    }
    std::string text;
    for (const std::string &part : parts) text += part;
    while (!text.empty() && text.back() == ' ') text.pop_back();
    if (chance(85)) text.append((64 - (8 + text.size()) % 64) % 64, ' ');
    Bytes made(8);
    made.insert(made.end(), text.begin(), text.end());
    made.insert(made.end(), bytes.begin() + std::min<ptrdiff_t>(ptrdiff_t(8 + length), ptrdiff_t(bytes.size())),
                bytes.end());
    const uint64_t wrong = chance(95) ? 0 : below(200);
    set_length(made, text.size() + wrong);
    bytes = std::move(made);
}

void mutate(Bytes &bytes, const Bytes &other) {
    static const uint64_t lengths[] = {0, 1, 2, 8, 255, 1 << 20, (16 << 20) + 1, uint64_t(1) << 32, INT64_MAX, UINT64_MAX,
                                       UINT64_MAX - 7};
    switch (bytes.empty() ? 6 : below(12)) {
        case 0:
            for (size_t n = 1 + below(8); n; --n) bytes[place(bytes)] ^= uint8_t(1 << below(8));
            break;
        case 1: bytes[place(bytes)] = uint8_t(below(256)); break;
        case 2: set_length(bytes, chance(50) ? lengths[below(std::size(lengths))] : header_length(bytes) + below(129) - 64);
                break;
        case 3: bytes.resize(chance(50) ? below(bytes.size() + 1) : bytes.size() - std::min(bytes.size(), below(130)));
                break;
        case 4: bytes.resize(bytes.size() + 1 + below(128)); break;
        case 5: {  // a stretch of another file
            if (other.empty()) break;
            const size_t from = below(other.size()), n = std::min(other.size() - from, 1 + below(64));
            const ptrdiff_t at = ptrdiff_t(place(bytes)), begin = ptrdiff_t(from), end = ptrdiff_t(from + n);
            if (chance(50)) bytes.insert(bytes.begin() + at, other.begin() + begin, other.begin() + end);
            else std::copy_n(other.begin() + begin, std::min(n, bytes.size() - size_t(at)), bytes.begin() + at);
            break;
        }
        case 6: bytes = other; break;
        default: mutate_tokens(bytes, other);
    }
    if (bytes.size() > 65536) bytes.resize(65536);
}

// The sentence without names, numbers and places.
std::string kind(const std::string &sentence) {
    std::string short_;
    bool quoted = false, escaped = false;
    for (const char c : sentence) {
        if (c == '"' && !escaped) quoted = !quoted;
        escaped = c == '\\' && !escaped;
        if (c == '"') continue;
        if (!quoted && !(c >= '0' && c <= '9')) short_ += c;
    }
    return short_;
}

std::string run(const Bytes &bytes) {
    // on the heap in its exact size, so that one byte past the end is seen
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
    std::copy(bytes.begin(), bytes.end(), exact.get());
    current = &bytes;
    const std::string outcome = fuzz_outcome(exact.get(), bytes.size());
    current = nullptr;
    return outcome;
}

}  // namespace

int main(int count, char **words) {
    double seconds = 10;
    uint64_t seed = 1, runs = UINT64_MAX;
    std::string corpus_folder;
    std::vector<std::string> files;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i], value = i + 1 < count ? words[i + 1] : "";
        if (word == "--seconds") seconds = std::atof(value.c_str()), ++i;
        else if (word == "--seed") seed = std::strtoull(value.c_str(), nullptr, 10), ++i;
        else if (word == "--runs") runs = std::strtoull(value.c_str(), nullptr, 10), seconds = 1e9, ++i;
        else if (word == "--corpus") corpus_folder = value, ++i;
        else files.push_back(word);
    }
    signal(SIGABRT, on_abort);
    for (const std::string &path : files) {
        const std::string outcome = run(read_file(path));
        std::printf("%s: %s\n", path.c_str(), outcome.empty() ? "accepted" : outcome.c_str());
    }
    if (!files.empty()) return 0;
    if (!corpus_folder.empty()) {
        mkdir(corpus_folder.c_str(), 0777);
        return seeds(corpus_folder).empty();
    }
    const char *temporary = std::getenv("TMPDIR");
    std::string folder = std::string(temporary && *temporary ? temporary : "/tmp") + "/weights-fuzz-XXXXXX";
    if (!mkdtemp(&folder[0])) return 2;
    std::vector<Bytes> corpus = seeds(folder);
    for (size_t i = 0; i < corpus.size(); ++i) std::remove((folder + ("/seed" + std::to_string(i)) + ".safetensors").c_str());
    rmdir(folder.c_str());
    for (const Bytes &bytes : corpus) {
        const std::string outcome = run(bytes);
        if (!outcome.empty()) return std::fprintf(stderr, "a seed was refused: %s\n", outcome.c_str()), 1;
    }
    random_bits.seed(seed);
    const size_t first = corpus.size();
    std::set<std::string> kinds, headers;
    uint64_t done = 0, accepted = 0;
    const auto begin = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    double said = 0;
    for (; done < runs; ++done) {
        if (done % 256 == 0) {
            const double now = elapsed();
            if (now >= seconds) break;
            if (now - said >= 60) {
                said = now;
                std::printf("%llu executions, %.0f/s, %llu accepted, %zu sentences, corpus %zu\n",
                            (unsigned long long)done, double(done) / now, (unsigned long long)accepted, kinds.size(),
                            corpus.size());
                std::fflush(stdout);
            }
        }
        Bytes bytes = corpus[chance(50) ? below(first) : below(corpus.size())];
        for (int64_t times = 1 + int64_t(below(4)); times > 0; --times) mutate(bytes, corpus[below(corpus.size())]);
        const std::string outcome = run(bytes);
        accepted += outcome.empty();
        const bool fresh = outcome.empty() ? headers.size() < 400 && headers.insert(std::string(
                               bytes.begin(), bytes.begin() + ptrdiff_t(8 + header_length(bytes)))).second
                                           : kinds.insert(kind(outcome)).second;
        if (fresh) corpus.push_back(bytes);
    }
    std::printf("seed %llu: %llu executions in %.1f s (%.0f/s), %llu accepted, %zu sentences of refusal, no finding\n",
                (unsigned long long)seed, (unsigned long long)done, elapsed(), double(done) / std::max(elapsed(), 1e-9),
                (unsigned long long)accepted, kinds.size());
    if (std::getenv("NIMLLM_FUZZ_SENTENCES"))
        for (const std::string &one : kinds) std::printf("  %s\n", one.c_str());
    return 0;
}
