#include "parallel.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>

#include "../threads.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace nimllm {
namespace train {

typedef void (*GompParallel)(void (*function)(void *), void *data, unsigned threads, unsigned flags);

static std::atomic<GompParallel> gomp_parallel{nullptr};
static std::atomic<int> own_threads{1};
static std::atomic<int> isa_limit{int(Isa::avx512bf16)};

static Isa best_isa() {
#if defined(__x86_64__) && defined(__GNUC__)
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("fma");
    if (wide && __builtin_cpu_supports("avx512bf16")) return Isa::avx512bf16;
    if (wide) return Isa::avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
    return Isa::portable;
}

Isa isa() {
    static const Isa best = best_isa();
    const int limit = isa_limit.load(std::memory_order_relaxed);
    return int(best) < limit ? best : Isa(limit);
}

namespace {
struct Loop {
    int64_t count, grain;
    Body body;
    void *context;
    std::atomic<int64_t> next{0};

    void work() {
        for (;;) {
            const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
            if (begin >= count) return;
            body(context, begin, begin + grain < count ? begin + grain : count);
        }
    }
};
}  // namespace

static void run_on_team(Loop &loop) {
    static std::mutex turn;
    static Team *team = nullptr;  // never destroyed: its threads would be joined while the process exits
    static int size = 0;
    std::lock_guard<std::mutex> lock(turn);
    const int wanted = own_threads.load();
    if (size != wanted) {
        delete team;
        team = new Team(wanted);
        size = wanted;
    }
    team->run([](void *context, int, int) { static_cast<Loop *>(context)->work(); }, &loop);
}

void parallel_run(int64_t count, int64_t grain, Body body, void *context) {
    if (count <= 0) return;
    Loop loop;
    loop.count = count;
    loop.grain = grain > 0 ? grain : 1;
    loop.body = body;
    loop.context = context;
    const GompParallel gomp = gomp_parallel.load(std::memory_order_relaxed);
    if (count <= loop.grain)
        loop.work();
    else if (gomp != nullptr)
        // 0 threads: as many as torch.set_num_threads gave this thread
        gomp([](void *data) { static_cast<Loop *>(data)->work(); }, &loop, 0, 0);
    else if (own_threads.load(std::memory_order_relaxed) > 1)
        run_on_team(loop);
    else
        loop.work();
}

namespace {
struct Memory {
    void *data = nullptr;
    size_t size = 0;
    ~Memory() { std::free(data); }
};
}  // namespace

void *scratch(size_t bytes) {
    static thread_local Memory memory;
    if (bytes > memory.size) {
        std::free(memory.data);
        memory.data = nullptr;
        memory.size = 0;
        void *fresh = nullptr;
        const size_t size = (bytes + 4095) & ~size_t(4095);
        if (posix_memalign(&fresh, 4096, size) != 0) return nullptr;
        memory.data = fresh;
        memory.size = size;
    }
    return memory.data;
}

}  // namespace train
}  // namespace nimllm

using nimllm::train::Isa;

EXPORT int32_t nimllm_train_abi() { return 1; }

// The address of torch's GOMP_parallel, or null and the size of the team to use instead.
EXPORT void nimllm_train_pool(void *gomp, int32_t threads) {
    nimllm::train::gomp_parallel.store(reinterpret_cast<nimllm::train::GompParallel>(gomp));
    nimllm::train::own_threads.store(threads < 1 ? 1 : threads > 256 ? 256 : threads);
}

EXPORT int32_t nimllm_train_isa() { return int32_t(nimllm::train::isa()); }

// For tests: nothing above this instruction set. Returns the one that is then in force.
EXPORT int32_t nimllm_train_limit_isa(int32_t limit) {
    nimllm::train::isa_limit.store(limit < 0 ? 0 : limit > 3 ? 3 : limit);
    return nimllm_train_isa();
}

// For tests: out[i] += i for i < count, in pieces of grain.
EXPORT void nimllm_train_count(int64_t *out, int64_t count, int64_t grain) {
    nimllm::train::parallel_for(count, grain, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) out[i] += i;
    });
}
