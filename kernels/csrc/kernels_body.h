// The kernels, written once with the compiler's vector types and included once per instruction set, inside a namespace
// of its own. Before the inclusion are defined:
//   LANES    fp32 in a vector          VECTORS  vectors in a panel's row
//   TILE     tokens that share one reading of a panel (TILE * VECTORS accumulators stay in registers)
//   BLOCKS   key blocks that one attention step takes
//   DOT_BF16 1 when vdpbf16ps may be used
//
// Each sum runs over its terms in one fixed order, whatever the number of tokens, of threads, or of neighbours in a
// tile: a prompt given at once and the same prompt given token by token end in the same bits.

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef float vf_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));  // unaligned loads and stores
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * LANES)));
typedef uint16_t vh_any __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint32_t vu_any __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

constexpr int kPanel = LANES * VECTORS;

#define FORCE static inline __attribute__((always_inline))

FORCE vf load(const float *p) { return *reinterpret_cast<const vf_any *>(p); }
FORCE void save(float *p, vf v) { *reinterpret_cast<vf_any *>(p) = v; }
FORCE vf pick(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
FORCE vf larger(vf a, vf b) { return pick(a > b, a, b); }
FORCE vf smaller(vf a, vf b) { return pick(a < b, a, b); }
FORCE vf all(float x) { return vf{} + x; }

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

// ---- what a dtype means: how weights and activations are stored, and one step of a product over `step` inputs ----

struct Fp32 {
    typedef float Act;
    typedef float Weight;
    static constexpr int step = 1;
    FORCE void put(Act *p, vf v) { save(p, v); }
    FORCE void put(Act *p, float v) { *p = v; }
    typedef vf Held;
    FORCE Held hold(const Weight *p) { return load(p); }
    FORCE void mac(vf &acc, Held w, const Act *x) { acc += w * *x; }
};

FORCE vu bf16_bits(vf v) {  // round to nearest even, still in the upper half; activations are finite, so no NaN case
    const vu bits = (vu)v;
    return bits + 0x7fffu + ((bits >> 16) & 1u);
}

struct Bf16 {
    typedef uint16_t Weight;
    static constexpr int step = 2;
    typedef vu Held;
    FORCE Held hold(const Weight *p) { return *reinterpret_cast<const vu_any *>(p); }
#if DOT_BF16
    typedef uint16_t Act;
    FORCE void put(Act *p, vf v) {
        *reinterpret_cast<vh_any *>(p) = __builtin_convertvector(bf16_bits(v) >> 16, vh);
    }
    FORCE void put(Act *p, float v) { *p = to_bf16(v); }
    FORCE void mac(vf &acc, Held w, const Act *x) {
        int32_t pair;
        __builtin_memcpy(&pair, x, 4);
        acc = (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)_mm512_set1_epi32(pair));
    }
#else
    typedef float Act;  // already rounded, so that both kinds of bf16 arithmetic multiply the same numbers
    FORCE void put(Act *p, vf v) { save(p, (vf)(bf16_bits(v) & 0xffff0000u)); }
    FORCE void put(Act *p, float v) { *p = from_bf16(to_bf16(v)); }
    FORCE void mac(vf &acc, Held w, const Act *x) {
        acc += (vf)(w << 16) * x[0];
        acc += (vf)(w & 0xffff0000u) * x[1];
    }
#endif
};

// ---- matrix times tokens ----

template <class M, int T>
static inline void tile(const typename M::Weight *panel, const typename M::Act *x, int64_t x_stride, int64_t depth,
                        float *out) {
    vf acc[T][VECTORS] = {};
    for (int64_t k = 0; k < depth; k += M::step) {
        typename M::Held w[VECTORS];
        for (int v = 0; v < VECTORS; ++v) w[v] = M::hold(panel + k * kPanel + v * LANES * M::step);
        for (int t = 0; t < T; ++t)
            for (int v = 0; v < VECTORS; ++v) M::mac(acc[t][v], w[v], x + t * x_stride + k);
    }
    for (int t = 0; t < T; ++t)
        for (int v = 0; v < VECTORS; ++v) save(out + t * kPanel + v * LANES, acc[t][v]);
}

