// The kernels, written once with the compiler's vector types and included once per instruction set, inside a namespace
// of its own. Before the inclusion are defined:
//   LANES    fp32 in a vector          VECTORS  vectors of rows that a product takes at once
//   TILE     tokens that share one reading of a panel (TILE * VECTORS accumulators stay in registers)
//   BLOCKS   key blocks that one attention step takes
//   DOT_BF16 1 when vdpbf16ps may be used
//   DOT8(acc, w, x)  acc + the products of four unsigned bytes of w and four signed ones of x, in each 32-bit lane;
//                    exact for w <= 255, |x| <= 127
//
// Each sum runs over its terms in one fixed order, whatever the number of tokens, of threads, or of neighbours in a
// tile: a prompt given at once and the same prompt given token by token end in the same bits.

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef float vf_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));  // unaligned loads and stores
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * LANES)));
typedef int8_t vb __attribute__((vector_size(LANES)));
typedef int8_t vb_any __attribute__((vector_size(LANES), aligned(1), may_alias));
typedef uint16_t vh_any __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint32_t vu_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

constexpr int kRows = LANES * VECTORS;  // rows of a panel taken at once
static_assert(kPanel % kRows == 0, "a panel is a whole number of passes");

#define FORCE static inline __attribute__((always_inline))

FORCE vf load(const float *p) { return *reinterpret_cast<const vf_any *>(p); }
FORCE void save(float *p, vf v) { *reinterpret_cast<vf_any *>(p) = v; }
FORCE vf pick(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
FORCE vf larger(vf a, vf b) { return pick(a > b, a, b); }
FORCE vf smaller(vf a, vf b) { return pick(a < b, a, b); }
FORCE vf all(float x) { return vf{} + x; }
FORCE vf widened(const uint16_t *p) {  // bf16 to fp32
    return (vf)(__builtin_convertvector(*reinterpret_cast<const vh_any *>(p), vu) << 16);
}
FORCE vf widened(const float *p) { return load(p); }

FORCE float sum(vf v) {
    float lane[LANES];
    save(lane, v);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) lane[i] += lane[i + width];
    return lane[0];
}

// Cephes' expf: 1 ulp within +-87, clamped outside.
FORCE vf exp_of(vf x) {
    x = smaller(larger(x, all(-87.3f)), all(88.3f));
    const vf magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits
    const vf shifted = x * 1.44269504088896341f + magic;
    const vf n = shifted - magic;
    vf r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vf p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const vf y = p * (r * r) + r + 1.0f;
    return y * (vf)(((vi)shifted - (vi)magic + 127) << 23);
}

// A rational approximation, odd over even powers, of the error function on +-4 (a few ulp; as in Eigen and XLA).
FORCE vf erf_of(vf x) {
    x = smaller(larger(x, all(-4.0f)), all(4.0f));
    const vf s = x * x;
    vf p = all(-2.72614225801306e-10f);
    p = p * s + 2.77068142495902e-08f;
    p = p * s + -2.10102402082508e-06f;
    p = p * s + -5.69250639462346e-05f;
    p = p * s + -7.34990630326855e-04f;
    p = p * s + -2.95459980854025e-03f;
    p = p * s + -1.60960333262415e-02f;
    vf q = all(-1.45660718464996e-05f);
    q = q * s + -2.13374055278905e-04f;
    q = q * s + -1.68282697438203e-03f;
    q = q * s + -7.37332916720468e-03f;
    q = q * s + -1.42647390514189e-02f;
    return x * p / q;
}

FORCE vf silu(vf x) { return x / (1.0f + exp_of(-x)); }
FORCE vf gelu(vf x) { return 0.5f * x * (1.0f + erf_of(x * 0.70710678118654752f)); }
FORCE vf relu2(vf x) {
    const vf y = larger(x, vf{});
    return y * y;
}

// ---- what a format means: how activations are stored, and a tile of its product ----
//
// row_bytes   bytes of a row of activations        put64  64 neighbouring activations into a row, `at` a multiple of 64
// tile<T>     out[t][64] = panel times T rows of activations

constexpr int64_t padded(int64_t width) { return (width + 63) / 64 * 64; }

