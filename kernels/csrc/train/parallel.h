// Loops over torch's own threads. libgomp's workers spin between regions: a second pool beside torch's would fight it
// for the cores, so the regions of this library are started by the very libgomp that torch's matrix products run on
// (kernels/native.py finds GOMP_parallel there). Without it: a team of threads of our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace nimllm {
namespace train {

enum class Isa { portable = 0, avx2 = 1, avx512 = 2, avx512bf16 = 3 };

// The best instruction set that this build and this processor have, or the lower one that a test asked for.
Isa isa();

typedef void (*Body)(void *context, int64_t begin, int64_t end);
void parallel_run(int64_t count, int64_t grain, Body body, void *context);

// f(begin, end) over [0, count) in pieces of at most `grain`, handed out as threads become free (a neighbour may hold a
// core). A piece must write only what belongs to its indices: results then do not depend on the threads. Pieces are the
// same whatever the number of threads. One piece, or one thread, runs on the caller. Not to be nested.
template <class F>
void parallel_for(int64_t count, int64_t grain, F &&f) {
    typedef typename std::remove_reference<F>::type Function;
    parallel_run(
        count, grain,
        [](void *context, int64_t begin, int64_t end) { (*static_cast<Function *>(context))(begin, end); },
        const_cast<void *>(static_cast<const void *>(&f)));
}

// Memory of the calling thread, kept until the next call that asks for more; 64-byte aligned, contents undefined. Null
// when there is none. One user at a time: a second call may move it.
void *scratch(size_t bytes);

}  // namespace train
}  // namespace nimllm
