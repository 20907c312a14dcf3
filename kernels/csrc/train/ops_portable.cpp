// Vectors of four: SSE2 on any x86-64, NEON on ARM, plain registers elsewhere. And the choice among all of them.
#include "ops.h"

namespace nimllm {
namespace train {
namespace portable {
#define LANES 4
#define ROWS 2
#define DOT_BF16 0
#include "ops_body.h"
}  // namespace portable

const Ops *ops_portable(Dtype dtype) { return portable::choose(dtype); }

const Ops *ops(Dtype dtype) {
    switch (isa()) {
        case Isa::avx512bf16: return ops_avx512(dtype, true);
        case Isa::avx512: return ops_avx512(dtype, false);
        case Isa::avx2: return ops_avx2(dtype);
        default: return ops_portable(dtype);
    }
}

}  // namespace train
}  // namespace nimllm
