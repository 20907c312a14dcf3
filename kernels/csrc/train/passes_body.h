// Loops that the compiler makes vectors of (-fopenmp-simd, -fno-math-errno), included once per instruction set inside a
// namespace of its own. A sum runs in 64 partial sums whatever the vectors' width.

static constexpr int64_t kPartials = 64;

// e^x for x <= 0, to 1e-7 of itself; 0 below -87. exp(x) = 2^whole * 2^r with r in +-1/2 (Cephes' exp2f).
static inline __attribute__((always_inline)) float exp_below_zero(float x) {
    const float y = x * 1.44269504088896341f;
    const float low = y > -126.0f ? y : -126.0f;  // -inf and NaN, too
    const float shifted = low + 12582912.0f;      // 1.5 * 2^23: rounds to an integer that stands in the low bits
    const float r = low - (shifted - 12582912.0f);
    float p = 1.535336188e-4f;
    p = p * r + 1.339887440e-3f;
    p = p * r + 9.618437357e-3f;
    p = p * r + 5.550332471e-2f;
    p = p * r + 2.402264791e-1f;
    p = p * r + 6.931472028e-1f;
    p = p * r + 1.0f;
    int32_t bits;
    __builtin_memcpy(&bits, &shifted, 4);
    const uint32_t scale_bits = uint32_t(bits - 0x4b400000 + 127) << 23;
    float scale;
    __builtin_memcpy(&scale, &scale_bits, 4);
    return y > -126.0f ? p * scale : 0.0f;
}

static inline __attribute__((always_inline)) float value_of(float x) { return x; }
static inline __attribute__((always_inline)) float value_of(uint16_t x) { return from_bf16(x); }
static inline __attribute__((always_inline)) void store(float &to, float x) { to = x; }
static inline __attribute__((always_inline)) void store(uint16_t &to, float x) {
    uint32_t bits;  // finite here: no NaN to preserve, so that this is three vector instructions
    __builtin_memcpy(&bits, &x, 4);
    to = uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

template <class T>
static float cross_entropy(T *__restrict row, int64_t n, int64_t target, float factor, bool gradient,
                           float *__restrict wide) {
    float most[kPartials];
    for (int64_t j = 0; j < kPartials; ++j) most[j] = -__builtin_inff();
    int64_t i = 0;
    for (; i + kPartials <= n; i += kPartials) {
#pragma omp simd
        for (int64_t j = 0; j < kPartials; ++j) {
            const float x = value_of(row[i + j]);
            most[j] = x > most[j] ? x : most[j];
        }
    }
    for (; i < n; ++i) most[0] = value_of(row[i]) > most[0] ? value_of(row[i]) : most[0];
    float top = most[0];
    for (int64_t j = 1; j < kPartials; ++j) top = most[j] > top ? most[j] : top;

    float sums[kPartials] = {};
    const float shift = top;
    for (i = 0; i + kPartials <= n; i += kPartials) {
#pragma omp simd
        for (int64_t j = 0; j < kPartials; ++j) {
            const float e = exp_below_zero(value_of(row[i + j]) - shift);
            wide[i + j] = e;
            sums[j] += e;
        }
    }
    for (; i < n; ++i) {
        wide[i] = exp_below_zero(value_of(row[i]) - shift);
        sums[0] += wide[i];
    }
    double total = 0.0;
    for (int64_t j = 0; j < kPartials; ++j) total += double(sums[j]);
    const double picked = double(value_of(row[target]));
    const float loss = float(__builtin_log(total) + double(top) - picked);
    // a NaN or infinity among the logits is not a maximum to speak of: the loss says so, and so does the gradient
    if (!(top - top == 0.0f) || !(loss - loss == 0.0f)) {
        if (gradient)
            for (i = 0; i < n; ++i) row[i] = T{};
        return __builtin_nanf("");
    }
    if (gradient) {
        const float scale = float(double(factor) / total);
#pragma omp simd
        for (i = 0; i < n; ++i) store(row[i], wide[i] * scale);
        store(row[target], wide[target] * scale - factor);
    }
    return loss;
}

static float cross_entropy_bf16(uint16_t *row, int64_t n, int64_t target, float factor, bool gradient, float *wide) {
    return cross_entropy(row, n, target, factor, gradient, wide);
}
static float cross_entropy_fp32(float *row, int64_t n, int64_t target, float factor, bool gradient, float *wide) {
    return cross_entropy(row, n, target, factor, gradient, wide);
}

static double squares(const float *__restrict x, int64_t n) {
    double sums[kPartials] = {};
    int64_t i = 0;
    for (; i + kPartials <= n; i += kPartials) {
#pragma omp simd
        for (int64_t j = 0; j < kPartials; ++j) sums[j] += double(x[i + j]) * double(x[i + j]);
    }
    for (; i < n; ++i) sums[0] += double(x[i]) * double(x[i]);
    double total = 0.0;
    for (int64_t j = 0; j < kPartials; ++j) total += sums[j];
    return total;
}

static void adamw(const AdamW &a, float *__restrict param, const float *__restrict grad, float *__restrict first,
                  float *__restrict second, int64_t n) {
    const AdamW c = a;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
        const float g = grad[i] * c.clip;
        const float m = c.beta1 * first[i] + c.rest1 * g;
        const float v = c.beta2 * second[i] + c.rest2 * (g * g);
        first[i] = m;
        second[i] = v;
        param[i] = c.keep * param[i] - c.size * (m / (__builtin_sqrtf(v) * c.root + c.eps));
    }
}

static void widen(const uint16_t *__restrict from, float *__restrict to, int64_t n, bool add) {
    if (add) {
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) to[i] += from_bf16(from[i]);
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) to[i] = from_bf16(from[i]);
    }
}

static const Passes kPasses{cross_entropy_bf16, cross_entropy_fp32, squares, adamw, widen};