struct Fp32 {
    static constexpr bool own_inputs = false;
    typedef float Cache;
    static int64_t row_bytes(int64_t width) { return padded(width) * 4; }
    FORCE void put64(char *row, int64_t at, const float *x) {
        for (int i = 0; i < 64; i += LANES) save(reinterpret_cast<float *>(row) + at + i, load(x + i));
    }
    template <int T>
    static inline void tile(const Matrix &m, const uint8_t *panel, const char *x, int64_t x_stride, float *out) {
        for (int part = 0; part < kPanel; part += kRows) {
            vf acc[T][VECTORS] = {};
            const float *w = reinterpret_cast<const float *>(panel) + part;
            for (int64_t k = 0; k < m.groups; ++k, w += kPanel) {
                vf held[VECTORS];
                for (int v = 0; v < VECTORS; ++v) held[v] = load(w + v * LANES);
                for (int t = 0; t < T; ++t) {
                    const float one = reinterpret_cast<const float *>(x + t * x_stride)[k];
                    for (int v = 0; v < VECTORS; ++v) acc[t][v] += held[v] * one;
                }
            }
            for (int t = 0; t < T; ++t)
                for (int v = 0; v < VECTORS; ++v) save(out + t * kPanel + part + v * LANES, acc[t][v]);
        }
    }
};

FORCE vu bf16_bits(vf v) {  // round to nearest even, still in the upper half; activations are finite, so no NaN case
    const vu bits = (vu)v;
    return bits + 0x7fffu + ((bits >> 16) & 1u);
}

struct Bf16 {
    static constexpr bool own_inputs = true;
    typedef uint16_t Cache;
#if DOT_BF16
    static int64_t row_bytes(int64_t width) { return padded(width) * 2; }
    FORCE void put64(char *row, int64_t at, const float *x) {
        for (int i = 0; i < 64; i += LANES)
            *reinterpret_cast<vh_any *>(row + (at + i) * 2) =
                __builtin_convertvector(bf16_bits(load(x + i)) >> 16, vh);
    }
#else
    // fp32, already rounded, so that both kinds of bf16 arithmetic multiply the same numbers
    static int64_t row_bytes(int64_t width) { return padded(width) * 4; }
    FORCE void put64(char *row, int64_t at, const float *x) {
        for (int i = 0; i < 64; i += LANES)
            save(reinterpret_cast<float *>(row) + at + i, (vf)(bf16_bits(load(x + i)) & 0xffff0000u));
    }
#endif
    template <int T>
    static inline void tile(const Matrix &m, const uint8_t *panel, const char *x, int64_t x_stride, float *out) {
        for (int part = 0; part < kPanel; part += kRows) {
            vf acc[T][VECTORS] = {};
            const uint8_t *w = panel + part * 4;
            for (int64_t k = 0; k < m.groups; ++k, w += kPanel * 4) {
                vu held[VECTORS];
                for (int v = 0; v < VECTORS; ++v) held[v] = *reinterpret_cast<const vu_any *>(w + v * LANES * 4);
                for (int t = 0; t < T; ++t) {
#if DOT_BF16
                    int32_t pair;
                    __builtin_memcpy(&pair, x + t * x_stride + k * 4, 4);
                    for (int v = 0; v < VECTORS; ++v)
                        acc[t][v] = (vf)_mm512_dpbf16_ps((__m512)acc[t][v], (__m512bh)held[v],
                                                         (__m512bh)_mm512_set1_epi32(pair));
#else
                    const float *pair = reinterpret_cast<const float *>(x + t * x_stride) + 2 * k;
                    for (int v = 0; v < VECTORS; ++v) {
                        acc[t][v] += (vf)(held[v] << 16) * pair[0];
                        acc[t][v] += (vf)(held[v] & 0xffff0000u) * pair[1];
                    }
#endif
                }
            }
            for (int t = 0; t < T; ++t)
                for (int v = 0; v < VECTORS; ++v) save(out + t * kPanel + part + v * LANES, acc[t][v]);
        }
    }
};

