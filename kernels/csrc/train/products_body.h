// Small products whose operands are packed in units (lanes.h): one register tile, and a product that adds to a matrix.

// acc[m][v] += sum over `steps` of a[m] * b[v]. a: units at m * a_m + k * a_k. b: rows of b_k units, LANES to a vector.
template <class W, int M, int V>
FORCE void tile(const unit *a, int64_t a_m, int64_t a_k, const unit *b, int64_t b_k, int64_t steps, vf (&acc)[M][V]) {
    for (int64_t k = 0; k < steps; ++k) {
        typename W::Held held[V];
        for (int v = 0; v < V; ++v) held[v] = W::hold(b + k * b_k + v * LANES);
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < V; ++v) W::mac(acc[m][v], held[v], a + m * a_m + k * a_k);
    }
}

template <class W, int V>
static void add_tile(const unit *a, int64_t a_m, int64_t a_k, const unit *b, int64_t b_k, int64_t steps,
                     const float *factor, bool fresh, float *c, int64_t c_m) {
    vf acc[ROWS][V] = {};
    if (!fresh)
        for (int m = 0; m < ROWS; ++m)
            for (int v = 0; v < V; ++v) {
                acc[m][v] = load(c + m * c_m + v * LANES);
                if (factor) acc[m][v] *= factor[m];
            }
    tile<W, ROWS, V>(a, a_m, a_k, b, b_k, steps, acc);
    for (int m = 0; m < ROWS; ++m)
        for (int v = 0; v < V; ++v) save(c + m * c_m + v * LANES, acc[m][v]);
}

// c[rows][cols] = c * factor (by rows, or null) + a b; fresh: whatever was in c counts as 0. rows: a multiple of ROWS;
// cols: of LANES.
// range(row, first, last) narrows the steps [first, last) of the tile that begins at `row`.
template <class W, class Range>
FORCE void add_product(const unit *a, int64_t a_m, int64_t a_k, const unit *b, int64_t b_k, int64_t rows, int64_t cols,
                       const float *factor, bool fresh, float *c, Range range) {
    for (int64_t row = 0; row < rows; row += ROWS) {
        int64_t first = 0, last = 0;
        range(row, first, last);
        const unit *left = a + row * a_m + first * a_k;
        const unit *right = b + first * b_k;
        const int64_t steps = last > first ? last - first : 0;
        const float *f = factor ? factor + row : nullptr;
        float *to = c + row * cols;
        int64_t col = 0;
        for (; col + 4 * LANES <= cols; col += 4 * LANES)
            add_tile<W, 4>(left, a_m, a_k, right + col, b_k, steps, f, fresh, to + col, cols);
        switch ((cols - col) / LANES) {
            case 3: add_tile<W, 3>(left, a_m, a_k, right + col, b_k, steps, f, fresh, to + col, cols); break;
            case 2: add_tile<W, 2>(left, a_m, a_k, right + col, b_k, steps, f, fresh, to + col, cols); break;
            case 1: add_tile<W, 1>(left, a_m, a_k, right + col, b_k, steps, f, fresh, to + col, cols); break;
            default: break;
        }
    }
}

// ---- packing ----
// "rows": [row][wide elements], as in memory but padded with zeros to `wide`, a multiple of LANES units.
// "pairs": [row / step][wide] units, neighbouring rows side by side: the right operand of a product over rows.
// "columns": [unit of a row][rows] units: the right operand of a product over features.

constexpr int64_t kAhead = 12;  // rows

template <class T, class W>
static void pack_rows(const T *from, int64_t stride, int64_t rows, int64_t padded, int64_t dim, int64_t wide,
                      unit *to_units) {
    typedef typename W::Elem Elem;
    Elem *to = reinterpret_cast<Elem *>(to_units);
    for (int64_t row = 0; row < rows; ++row, from += stride, to += wide) {
        // Rows of a head lie a whole token apart, too far for the hardware to foresee.
        if (row + kAhead < rows)
            for (int64_t at = 0; at < dim; at += 64 / int64_t(sizeof(T))) __builtin_prefetch(from + kAhead * stride + at);
        int64_t i = 0;
        if constexpr (sizeof(T) == sizeof(Elem)) {
            constexpr int64_t some = LANES * W::step;
            for (; i + some <= dim; i += some)
                __builtin_memcpy(to + i, from + i, sizeof(vu));
            for (; i < dim; ++i) to[i] = from[i];
        } else {
            for (; i + LANES <= dim; i += LANES) save(to + i, load(from + i));
            for (; i < dim; ++i) put(to[i], value(from[i]));
        }
        for (; i < wide; ++i) to[i] = Elem(0);
    }
    if (rows < padded) __builtin_memset(to, 0, size_t((padded - rows) * wide) * sizeof(Elem));
}

template <class W>
static void pack_pairs(const unit *rows_units, int64_t padded, int64_t wide, unit *to) {
    if constexpr (W::step == 1) {
        __builtin_memcpy(to, rows_units, size_t(padded * wide) * sizeof(unit));
    } else {
        const uint16_t *rows = reinterpret_cast<const uint16_t *>(rows_units);
        for (int64_t row = 0; row < padded; row += 2, rows += 2 * wide, to += wide)
            for (int64_t i = 0; i < wide; i += LANES) {
                const vu low = widen(*reinterpret_cast<const vh_any *>(rows + i));
                const vu high = widen(*reinterpret_cast<const vh_any *>(rows + wide + i));
                *reinterpret_cast<vu_any *>(to + i) = low | (high << 16);
            }
    }
}

template <int width>
FORCE void exchange(vu &a, vu &b) {  // the off-diagonal blocks of `width` lanes change places
    vu first, second;
    for (int i = 0; i < LANES; ++i) {
        first[i] = unit((i & width) ? LANES + i - width : i);
        second[i] = unit((i & width) ? LANES + i : i + width);
    }
#if defined(__clang__)
    vu x, y;
    for (int i = 0; i < LANES; ++i) {
        x[i] = first[i] < LANES ? a[first[i] % LANES] : b[first[i] % LANES];
        y[i] = second[i] < LANES ? a[second[i] % LANES] : b[second[i] % LANES];
    }
#else
    const vu x = __builtin_shuffle(a, b, first), y = __builtin_shuffle(a, b, second);
#endif
    a = x;
    b = y;
}

template <int width>
FORCE void transpose_by(vu (&r)[LANES]) {
    for (int i = 0; i < LANES; ++i)
        if ((i & width) == 0) exchange<width>(r[i], r[i + width]);
    if constexpr (width > 1) transpose_by<width / 2>(r);
}

// from [rows][units] -> to [units][rows]; both multiples of LANES.
static void pack_columns(const unit *from, int64_t rows, int64_t units, unit *to) {
    for (int64_t row = 0; row < rows; row += LANES)
        for (int64_t at = 0; at < units; at += LANES) {
            vu r[LANES];
            for (int i = 0; i < LANES; ++i) r[i] = *reinterpret_cast<const vu_any *>(from + (row + i) * units + at);
            transpose_by<LANES / 2>(r);
            for (int i = 0; i < LANES; ++i) *reinterpret_cast<vu_any *>(to + (at + i) * rows + row) = r[i];
        }
}

// Two rows of sums (neighbours of the axis that a later product runs over) as units: LANES units in Bf16.
FORCE vu pair_units(vf even, vf odd) {
#if DOT_BF16
    alignas(64) static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                   8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
    return (vu)_mm512_permutexvar_epi16(_mm512_load_si512(order), both);
#else
    return (bf16_bits(even) >> 16) | (bf16_bits(odd) & 0xffff0000u);
#endif
}
