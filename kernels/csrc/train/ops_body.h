// Everything of one instruction set: the bodies in order, and the table that the rest of the library calls.
namespace {  // other files of this library have namespaces of the same names
#include "lanes.h"
#include "products_body.h"
#include "attention_body.h"
#include "norms_body.h"
#include "rotary_body.h"
#include "activations_body.h"

template <class T, class W>
static Ops make() {
    typedef Attend<T, W> A;
    return Ops{kQueries, A::forward_memory, A::forward, A::backward_memory, A::backward,
               norm, norm_back, rotate, rotate_back, activate, activate_back};
}

static const Ops *choose(Dtype dtype) {
    static const Ops wide = make<float, Fp32>(), narrow = make<uint16_t, Bf16>();
    return dtype == Dtype::bf16 ? &narrow : &wide;
}
}  // namespace
#undef FORCE
