// RMSNorm and LayerNorm, with the addition to the residual stream before them. Reads and writes each row once; what a
// second pass needs is still in the first cache.

// Calls f(vector index, elements) for whole vectors, then once for what is left.
template <class F>
FORCE void by_vectors(int64_t dim, F f) {
    int64_t i = 0;
    for (; i + LANES <= dim; i += LANES) f(i, int64_t(LANES));
    if (i < dim) f(i, dim - i);
}
template <class T>
FORCE vf load_part(const T *p, int64_t n) {
    return n == LANES ? load(p) : load_some(p, n);
}
template <class T>
FORCE void save_part(T *p, int64_t n, vf v) {
    n == LANES ? save(p, v) : save_some(p, n, v);
}

template <class TX, class TS, class TO>
static void norm_rows(const Norm &a, int64_t first, int64_t last, float *row) {
    const int64_t dim = a.dim;
    for (int64_t n = first; n < last; ++n) {
        TS *stored = static_cast<TS *>(a.sum) + n * dim;
        vf total = {}, squares = {};
        by_vectors(dim, [&](int64_t i, int64_t some) {
            vf v;
            if (a.x) {
                const TX *x = static_cast<const TX *>(a.x) + n * dim;
                const TS *residual = static_cast<const TS *>(a.residual) + n * dim;
                save_part(stored + i, some, load_part(x + i, some) + load_part(residual + i, some));
            }
            v = load_part(stored + i, some);  // the sum as it is stored
            save_part(row + i, some, v);
            total += v;
            squares += v * v;
        });
        float mean = 0.0f, square = sum(squares);
        if (a.layer) {
            mean = sum(total) / float(dim);
            vf centred = {};
            by_vectors(dim, [&](int64_t i, int64_t some) {
                vf c = load_part(row + i, some) - mean;
                if (some < LANES) c = load_some(reinterpret_cast<const float *>(&c), some);
                centred += c * c;
            });
            square = sum(centred);
        }
        const float scale = 1.0f / __builtin_sqrtf(square / float(dim) + a.eps);
        if (a.stats) a.stats[2 * n] = mean, a.stats[2 * n + 1] = scale;
        TO *out = static_cast<TO *>(a.out) + n * dim;
        by_vectors(dim, [&](int64_t i, int64_t some) {
            vf v = (load_part(row + i, some) - mean) * scale * load_part(a.weight + i, some);
            if (a.bias) v += load_part(a.bias + i, some);
            save_part(out + i, some, v);
        });
    }
}

template <class TX, class TS, class TO>
static void norm_rows_back(const Norm &a, int64_t first, int64_t last, int64_t piece) {
    const int64_t dim = a.dim;
    float *grad_weight = a.grad_weight ? a.grad_weight + piece * dim : nullptr;
    float *grad_bias = a.grad_bias ? a.grad_bias + piece * dim : nullptr;
    if (grad_weight) __builtin_memset(grad_weight, 0, size_t(dim) * sizeof(float));
    if (grad_bias) __builtin_memset(grad_bias, 0, size_t(dim) * sizeof(float));
    for (int64_t n = first; n < last; ++n) {
        const TS *stored = static_cast<const TS *>(a.sum) + n * dim;
        const TO *grad = static_cast<const TO *>(a.grad_out) + n * dim;
        const TS *besides = a.grad_sum ? static_cast<const TS *>(a.grad_sum) + n * dim : nullptr;
        const float mean = a.stats[2 * n], scale = a.stats[2 * n + 1];
        vf plain = {}, along = {};
        by_vectors(dim, [&](int64_t i, int64_t some) {
            const vf g = load_part(grad + i, some);  // beyond the end 0, and so are its products
            const vf unit_x = (load_part(stored + i, some) - mean) * scale;
            const vf weighted = g * load_part(a.weight + i, some);
            plain += weighted;
            along += weighted * unit_x;
            if (grad_weight) save_part(grad_weight + i, some, load_part(grad_weight + i, some) + g * unit_x);
            if (grad_bias) save_part(grad_bias + i, some, load_part(grad_bias + i, some) + g);
        });
        const float slope = sum(along) / float(dim), offset = a.layer ? sum(plain) / float(dim) : 0.0f;
        by_vectors(dim, [&](int64_t i, int64_t some) {
            const vf unit_x = (load_part(stored + i, some) - mean) * scale;
            vf v = scale * (load_part(grad + i, some) * load_part(a.weight + i, some) - offset - unit_x * slope);
            if (besides) v += load_part(besides + i, some);
            save_part(static_cast<TS *>(a.grad_residual) + n * dim + i, some, v);
            if (a.grad_x) save_part(static_cast<TX *>(a.grad_x) + n * dim + i, some, v);
        });
    }
}

// f.template operator()<TX, TS, TO>() would need C++20: the types travel as null pointers.
template <class F>
FORCE void with_types(const Norm &a, F f) {
    const float *wide = nullptr;
    const uint16_t *narrow = nullptr;
    const auto with_out = [&](auto x, auto sum) {
        a.out_type == Dtype::bf16 ? f(x, sum, narrow) : f(x, sum, wide);
    };
    const auto with_sum = [&](auto x) { a.sum_type == Dtype::bf16 ? with_out(x, narrow) : with_out(x, wide); };
    a.x_type == Dtype::bf16 ? with_sum(narrow) : with_sum(wide);
}

template <class T>
using pointee = typename std::remove_const<typename std::remove_pointer<T>::type>::type;

static void norm(const Norm &a, int64_t first, int64_t last, float *row) {
    with_types(a, [&](auto x, auto sum, auto out) {
        norm_rows<pointee<decltype(x)>, pointee<decltype(sum)>, pointee<decltype(out)>>(a, first, last, row);
    });
}

static void norm_back(const Norm &a, int64_t first, int64_t last, int64_t piece) {
    with_types(a, [&](auto x, auto sum, auto out) {
        norm_rows_back<pointee<decltype(x)>, pointee<decltype(sum)>, pointee<decltype(out)>>(a, first, last, piece);
    });
}
