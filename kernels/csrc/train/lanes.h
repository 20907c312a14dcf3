// Vectors and the element types of the training kernels, written once with the compiler's vector types. Included once
// per instruction set inside a namespace of its own (after which LANES, ROWS, DOT_BF16 and target have their meaning):
//   LANES    fp32 in a vector
//   ROWS     rows of a product's tile (ROWS * 4 vectors of sums stay in registers); even
//   DOT_BF16 1 when vdpbf16ps may be used

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef float vf_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));  // unaligned loads and stores
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t vh __attribute__((vector_size(2 * LANES)));
typedef uint16_t vh_any __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

#define FORCE static inline __attribute__((always_inline))

FORCE vf load(const float *p) { return *reinterpret_cast<const vf_any *>(p); }
FORCE vu widen(vh v) {
#if LANES == 16
    return (vu)_mm512_cvtepu16_epi32((__m256i)v);  // GCC 12 makes two halves of the convertvector
#else
    return __builtin_convertvector(v, vu);
#endif
}
FORCE vf load(const uint16_t *p) { return (vf)(widen(*reinterpret_cast<const vh_any *>(p)) << 16); }
FORCE float value(float x) { return x; }
FORCE float value(uint16_t x) { return from_bf16(x); }

FORCE vf pick(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
// As x86's max and min: a NaN in the second operand comes out.
#if LANES == 16
FORCE vf larger(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
FORCE vf smaller(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#else
FORCE vf larger(vf a, vf b) { return pick(a > b, a, b); }
FORCE vf smaller(vf a, vf b) { return pick(a < b, a, b); }
#endif
FORCE vf all(float x) { return vf{} + x; }

// bf16 by rounding to nearest even, still in the upper half of each lane; a NaN stays one.
FORCE vu bf16_bits(vf v) {
    const vu bits = (vu)v;
    const vu rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    return (vu)pick(v != v, (vf)(bits | 0x400000u), (vf)rounded);
}

FORCE void save(float *p, vf v) { *reinterpret_cast<vf_any *>(p) = v; }
FORCE void save(uint16_t *p, vf v) {
#if DOT_BF16
    *reinterpret_cast<vh_any *>(p) = (vh)_mm512_cvtneps_pbh((__m512)v);
#else
    *reinterpret_cast<vh_any *>(p) = __builtin_convertvector(bf16_bits(v) >> 16, vh);
#endif
}
FORCE void put(float &p, float x) { p = x; }
FORCE void put(uint16_t &p, float x) { p = to_bf16(x); }

// The first n < LANES values at p; the other lanes are zero.
template <class T>
FORCE vf load_some(const T *p, int64_t n) {
    T lane[LANES] = {};
    __builtin_memcpy(lane, p, size_t(n) * sizeof(T));
    return load(lane);
}
template <class T>
FORCE void save_some(T *p, int64_t n, vf v) {
    T lane[LANES];
    save(lane, v);
    __builtin_memcpy(p, lane, size_t(n) * sizeof(T));
}

FORCE float sum(vf v) {
    float lane[LANES];
    save(lane, v);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
    return lane[0];
}

// 2^x: about 1 ulp, or `quick` within 3e-6 (enough where the result becomes bf16); 0 for -inf and below the smallest
// normal number, a NaN stays one. Minimax polynomials of the relative error on +-1/2.
template <bool quick = false>
FORCE vf exp2_of(vf x) {
#if LANES == 16
    const vf inside = larger(all(-200.0f), x);
    const vf whole = (vf)_mm512_roundscale_ps((__m512)inside, 0);
    const vf r = inside - whole;
#else
    const vf magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits
    const vf inside = larger(all(-126.0f), smaller(all(127.0f), x));
    const vf shifted = inside + magic;
    const vf r = inside - (shifted - magic);
#endif
    vf p;
    if (quick) {
        p = all(9.5701e-3f) * r + 5.591786e-2f;
        p = p * r + 2.4024745e-1f;
        p = p * r + 6.9312181e-1f;
        p = p * r + 9.9999926e-1f;
    } else {
        p = all(1.535336188e-4f) * r + 1.339887440e-3f;  // Cephes' exp2f: exactly 1 at 0
        p = p * r + 9.618437357e-3f;
        p = p * r + 5.550332471e-2f;
        p = p * r + 2.402264791e-1f;
        p = p * r + 6.931472028e-1f;
        p = p * r + 1.0f;
    }
#if LANES == 16
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)whole);
#else
    return pick(x < -126.0f, vf{}, p * (vf)(((vi)shifted - (vi)magic + 127) << 23));
#endif
}

// ---- operands of products ----
// A unit is 4 bytes of an operand: one fp32, or two neighbouring bf16 of the axis that is summed over. One step of a
// product multiplies a unit of the left operand with LANES units of the right one.
typedef uint32_t unit;

struct Fp32 {
    typedef float Elem;
    static constexpr int step = 1;  // elements in a unit
    typedef vf Held;
    FORCE Held hold(const unit *p) { return *reinterpret_cast<const vf_any *>(p); }
    FORCE void mac(vf &acc, Held b, const unit *a) {
        float x;
        __builtin_memcpy(&x, a, 4);
        acc += b * x;
    }
};

#if DOT_BF16
struct Bf16 {
    typedef uint16_t Elem;
    static constexpr int step = 2;
    typedef vu Held;
    FORCE Held hold(const unit *p) { return *reinterpret_cast<const vu_any *>(p); }
    FORCE void mac(vf &acc, Held b, const unit *a) {
        acc = (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)b, (__m512bh)_mm512_set1_epi32(int(*a)));
    }
};
#else
typedef Fp32 Bf16;  // bf16 in memory, fp32 in the products
#endif
