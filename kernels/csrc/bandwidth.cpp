// Read bandwidth. A first version without a check of the sum was removed by the compiler and showed 17,000 GB/s.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "limits.h"
#include "limits_threads.h"

namespace nimllm {
namespace {

const int64_t CHUNK = 64 << 10;  // bytes between two looks at the clock: 1 us at 64 GB/s, a look costs 0.03 us
const int64_t WORDS = CHUNK / 8;

#define READER(name, lanes, attribute)                                                           \
    typedef uint64_t name##_vector __attribute__((vector_size(lanes * 8), aligned(lanes * 8)));  \
    attribute __attribute__((noinline)) uint64_t name(const uint64_t *words, int64_t count) {    \
        const name##_vector *from = reinterpret_cast<const name##_vector *>(words);              \
        name##_vector sum[8] = {};                                                               \
        for (int64_t i = 0; i < count / lanes; i += 8)                                           \
            for (int k = 0; k < 8; k++) sum[k] += from[i + k];                                   \
        uint64_t total = 0;                                                                      \
        for (int k = 0; k < 8; k++)                                                              \
            for (int lane = 0; lane < lanes; lane++) total += sum[k][lane];                      \
        return total;                                                                            \
    }

READER(read_portable, 2, )
#if defined(__x86_64__) && defined(__GNUC__)
READER(read_avx2, 4, __attribute__((target("avx2"))))
READER(read_avx512, 8, __attribute__((target("avx512f,prefer-vector-width=512"))))
#endif

typedef uint64_t (*Reader)(const uint64_t *, int64_t);

Reader reader() {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f")) return read_avx512;
    if (__builtin_cpu_supports("avx2")) return read_avx2;
#endif
    return read_portable;
}

struct Part {
    uint64_t *words = nullptr;    // CHUNK bytes each
    int64_t chunks = 0;
    std::vector<uint64_t> sums;   // of the first 0, 1, 2 … chunks
    double bytes = 0, seconds = 0;
    bool right = true;

    Part() = default;
    Part(const Part &) = delete;
    Part &operator=(const Part &) = delete;
    ~Part() { std::free(words); }

    bool fill(int64_t count, uint64_t seed) {
        const size_t page = 2 << 20, size = (size_t(count) * CHUNK + page - 1) / page * page;
        words = static_cast<uint64_t *>(std::aligned_alloc(page, size));
        if (!words) return false;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        madvise(words, size, MADV_HUGEPAGE);  // as the engine's weights: with 4 KB pages it reads 3 to 14 % slower
#endif
        chunks = count;
        sums.assign(size_t(count) + 1, 0);
        uint64_t state = seed;
        for (int64_t chunk = 0; chunk < count; chunk++) {
            uint64_t sum = sums[size_t(chunk)];
            for (int64_t i = 0; i < WORDS; i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
                words[chunk * WORDS + i] = state;
                sum += state;
            }
            sums[size_t(chunk) + 1] = sum;
        }
        return true;
    }

    void read(Reader function, double limit) {
        uint64_t sum = 0;
        int64_t passes = 0, chunk = 0;
        const auto began = std::chrono::steady_clock::now();
        do {
            sum += function(words + chunk * WORDS, WORDS);
            if (++chunk == chunks) chunk = 0, passes++;
            seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        } while (seconds < limit);
        bytes = (double(passes) * double(chunks) + double(chunk)) * double(CHUNK);
        right = sum == uint64_t(passes) * sums[size_t(chunks)] + sums[size_t(chunk)];
    }
};

}  // namespace
}  // namespace nimllm

extern "C" int32_t nimllm_bandwidth(int64_t bytes, int32_t threads, double seconds, double *bytes_per_second) {
    using namespace nimllm;
    if (!bytes_per_second || bytes < 4096 || bytes > int64_t(1) << 40 || threads < 1 || threads > 1024 ||
        !(seconds > 0 && seconds <= 60))
        return NIMLLM_BAD_ARGUMENT;
    try {
        const int64_t chunks = (bytes / threads + CHUNK - 1) / CHUNK;
        std::vector<Part> parts{size_t(threads)};
        std::vector<char> filled(size_t(threads), 0);
        const Reader function = reader();
        together(
            threads,
            [&](int member) {
                try {
                    filled[size_t(member)] = parts[size_t(member)].fill(chunks, uint64_t(member) + 1);
                } catch (const std::bad_alloc &) {
                }
            },
            [&](int member) {
                if (!filled[size_t(member)]) return;
                parts[size_t(member)].read(function, seconds / 8);  // the clock speeds up, the cache fills
                parts[size_t(member)].read(function, seconds);
            });
        double rate = 0;
        bool right = true;
        for (int member = 0; member < threads; member++) {
            if (!filled[size_t(member)]) return NIMLLM_NO_MEMORY;
            rate += parts[size_t(member)].bytes / parts[size_t(member)].seconds;
            right = right && parts[size_t(member)].right;
        }
        *bytes_per_second = rate;
        return right ? NIMLLM_OK : NIMLLM_INTERNAL;
    } catch (const std::bad_alloc &) {
        return NIMLLM_NO_MEMORY;
    } catch (...) {
        return NIMLLM_INTERNAL;
    }
}
