// The passes of every instruction set, and the choice among them.
#include "passes.h"

namespace nimllm {
namespace train {
namespace portable {
#include "passes_body.h"
}
}  // namespace train
}  // namespace nimllm

#if defined(__x86_64__) && defined(__GNUC__)
#define NIMLLM_X86 1
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace nimllm {
namespace train {
namespace avx2 {
#include "passes_body.h"
}
}  // namespace train
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma,prefer-vector-width=512")
#endif
namespace nimllm {
namespace train {
namespace avx512 {
#include "passes_body.h"
}
}  // namespace train
}  // namespace nimllm
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

namespace nimllm {
namespace train {

const Passes &passes() {
#ifdef NIMLLM_X86
    switch (isa()) {
        case Isa::avx512bf16:
        case Isa::avx512: return avx512::kPasses;
        case Isa::avx2: return avx2::kPasses;
        case Isa::portable: break;
    }
#endif
    return portable::kPasses;
}

}  // namespace train
}  // namespace nimllm
