// Passes over a row of logits, written once with the compiler's vector types and included by sampler.cpp once per
// instruction set, inside a namespace of its own. DOUBLES: fp64 in a vector; twice as many fp32.

typedef float vf __attribute__((vector_size(8 * DOUBLES)));
typedef float vf_any __attribute__((vector_size(8 * DOUBLES), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(8 * DOUBLES)));
typedef uint32_t vu __attribute__((vector_size(8 * DOUBLES)));
typedef float vh __attribute__((vector_size(4 * DOUBLES)));  // what becomes a vector of doubles
typedef float vh_any __attribute__((vector_size(4 * DOUBLES), aligned(4), may_alias));
typedef double vd __attribute__((vector_size(8 * DOUBLES)));
typedef double vd_any __attribute__((vector_size(8 * DOUBLES), aligned(8), may_alias));
typedef uint64_t vl __attribute__((vector_size(8 * DOUBLES)));

#define FORCE static inline __attribute__((always_inline))

FORCE vd any_double(double x) { return vd{} + x; }

// exp(x) for x <= 0 within 2 ulp; 0 below -708. Taylor's series to r^12 over |r| <= ln 2 / 2 (remainder 2e-16).
FORCE vd exp_of(vd x) {
    const vl alive = (vl)(x > any_double(-708.0));
    x = (vd)((alive & (vl)x) | (~alive & (vl)any_double(-708.0)));  // a NaN, too
    const vd magic = any_double(6755399441055744.0);  // 1.5 * 2^52: adding it rounds to an integer in the low bits
    const vd shifted = x * 1.4426950408889634 + magic;
    const vd n = shifted - magic;
    const vd r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    vd p = any_double(1.0 / 479001600);
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const vd power = (vd)(((vl)shifted - (vl)magic + 1023) << 52);
    return (vd)((vl)(p * power) & alive);
}

// exp(x) for x <= 0 in fp32 (relative error 2e-7, Cephes' polynomial); 0 below -87.
FORCE vf exp_of(vf x) {
    const vi alive = x > vf{} - 87.0f;
    x = (vf)((alive & (vi)x) | (~alive & (vi)(vf{} - 87.0f)));
    const vf magic = vf{} + 12582912.0f;  // 1.5 * 2^23
    const vf shifted = x * 1.44269504088896341f + magic;
    const vf n = shifted - magic;
    const vf r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    vf p = vf{} + 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const vf y = p * (r * r) + r + 1.0f;
    return (vf)((vi)(y * (vf)((vu)((vi)shifted - (vi)magic + 127) << 23)) & alive);
}

// The largest of n >= 1 values; NaN when one of them is.
static float largest(const float *x, int64_t n) {
    constexpr int wide = 2 * DOUBLES;
    float best = x[0];
    bool nan = false;
    int64_t i = 0;
    if (n >= 2 * wide) {
        vf a = *(const vf_any *)x, b = *(const vf_any *)(x + wide);
        vi strange = (a != a) | (b != b);
        for (i = 2 * wide; i + 2 * wide <= n; i += 2 * wide) {
            const vf c = *(const vf_any *)(x + i), d = *(const vf_any *)(x + i + wide);
            const vi more = c > a, over = d > b;
            a = (vf)((more & (vi)c) | (~more & (vi)a));
            b = (vf)((over & (vi)d) | (~over & (vi)b));
            strange |= (c != c) | (d != d);
        }
        for (int lane = 0; lane < wide; ++lane) {
            best = a[lane] > best ? a[lane] : best;
            best = b[lane] > best ? b[lane] : best;
            nan = nan || strange[lane];
        }
    }
    for (; i < n; ++i) {
        best = x[i] > best ? x[i] : best;
        nan = nan || x[i] != x[i];
    }
    return nan || best != best ? NAN : best;
}

