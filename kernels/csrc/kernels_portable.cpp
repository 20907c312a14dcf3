// Vectors of four: SSE2 on any x86-64, NEON on ARM, plain registers elsewhere.
#include "kernels.h"

namespace nimllm {
namespace portable {
#define LANES 4
#define VECTORS 4
#define TILE 3
#define BLOCKS 2
#define DOT_BF16 0
#define DOT8(acc, w, x)                                                                                    \
    ((acc) + (vi)((w) & 0xffu) * int32_t(int8_t(x)) + (vi)(((w) >> 8) & 0xffu) * int32_t(int8_t((x) >> 8)) + \
     (vi)(((w) >> 16) & 0xffu) * int32_t(int8_t((x) >> 16)) + (vi)((w) >> 24) * ((x) >> 24))
#include "kernels_body.h"
}  // namespace portable

const Kernels *kernels_portable(Format format) {
    static const Kernels table[] = {portable::make<portable::Fp32>("portable"), portable::make<portable::Bf16>("portable"),
                                    portable::make<portable::Q8>("portable"), portable::make<portable::Q4>("portable")};
    return &table[int(format)];
}

}  // namespace nimllm