template <class M, int T = TILE>
static inline void tile_of(int n, const typename M::Weight *panel, const typename M::Act *x, int64_t x_stride,
                           int64_t depth, float *out) {
    if constexpr (T > 0) {
        if (n == T)
            tile<M, T>(panel, x, x_stride, depth, out);
        else
            tile_of<M, T - 1>(n, panel, x, x_stride, depth, out);
    }
}

template <class M>
static void matmul(const Matrix &m, const void *x_any, int64_t x_stride, int64_t n, int64_t first, int64_t last,
                   Sink sink, void *y_any, int64_t y_stride) {
    typedef typename M::Act Act;
    const auto *x = static_cast<const Act *>(x_any);
    const auto *data = static_cast<const typename M::Weight *>(m.data);
    const int pair = sink == Sink::swiglu ? 2 : 1;
    alignas(64) float out[2][TILE * kPanel];
    for (int64_t p = first; p < last; ++p) {
        const int64_t row = p * kPanel;  // in y
        const int64_t rows = m.rows / pair - row < kPanel ? m.rows / pair - row : kPanel;
        for (int64_t t0 = 0; t0 < n; t0 += TILE) {
            const int count = int(n - t0 < TILE ? n - t0 : TILE);
            for (int side = 0; side < pair; ++side) {
                const int64_t panel = p * pair + side;
                tile_of<M>(count, data + panel * m.depth * kPanel, x + t0 * x_stride, x_stride, m.depth, out[side]);
                if (m.bias)
                    for (int t = 0; t < count; ++t)
                        for (int v = 0; v < kPanel; v += LANES)
                            save(out[side] + t * kPanel + v,
                                 load(out[side] + t * kPanel + v) + load(m.bias + panel * kPanel + v));
            }
            for (int t = 0; t < count; ++t) {
                const float *a = out[0] + t * kPanel, *b = out[1] + t * kPanel;
                if (sink == Sink::store || sink == Sink::add) {
                    float *y = static_cast<float *>(y_any) + (t0 + t) * y_stride + row;
                    if (rows == kPanel)
                        for (int v = 0; v < kPanel; v += LANES)
                            save(y + v, sink == Sink::add ? load(y + v) + load(a + v) : load(a + v));
                    else
                        for (int64_t i = 0; i < rows; ++i) y[i] = sink == Sink::add ? y[i] + a[i] : a[i];
                    continue;
                }
                Act *y = static_cast<Act *>(y_any) + (t0 + t) * y_stride + row;
                for (int v = 0; v < kPanel && v < rows; v += LANES) {
                    const vf value = sink == Sink::swiglu ? silu(load(a + v)) * load(b + v)
                                     : sink == Sink::gelu ? gelu(load(a + v))
                                                          : relu2(load(a + v));
                    if (v + LANES <= rows)
                        M::put(y + v, value);
                    else
                        for (int i = 0; v + i < rows; ++i) M::put(y + v + i, value[i]);
                }
            }
        }
    }
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

template <class M>
static inline void norm_into(const float *x, const float *weight, const float *bias, float eps, bool layer, int64_t d,
                             typename M::Act *out) {
    const float mean = layer ? sum_of(x, d) / float(d) : 0.0f;
    const float scale = 1.0f / __builtin_sqrtf(sum_squares(x, d, mean) / float(d) + eps);
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES) {
        vf v = (load(x + i) - mean) * scale * load(weight + i);
        if (bias) v += load(bias + i);
        M::put(out + i, v);
    }
    for (; i < d; ++i) M::put(out + i, (x[i] - mean) * scale * weight[i] + (bias ? bias[i] : 0.0f));
}

template <class M>
static void norm(const float *x, const float *weight, const float *bias, float eps, bool layer, int64_t d, void *out,
                 bool wide) {
    if (wide)
        norm_into<Fp32>(x, weight, bias, eps, layer, d, static_cast<float *>(out));
    else
        norm_into<M>(x, weight, bias, eps, layer, d, static_cast<typename M::Act *>(out));
}

