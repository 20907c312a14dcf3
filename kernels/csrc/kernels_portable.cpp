// Vectors of four: SSE2 on any x86-64, NEON on ARM, plain registers elsewhere.
#include "kernels.h"

namespace nimllm {
namespace portable {
#define LANES 4
#define VECTORS 4
#define TILE 3
#define BLOCKS 2
#define DOT_BF16 0
#include "kernels_body.h"
}  // namespace portable

const Kernels *kernels_portable(bool bf16) {
    static const Kernels narrow = portable::make<portable::Bf16>("portable");
    static const Kernels wide = portable::make<portable::Fp32>("portable");
    return bf16 ? &narrow : &wide;
}

}  // namespace nimllm
