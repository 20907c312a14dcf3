// Attention of a few queries over the cache of keys and values: part of kernels_body.h, which includes it once per
// instruction set, inside that one's namespace.

template <class C>
static void remember(const float *key, const float *value, int64_t head_dim, int64_t value_stride, int64_t position,
                     void *keys_any, void *values_any) {
    C *keys = static_cast<C *>(keys_any) + position / LANES * LANES * head_dim + position % LANES;
    C *values = static_cast<C *>(values_any) + position * value_stride;
    for (int64_t d = 0; d < head_dim; ++d) {
        if constexpr (sizeof(C) == 2) {
            keys[d * LANES] = to_bf16(key[d]);
            values[d] = to_bf16(value[d]);
        } else {
            keys[d * LANES] = key[d];
            values[d] = value[d];
        }
    }
}

// Between two uses of a line of the cache the whole model has passed through the processor's caches, and a head's run is
// too short for the hardware to foresee: what is read next is asked for while the last is computed on.
FORCE void ask_for(const void *data, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(static_cast<const char *>(data) + i, 0, 2);
}

// Scores of B blocks of keys of a run, the first of them `block`, into the scratch from `to` on.
template <class C, int T, int B>
FORCE void scores(const Attend &a, const C *run, int64_t block, int64_t to) {
    constexpr int64_t line = 64 / sizeof(C);
    vf acc[T][B] = {};
    const C *keys = run + block * a.head_dim * LANES;
    for (int64_t d = 0; d < a.head_dim; ++d) {
        vf k[B];
        for (int b = 0; b < B; ++b) {
            const C *at = keys + (b * a.head_dim + d) * LANES;
            k[b] = widened(at);
            if (d * LANES % line == 0) __builtin_prefetch(at + B * a.head_dim * LANES);
        }
        for (int t = 0; t < T; ++t)
            for (int b = 0; b < B; ++b) acc[t][b] += k[b] * a.query[t][d];
    }
    for (int t = 0; t < T; ++t)
        for (int b = 0; b < B; ++b) save(a.scratch + t * a.scratch_stride + to + b * LANES, acc[t][b]);
}

// The weights of one query, in place and not yet divided by their sum, which is returned; zero up to `end_of_all`.
static inline float soften(float *p, int64_t length, int64_t end_of_all) {
    const int64_t end = (length + LANES - 1) / LANES * LANES;
    for (int64_t i = length; i < end; ++i) p[i] = -3.0e38f;
    vf top = load(p);
    for (int64_t i = LANES; i < end; i += LANES) top = larger(top, load(p + i));
    float most = top[0];
    for (int i = 1; i < LANES; ++i) most = top[i] > most ? top[i] : most;
    for (int64_t i = 0; i < end; i += LANES) save(p + i, exp_of(load(p + i) - most));
    for (int64_t i = length; i < end_of_all; ++i) p[i] = 0.0f;
    vf total = {};
    for (int64_t i = 0; i < end; i += LANES) total += load(p + i);
    return sum(total);
}

template <class C, int T, int V>
FORCE void mix(const Attend &a, int64_t longest, int64_t d, const float *total) {
    constexpr int64_t line = 64 / sizeof(C);
    vf acc[T][V] = {};
    int64_t from = 0;
    for (int r = 0; r < 2 && from < longest; ++r) {
        const C *values = static_cast<const C *>(a.run[r].values) + d;
        const int64_t count = r == 0 && a.run[0].positions < longest ? a.run[0].positions : longest - from;
        for (int64_t s = 0; s < count; ++s) {
            vf v[V];
            for (int i = 0; i < V; ++i) {
                const C *at = values + s * a.value_stride + i * LANES;
                v[i] = widened(at);
                if (i * LANES % line == 0) __builtin_prefetch(at + 16 * a.value_stride);
            }
            for (int t = 0; t < T; ++t)
                for (int i = 0; i < V; ++i) acc[t][i] += v[i] * a.scratch[t * a.scratch_stride + from + s];
        }
        from += count;
    }
    for (int t = 0; t < T; ++t)
        for (int i = 0; i < V; ++i) {
            const int64_t at = d + i * LANES;
            const vf value = acc[t][i] / total[t];
            if (at + LANES <= a.head_dim)
                save(a.out[t] + at, value);
            else  // the next head begins there
                for (int j = 0; at + j < a.head_dim; ++j) a.out[t][at + j] = value[j];
        }
}

template <class C, int T>
static void attend_tile(const Attend &a) {
    int64_t longest = 0;
    for (int t = 0; t < T; ++t) longest = a.length[t] > longest ? a.length[t] : longest;
    int64_t to = 0;
    for (int r = 0; r < 2 && to < longest; ++r) {
        const int64_t count = r == 0 && a.run[0].positions < longest ? a.run[0].positions : longest - to;
        if (a.alone) ask_for(a.run[r].values, count * a.value_stride * int64_t(sizeof(C)));
        const int64_t blocks = (count + LANES - 1) / LANES;
        const C *keys = static_cast<const C *>(a.run[r].keys);
        int64_t block = 0;
        for (; block + BLOCKS <= blocks; block += BLOCKS) scores<C, T, BLOCKS>(a, keys, block, to + block * LANES);
        for (; block < blocks; ++block) scores<C, T, 1>(a, keys, block, to + block * LANES);
        to += blocks * LANES;
    }
    if (a.soon) ask_for(a.soon, a.soon_positions * a.head_dim * int64_t(sizeof(C)));
    float total[T];
    for (int t = 0; t < T; ++t) total[t] = soften(a.scratch + t * a.scratch_stride, a.length[t], to);
    int64_t d = 0;
    constexpr int wide = VECTORS * LANES;
    for (; d + wide <= a.value_stride; d += wide) mix<C, T, VECTORS>(a, longest, d, total);
    for (; d < a.value_stride; d += LANES) mix<C, T, 1>(a, longest, d, total);
}

template <class C>
static void attend(const Attend &a, int queries) {
    switch (queries) {
        case 1: return attend_tile<C, 1>(a);
        case 2: return attend_tile<C, 2>(a);
        case 3: return attend_tile<C, 3>(a);
        default: return attend_tile<C, 4>(a);
    }
}