// Activations in groups as wide as the weights', each with a scale of its own: int8 = round(x / scale), and what the
// weights' offset adds to every row's sum, to start that sum from.
template <Format F, int Inputs, int Offset>
struct Quantised {
    static constexpr bool own_inputs = true;
    typedef uint16_t Cache;
    struct Group {
        int8_t q[Inputs];
        float scale;
        int32_t start;
    };
    static int64_t row_bytes(int64_t width) {
        return padded(padded(width) / Inputs * int64_t(sizeof(Group)));
    }

    FORCE void put(Group *out, const float *x) {
        vf most = {}, bad = {};
        for (int i = 0; i < Inputs; i += LANES) {
            const vf v = load(x + i);
            most = larger(most, (vf)((vi)v & 0x7fffffff));
            bad += v - v;  // NaN where x is not finite, else 0
        }
        float lane[LANES], top = 0;
        save(lane, most);
        for (int i = 0; i < LANES; ++i) top = lane[i] > top ? lane[i] : top;
        const float spoiled = sum(bad);  // then the largest may have been lost, too
        const float inverse = top > 1e-30f && spoiled == 0.0f ? 127.0f / top : 0.0f;
        vi total = {};
        for (int i = 0; i < Inputs; i += LANES) {
            const vf magic = all(12582912.0f);  // as in exp_of: rounds, and leaves the integer in the low bits
            const vf v = load(x + i);
            const vi finite = v - v == vf{};  // else the integer is anything, and sums of it overflow
            const vi q = ((vi)(v * inverse + magic) - (vi)magic) & finite;
            total += q;
            *reinterpret_cast<vb_any *>(out->q + i) = __builtin_convertvector(q, vb);
        }
        int32_t lanes[LANES], started = 0;
        __builtin_memcpy(lanes, &total, sizeof lanes);
        for (int i = 0; i < LANES; ++i) started += lanes[i];
        out->scale = top / 127.0f + spoiled;
        out->start = -Offset * started;
    }
    FORCE void put64(char *row, int64_t at, const float *x) {
        for (int i = 0; i < 64; i += Inputs) put(reinterpret_cast<Group *>(row) + (at + i) / Inputs, x + i);
    }

    template <int T>
    static inline void tile(const Matrix &m, const uint8_t *panel, const char *x, int64_t x_stride, float *out) {
        constexpr int steps = F == Format::q8 ? Inputs / 4 : Inputs / 8;
        for (int part = 0; part < kPanel; part += kRows) {
            vf total[T][VECTORS] = {};
            const uint8_t *w = panel + part * 4;
            for (int64_t g = 0; g < m.groups; ++g, w += group_bytes(F)) {
                const Group *in[T];
                vi acc[T][VECTORS];
                for (int t = 0; t < T; ++t) {
                    in[t] = reinterpret_cast<const Group *>(x + t * x_stride) + g;
                    for (int v = 0; v < VECTORS; ++v) acc[t][v] = vi{} + in[t]->start;
                }
                for (int s = 0; s < steps; ++s) {
                    vu held[VECTORS];
                    for (int v = 0; v < VECTORS; ++v) {
                        const uint8_t *at = w + s * kPanel * 4 + v * LANES * 4;
                        held[v] = *reinterpret_cast<const vu_any *>(at);
                        // In 8 bits one core asks for more than the hardware foresees: 48M decoding, all products of a
                        // token, 740 us without and 640 with (10M: 67 and 58). In 4 bits, and in bf16, it costs.
                        if (F == Format::q8 && T == 1) __builtin_prefetch(at + 4096);
                        // Several tokens keep the core busy while the next panel comes: eight at 48M, one core, 1.9 ms
                        // a step instead of 2.3 in 4 bits, 2.5 instead of 3.0 in 8.
                        if (T > 1) __builtin_prefetch(at + m.panel_bytes());
                    }
                    for (int t = 0; t < T; ++t) {
                        int32_t low, high;
                        if constexpr (F == Format::q8) {
                            __builtin_memcpy(&low, in[t]->q + 4 * s, 4);
                            for (int v = 0; v < VECTORS; ++v) acc[t][v] = DOT8(acc[t][v], held[v], low);
                        } else {
                            __builtin_memcpy(&low, in[t]->q + 8 * s, 4);
                            __builtin_memcpy(&high, in[t]->q + 8 * s + 4, 4);
                            for (int v = 0; v < VECTORS; ++v) {
                                acc[t][v] = DOT8(acc[t][v], held[v] & 0x0f0f0f0fu, low);
                                acc[t][v] = DOT8(acc[t][v], (held[v] >> 4) & 0x0f0f0f0fu, high);
                            }
                        }
                    }
                }
                const auto *scales = reinterpret_cast<const uint16_t *>(panel + (g + 1) * group_bytes(F)) - kPanel;
                for (int v = 0; v < VECTORS; ++v) {
                    const vf scale = widened(scales + part + v * LANES);
                    for (int t = 0; t < T; ++t)
                        total[t][v] += __builtin_convertvector(acc[t][v], vf) * (scale * in[t]->scale);
                }
            }
            for (int t = 0; t < T; ++t)
                for (int v = 0; v < VECTORS; ++v) save(out + t * kPanel + part + v * LANES, total[t][v]);
        }
    }
};
typedef Quantised<Format::q8, 64, 128> Q8;
typedef Quantised<Format::q4, 32, 8> Q4;