// The first i >= from with x[i] > limit; n when there is none.
static int64_t next_above(const float *x, int64_t from, int64_t n, float limit) {
    constexpr int wide = 2 * DOUBLES;
    int64_t i = from;
    const vf bound = vf{} + limit;
    for (; i + 2 * wide <= n; i += 2 * wide) {
        const vi hit = (*(const vf_any *)(x + i) > bound) | (*(const vf_any *)(x + i + wide) > bound);
        const vl words = (vl)hit;
        uint64_t found = 0;
        for (int lane = 0; lane < DOUBLES; ++lane) found |= words[lane];
        if (found) break;
    }
    while (i < n && !(x[i] > limit)) ++i;
    return i;
}

// Sum of exp((x - top) * scale) over n values, and where asked the terms, and the sum of each kBlock of them.
static double sum_exp(const float *x, int64_t n, float top, double scale, double *terms, double *blocks) {
    double total = 0;
    for (int64_t first = 0; first < n; first += kBlock) {
        const int64_t last = first + kBlock < n ? first + kBlock : n;
        vd sums[2] = {};
        int64_t i = first;
        for (; i + 2 * DOUBLES <= last; i += 2 * DOUBLES)
            for (int part = 0; part < 2; ++part) {
                const vh some = *(const vh_any *)(x + i + part * DOUBLES);
                const vd term = exp_of((__builtin_convertvector(some, vd) - double(top)) * scale);
                if (terms) *(vd_any *)(terms + i + part * DOUBLES) = term;
                sums[part] += term;
            }
        double sum = 0;
        for (int lane = 0; lane < DOUBLES; ++lane) sum += sums[0][lane] + sums[1][lane];
        for (; i < last; ++i) {
            const double term = exp_of(any_double((double(x[i]) - double(top)) * scale))[0];
            if (terms) terms[i] = term;
            sum += term;
        }
        if (blocks) blocks[first / kBlock] = sum;
        total += sum;
    }
    return total;
}

// log of the sum of exp(x - top), within 2e-7; the largest x is top.
static double log_sum(const float *x, int64_t n, float top) {
    constexpr int wide = 2 * DOUBLES;
    double total = 0;
    for (int64_t first = 0; first < n; first += kBlock) {
        const int64_t last = first + kBlock < n ? first + kBlock : n;
        vf a = {}, b = {};  // of 16 terms a lane with AVX-512
        int64_t i = first;
        for (; i + 2 * wide <= last; i += 2 * wide) {
            a += exp_of(*(const vf_any *)(x + i) - top);
            b += exp_of(*(const vf_any *)(x + i + wide) - top);
        }
        a += b;
        double sum = 0;
        for (int lane = 0; lane < wide; ++lane) sum += double(a[lane]);
        for (; i < last; ++i) sum += double(exp_of(vf{} + (x[i] - top))[0]);
        total += sum;
    }
    return std::log(total);
}

// (best - x) * factor in whole numbers, at most `last`.
static void buckets(const float *x, int64_t n, float best, float factor, int last, uint16_t *out) {
    typedef uint16_t narrow __attribute__((vector_size(4 * DOUBLES), aligned(2), may_alias));
    constexpr int wide = 2 * DOUBLES;
    const vf most = vf{} + float(last);
    int64_t i = 0;
    for (; i + wide <= n; i += wide) {
        const vf place = (best - *(const vf_any *)(x + i)) * factor;
        const vi inside = place < most;
        const vf cut = (vf)((inside & (vi)place) | (~inside & (vi)most));
        *(narrow *)(out + i) = __builtin_convertvector(__builtin_convertvector(cut, vi), narrow);
    }
    for (; i < n; ++i) {
        const float place = (best - x[i]) * factor;
        out[i] = place < float(last) ? uint16_t(place) : uint16_t(last);
    }
}

static const Passes &passes() {
    static const Passes made = {largest, next_above, sum_exp, log_sum, buckets};
    return made;
}

#undef FORCE