static void head(float *x, int64_t head_dim, const float *gain, float eps, const float *cosine, const float *sine,
                 float factor) {
    if (gain) norm_into<Fp32>(x, gain, nullptr, eps, false, head_dim, x);
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

// ---- attention ----

template <int T, int B>
FORCE void scores(const Attend &a, int64_t block) {
    vf acc[T][B] = {};
    const float *keys = a.keys + block * a.head_dim * LANES;
    for (int64_t d = 0; d < a.head_dim; ++d) {
        vf k[B];
        for (int b = 0; b < B; ++b) {
            const float *at = keys + (b * a.head_dim + d) * LANES;
            k[b] = load(at);
            // Between two uses of a cache line the whole model has passed through the caches, and these runs are too
            // short for the hardware to foresee. 500 positions of a 10M model: 111 us without, 93 with (bf16, 1 core).
            if (B > 1 && d * LANES % 16 == 0) __builtin_prefetch(at + B * a.head_dim * LANES);
        }
        for (int t = 0; t < T; ++t)
            for (int b = 0; b < B; ++b) acc[t][b] += k[b] * a.query[t][d];
    }
    for (int t = 0; t < T; ++t)
        for (int b = 0; b < B; ++b) save(a.scratch + t * a.scratch_stride + (block + b) * LANES, acc[t][b]);
}

// The weights of one query, in place and not yet divided by their sum, which is returned; zero up to `padded`.
static inline float soften(float *p, int64_t length, int64_t padded) {
    const int64_t end = (length + LANES - 1) / LANES * LANES;
    for (int64_t i = length; i < end; ++i) p[i] = -3.0e38f;
    vf top = load(p);
    for (int64_t i = LANES; i < end; i += LANES) top = larger(top, load(p + i));
    float most = top[0];
    for (int i = 1; i < LANES; ++i) most = top[i] > most ? top[i] : most;
    for (int64_t i = 0; i < end; i += LANES) save(p + i, exp_of(load(p + i) - most));
    for (int64_t i = length; i < padded; ++i) p[i] = 0.0f;
    vf total = {};
    for (int64_t i = 0; i < end; i += LANES) total += load(p + i);
    return sum(total);
}

template <class M, int T, int V>
FORCE void mix(const Attend &a, int64_t longest, int64_t d, const float *total) {
    vf acc[T][V] = {};
    for (int64_t s = 0; s < longest; ++s) {
        vf v[V];
        for (int i = 0; i < V; ++i) {
            const float *at = a.values + s * a.value_stride + d + i * LANES;
            v[i] = load(at);
            if (i * LANES % 16 == 0) __builtin_prefetch(at + 16 * a.value_stride);
        }
        for (int t = 0; t < T; ++t)
            for (int i = 0; i < V; ++i) acc[t][i] += v[i] * a.scratch[t * a.scratch_stride + s];
    }
    for (int t = 0; t < T; ++t)
        for (int i = 0; i < V; ++i) {
            const int64_t at = d + i * LANES;
            const vf value = acc[t][i] / total[t];
            auto *out = static_cast<typename M::Act *>(a.out[t]);
            if (at + LANES <= a.head_dim)
                M::put(out + at, value);
            else  // the next head begins there
                for (int j = 0; at + j < a.head_dim; ++j) M::put(out + at + j, value[j]);
        }
}

template <class M, int T>
static void attend_tile(const Attend &a) {
    int64_t longest = 0;
    for (int t = 0; t < T; ++t) longest = a.length[t] > longest ? a.length[t] : longest;
    const int64_t blocks = (longest + LANES - 1) / LANES;
    int64_t block = 0;
    for (; block + BLOCKS <= blocks; block += BLOCKS) scores<T, BLOCKS>(a, block);
    for (; block < blocks; ++block) scores<T, 1>(a, block);
    float total[T];
    for (int t = 0; t < T; ++t) total[t] = soften(a.scratch + t * a.scratch_stride, a.length[t], blocks * LANES);
    int64_t d = 0;
    constexpr int wide = VECTORS * LANES;
    for (; d + wide <= a.value_stride; d += wide) mix<M, T, VECTORS>(a, longest, d, total);
    for (; d < a.value_stride; d += LANES) mix<M, T, 1>(a, longest, d, total);
}

template <class M>
static void attend(const Attend &a, int queries) {
    switch (queries) {
        case 1: return attend_tile<M, 1>(a);
        case 2: return attend_tile<M, 2>(a);
        case 3: return attend_tile<M, 3>(a);
        default: return attend_tile<M, 4>(a);
    }
}

template <class M>
static Kernels make(const char *name) {
    return Kernels{name, LANES, kPanel, int(sizeof(typename M::Act)), 4, matmul<M>, norm<M>, head, attend<M>};
}
#undef FORCE