// ---- matrix times tokens ----

template <class M, int T = TILE>
static inline void tile_of(int n, const Matrix &m, const uint8_t *panel, const char *x, int64_t x_stride, float *out) {
    if constexpr (T > 0) {
        if (n == T)
            M::template tile<T>(m, panel, x, x_stride, out);
        else
            tile_of<M, T - 1>(n, m, panel, x, x_stride, out);
    }
}

template <class M>
static void matmul(const Matrix &m, const void *x_any, int64_t x_stride, int64_t n, int64_t first, int64_t last,
                   Sink sink, void *y_any, int64_t y_stride) {
    const char *x = static_cast<const char *>(x_any);
    const int pair = sink == Sink::swiglu ? 2 : 1;
    alignas(64) float out[2][TILE * kPanel];
    const int64_t tiles = (n + TILE - 1) / TILE;
    for (int64_t p = first; p < last; ++p) {
        const int64_t row = p * kPanel;  // in y
        const int64_t rows = m.rows - row < kPanel ? m.rows - row : kPanel;
        for (int64_t tile = 0; tile < tiles; ++tile) {
            const int64_t t0 = tile * n / tiles;  // tiles of even sizes: 8 tokens are 4 + 4, not 6 + 2
            const int count = int((tile + 1) * n / tiles - t0);
            for (int side = 0; side < pair; ++side) {
                const int64_t panel = p * pair + side;
                tile_of<M>(count, m, m.data + panel * m.panel_bytes(), x + t0 * x_stride, x_stride, out[side]);
                if (m.bias)
                    for (int t = 0; t < count; ++t)
                        for (int v = 0; v < kPanel; v += LANES)
                            save(out[side] + t * kPanel + v,
                                 load(out[side] + t * kPanel + v) + load(m.bias + panel * kPanel + v));
            }
            for (int t = 0; t < count; ++t) {
                float *a = out[0] + t * kPanel;
                const float *b = out[1] + t * kPanel;
                char *to = static_cast<char *>(y_any) + (t0 + t) * y_stride;
                if (sink == Sink::store || sink == Sink::add) {
                    float *y = reinterpret_cast<float *>(to) + row;
                    if (rows == kPanel)
                        for (int v = 0; v < kPanel; v += LANES)
                            save(y + v, sink == Sink::add ? load(y + v) + load(a + v) : load(a + v));
                    else
                        for (int64_t i = 0; i < rows; ++i) y[i] = sink == Sink::add ? y[i] + a[i] : a[i];
                    continue;
                }
                for (int v = 0; v < kPanel; v += LANES)
                    save(a + v, sink == Sink::swiglu ? silu(load(a + v)) * load(b + v)
                                : sink == Sink::gelu ? gelu(load(a + v))
                                                     : relu2(load(a + v)));
                M::put64(to, row, a);
            }
        }
    }
}

template <class M>
static void convert(const float *x, int64_t width, void *out) {
    for (int64_t i = 0; i < width; i += 64) M::put64(static_cast<char *>(out), i, x + i);
}

// ---- norms and rotation ----

FORCE float sum_squares(const float *x, int64_t d, float mean) {
    vf acc = {};
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES) {
        const vf c = load(x + i) - mean;
        acc += c * c;
    }
    float total = sum(acc);
    for (; i < d; ++i) total += (x[i] - mean) * (x[i] - mean);
    return total;
}

FORCE float sum_of(const float *x, int64_t d) {
    vf acc = {};
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES) acc += load(x + i);
    float total = sum(acc);
    for (; i < d; ++i) total += x[i];
    return total;
}

static void norm_wide(const float *x, const float *weight, const float *bias, float eps, bool layer, int64_t d,
                      float *out) {
    const float mean = layer ? sum_of(x, d) / float(d) : 0.0f;
    const float scale = 1.0f / __builtin_sqrtf(sum_squares(x, d, mean) / float(d) + eps);
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES) {
        vf v = (load(x + i) - mean) * scale * load(weight + i);
        if (bias) v += load(bias + i);
        save(out + i, v);
    }
    for (; i < d; ++i) out[i] = (x[i] - mean) * scale * weight[i] + (bias ? bias[i] : 0.0f);
}

template <class M>
static void norm(const float *x, const float *weight, const float *bias, float eps, bool layer, int64_t d, void *out,
                 float *spare) {
    norm_wide(x, weight, bias, eps, layer, d, M::own_inputs ? spare : static_cast<float *>(out));
    if (M::own_inputs) convert<M>(spare, d, out);
}

static void head(float *x, int64_t head_dim, const float *gain, float eps, const float *cosine, const float *sine,
                 float factor) {
    if (gain) norm_wide(x, gain, nullptr, eps, false, head_dim, x);
    const int64_t half = head_dim / 2;
    if (cosine) {
        float *high = x + half;
        int64_t i = 0;
        for (; i + LANES <= half; i += LANES) {
            const vf a = load(x + i), b = load(high + i), c = load(cosine + i), s = load(sine + i);
            save(x + i, (a * c - b * s) * factor);
            save(high + i, (b * c + a * s) * factor);
        }
        for (; i < half; ++i) {
            const float a = x[i], b = high[i];
            x[i] = (a * cosine[i] - b * sine[i]) * factor;
            high[i] = (b * cosine[i] + a * sine[i]) * factor;
        }
    } else if (factor != 1.0f) {
        for (int64_t i = 0; i < head_dim; ++i) x[i] *= factor;
    }
}

#include "attend_body.h"

// ---- choice ----

static int64_t largest(const float *x, int64_t n, float *value) {
    constexpr int64_t wide = 4 * LANES;
    vf most[4];
    vi nan = {};
    for (vf &m : most) m = all(-__builtin_inff());
    int64_t i = 0;
    for (; i + wide <= n; i += wide)
        for (int v = 0; v < 4; ++v) {
            const vf one = load(x + i + v * LANES);
            most[v] = larger(most[v], one);
            nan |= one != one;
        }
    const vf both = larger(larger(most[0], most[1]), larger(most[2], most[3]));
    float top = both[0];
    bool bad = false;
    for (int v = 0; v < LANES; ++v) {
        top = both[v] > top ? both[v] : top;
        bad = bad || nan[v];
    }
    for (; i < n; ++i) {
        top = x[i] > top ? x[i] : top;
        bad = bad || x[i] != x[i];
    }
    *value = top;
    if (bad || top == __builtin_inff()) return -1;
    for (i = 0; i + LANES <= n; i += LANES) {
        const vi same = load(x + i) == top;
        for (int v = 0; v < LANES; ++v)
            if (same[v]) return i + v;
    }
    for (; i < n; ++i)
        if (x[i] == top) return i;
    return -1;
}

template <class M>
static Kernels make(const char *name) {
    typedef typename M::Cache C;
    return Kernels{name,     LANES,     4,    sizeof(C) == 2, M::own_inputs, M::row_bytes, matmul<M>, norm<M>,
                   norm_wide, convert<M>, head, remember<C>,    attend<C>,     largest};
}
#undef FORCE
