// Attention by blocks of kQueries queries and kKeys keys. Scores are made transposed, [key][query]: the queries lie in
// the lanes, so that maxima, sums and the stored log-sum-exp are vectors and no product needs a transposed result.
// Products over features take a key's row and the queries' columns; products over keys or queries take neighbouring
// pairs. The backward pass makes the probabilities again from the log-sum-exp (Dao et al. 2022, algorithm 4).

// Rows of a block: of the products over keys and queries, whose sums are read and written once a block. 64 and 64 are
// 6 % slower at 512 x 64.
constexpr int kQueries = 128;
constexpr int kKeys = 128;

struct Shelf {  // hands out parts of one buffer; with no buffer it only counts
    char *base;
    size_t used = 0;
    template <class T>
    T *take(int64_t count) {
        T *at = reinterpret_cast<T *>(base + used);
        used += (size_t(count) * sizeof(T) + 63) & ~size_t(63);
        return at;
    }
};

FORCE int64_t up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
template <class T>
FORCE T *row_at(const Heads &heads, int64_t b, int64_t t, int64_t h) {
    return static_cast<T *>(heads.data) + b * heads.b + t * heads.t + h * heads.h;
}

// Which part of the work a piece is.
struct Piece {
    int64_t b, g, first_head, last_head, first_block, last_block;
    Piece(const Attention &a, int64_t index) {
        const int64_t per_group = a.heads / a.groups, blocks = up(a.queries, kQueries) / kQueries;
        const int64_t head_parts = up(per_group, a.heads_per_piece) / a.heads_per_piece;
        const int64_t block_parts = up(blocks, a.blocks_per_piece) / a.blocks_per_piece;
        const int64_t part = block_parts - 1 - index % block_parts;  // the longest rows first
        first_block = part * a.blocks_per_piece;
        last_block = first_block + a.blocks_per_piece < blocks ? first_block + a.blocks_per_piece : blocks;
        index /= block_parts;
        first_head = index % head_parts * a.heads_per_piece;
        last_head = first_head + a.heads_per_piece < per_group ? first_head + a.heads_per_piece : per_group;
        index /= head_parts;
        g = index % a.groups;
        b = index / a.groups;
        first_head += g * per_group;
        last_head += g * per_group;
    }
};

// One block of queries: the last key that each one sees, and how much of the keys that makes.
struct Block {
    int64_t first, rows;        // queries
    int columns;                // vectors of them
    int64_t keys;               // seen by any of them
    int64_t all_see;            // keys below this are seen by all of them
    int32_t last[kQueries];     // -1: none
    Block(const Attention &a, int64_t index) {
        first = index * kQueries;
        rows = a.queries - first < kQueries ? a.queries - first : kQueries;
        columns = int(up(rows, LANES)) / LANES;
        for (int64_t i = 0; i < kQueries; ++i) {
            const int64_t query = first + (i < rows ? i : rows - 1);
            int64_t key = a.causal ? query + a.keys - a.queries : a.keys - 1;
            if (key < -1) key = -1;
            last[i] = int32_t(key);
        }
        keys = last[kQueries - 1] + 1;
        all_see = last[0] + 1;
    }
    // The first vector of queries of which one sees `key`.
    int column(int64_t key) const {
        int c = 0;
        while (c < columns && last[c * LANES + LANES - 1] < key) ++c;
        return c;
    }
};

FORCE vf hide(vf x, const int32_t *last, int32_t key, float hidden) {
    vi seen;
    __builtin_memcpy(&seen, last, sizeof(seen));
    return pick(seen < key, all(hidden), x);
}

template <class T, class W>
struct Attend {
    typedef typename W::Elem Elem;
    static constexpr bool quick = sizeof(T) == 2;

    // ---- forward ----
    struct Forward {
        int64_t wide, units;  // elements and units of a padded row
        unit *keys, *values, *rows, *columns, *weights;
        float *scores, *mix, *top, *total, *factor;
        Forward(const Attention &a, Shelf &shelf) {
            wide = up(a.dim, LANES * W::step);
            units = wide / W::step;
            const int64_t padded = up(a.keys, kKeys);
            keys = shelf.take<unit>(padded * units);
            values = shelf.take<unit>(padded / W::step * wide);
            rows = shelf.take<unit>((kKeys > kQueries ? kKeys : kQueries) * units);
            columns = shelf.take<unit>(units * kQueries);
            weights = shelf.take<unit>(kKeys / W::step * kQueries);
            scores = shelf.take<float>(kKeys * kQueries);
            mix = shelf.take<float>(kQueries * wide);
            top = shelf.take<float>(kQueries);
            total = shelf.take<float>(kQueries);
            factor = shelf.take<float>(kQueries);
        }
    };

    static size_t forward_memory(const Attention &a) {
        Shelf shelf{nullptr};
        Forward(a, shelf);
        return shelf.used;
    }

    template <int V>
    static void score_tile(const Forward &f, const Block &block, int64_t key, int column, bool masked) {
        vf acc[ROWS][V] = {};
        tile<W, ROWS, V>(f.keys + key * f.units, f.units, 1, f.columns + column * LANES, kQueries, f.units, acc);
        for (int v = 0; v < V; ++v) {
            const int64_t at = (column + v) * LANES;
            vf top = load(f.top + at);
            for (int m = 0; m < ROWS; ++m) {
                if (masked) acc[m][v] = hide(acc[m][v], block.last + at, int32_t(key + m), -__builtin_inff());
                top = larger(top, acc[m][v]);
                save(f.scores + (key % kKeys + m) * kQueries + at, acc[m][v]);
            }
            save(f.top + at, top);
        }
    }

    // Scores of the keys [from, to) and the maxima.
    static void score(const Forward &f, const Block &block, int64_t from, int64_t to, bool masked) {
        for (int64_t key = from; key < to; key += ROWS) {
            int column = masked ? block.column(key) : 0;
            for (int m = 0; m < ROWS; ++m)
                for (int c = 0; c < column; ++c)
                    save(f.scores + (key % kKeys + m) * kQueries + c * LANES, all(-__builtin_inff()));
            for (; column + 4 <= block.columns; column += 4) score_tile<4>(f, block, key, column, masked);
            switch (block.columns - column) {
                case 3: score_tile<3>(f, block, key, column, masked); break;
                case 2: score_tile<2>(f, block, key, column, masked); break;
                case 1: score_tile<1>(f, block, key, column, masked); break;
                default: break;
            }
        }
    }

    // Scores to weights, sums, and the factor by which what was summed before shrinks.
    static void soften(const Forward &f, int columns, const float *before, int64_t keys, float scale) {
        for (int c = 0; c < columns; ++c) {
            const vf top = load(f.top + c * LANES);
            const vf shift = pick(top < -1e38f, vf{}, top * scale);  // a query that sees nothing yet
            const vf shrink = exp2_of(load(before + c * LANES) * scale - shift);
            vf sums[2] = {};
            for (int64_t k = 0; k < keys; k += 2) {
                const float *s = f.scores + k * kQueries + c * LANES;
                const vf even = exp2_of<quick>(load(s) * scale - shift);
                const vf odd = exp2_of<quick>(load(s + kQueries) * scale - shift);
                sums[0] += even;
                sums[1] += odd;
                if constexpr (W::step == 2) {
                    *reinterpret_cast<vu_any *>(f.weights + k / 2 * kQueries + c * LANES) = pair_units(even, odd);
                } else {
                    float *w = reinterpret_cast<float *>(f.weights) + k * kQueries + c * LANES;
                    save(w, even);
                    save(w + kQueries, odd);
                }
            }
            save(f.factor + c * LANES, shrink);
            save(f.total + c * LANES, load(f.total + c * LANES) * shrink + (sums[0] + sums[1]));
        }
    }

    static void forward(const Attention &a, int64_t index, void *memory) {
        Shelf shelf{static_cast<char *>(memory)};
        const Forward f(a, shelf);
        const Piece piece(a, index);
        const int64_t seen = Block(a, piece.last_block - 1).keys, padded = up(seen, kKeys);
        const float scale = a.scale * 1.44269504088896341f;
        pack_rows<T, W>(row_at<T>(a.k, piece.b, 0, piece.g), a.k.t, seen, padded, a.dim, f.wide, f.keys);
        for (int64_t key = 0; key < padded; key += kKeys) {
            const int64_t rows = seen - key < kKeys ? seen - key : kKeys;
            pack_rows<T, W>(row_at<T>(a.v, piece.b, key, piece.g), a.v.t, rows, kKeys, a.dim, f.wide, f.rows);
            pack_pairs<W>(f.rows, kKeys, f.wide, f.values + key / W::step * f.wide);
        }
        for (int64_t head = piece.first_head; head < piece.last_head; ++head)
            for (int64_t at = piece.first_block; at < piece.last_block; ++at) forward_block(a, f, piece.b, head, at, scale);
    }

    static void forward_block(const Attention &a, const Forward &f, int64_t b, int64_t head, int64_t index,
                              float scale) {
        const Block block(a, index);
        pack_rows<T, W>(row_at<T>(a.q, b, block.first, head), a.q.t, block.rows, kQueries, a.dim, f.wide, f.rows);
        pack_columns(f.rows, kQueries, f.units, f.columns);
        for (int i = 0; i < kQueries; ++i) f.top[i] = -__builtin_inff(), f.total[i] = 0.0f;
        if (block.keys == 0) __builtin_memset(f.mix, 0, size_t(kQueries * f.wide) * sizeof(float));
        for (int64_t from = 0; from < block.keys; from += kKeys) {
            const int64_t to = up(block.keys < from + kKeys ? block.keys : from + kKeys, ROWS);
            float before[kQueries];
            __builtin_memcpy(before, f.top, sizeof(before));
            score(f, block, from, to, to > block.all_see);
            soften(f, block.columns, before, to - from, scale);
            add_product<W>(f.weights, 1, kQueries, f.values + from / W::step * f.wide, f.wide, up(block.rows, ROWS),
                           f.wide, f.factor, from == 0, f.mix, [&](int64_t row, int64_t &, int64_t &last) {
                               int64_t keys = block.last[row + ROWS - 1] + 1 - from;
                               if (keys > to - from) keys = to - from;
                               last = keys > 0 ? (keys + W::step - 1) / W::step : 0;
                           });
        }
        float *lse = a.lse ? a.lse + (b * a.heads + head) * a.queries + block.first : nullptr;
        for (int64_t i = 0; i < block.rows; ++i) {
            const float total = f.total[i], inverse = total > 0.0f ? 1.0f / total : total == 0.0f ? 0.0f : total;
            T *out = row_at<T>(a.out, b, block.first + i, head);
            const float *mix = f.mix + i * f.wide;
            int64_t d = 0;
            for (; d + LANES <= a.dim; d += LANES) save(out + d, load(mix + d) * inverse);
            if (d < a.dim) save_some(out + d, a.dim - d, load(mix + d) * inverse);
            // nothing seen: every weight of the backward pass becomes 0
            if (lse) lse[i] = total == 0.0f ? 1e30f : f.top[i] * scale + __builtin_log2f(total);
        }
    }

    // ---- backward ----
    struct Backward {
        int64_t wide, units;
        unit *keys, *values, *key_pairs;                   // of the key/value head
        float *grad_k, *grad_v;                            // [keys][wide]
        unit *rows, *q_columns, *out_columns, *q_pairs, *out_pairs;  // of the block of queries
        unit *weights, *grads, *grad_pairs;                // [kKeys][kQueries]: P and dS transposed; dS in pairs of keys
        float *grad_q, *lse, *delta;
        Backward(const Attention &a, Shelf &shelf) {
            wide = up(a.dim, LANES * W::step);
            units = wide / W::step;
            const int64_t padded = up(a.keys, kKeys);
            keys = shelf.take<unit>(padded * units);
            values = shelf.take<unit>(padded * units);
            key_pairs = shelf.take<unit>(padded * units);
            grad_k = shelf.take<float>(padded * wide);
            grad_v = shelf.take<float>(padded * wide);
            rows = shelf.take<unit>(kQueries * units);
            q_columns = shelf.take<unit>(kQueries * units);
            out_columns = shelf.take<unit>(kQueries * units);
            q_pairs = shelf.take<unit>(kQueries * units);
            out_pairs = shelf.take<unit>(kQueries * units);
            weights = shelf.take<unit>(kKeys * kQueries / W::step);
            grads = shelf.take<unit>(kKeys * kQueries / W::step);
            grad_pairs = W::step == 1 ? grads : shelf.take<unit>(kKeys * kQueries / W::step);
            grad_q = shelf.take<float>(kQueries * wide);
            lse = shelf.take<float>(kQueries);
            delta = shelf.take<float>(kQueries);
        }
    };

    static size_t backward_memory(const Attention &a) {
        Shelf shelf{nullptr};
        Backward(a, shelf);
        return shelf.used;
    }

    // P and dS of ROWS keys and V vectors of queries.
    template <int V>
    static void grad_tile(const Backward &f, const Block &block, int64_t key, int column, bool masked, float scale) {
        vf p[ROWS][V] = {};
        tile<W, ROWS, V>(f.keys + key * f.units, f.units, 1, f.q_columns + column * LANES, kQueries, f.units, p);
        Elem *weights = reinterpret_cast<Elem *>(f.weights) + key % kKeys * kQueries;
        Elem *grads = reinterpret_cast<Elem *>(f.grads) + key % kKeys * kQueries;
        for (int v = 0; v < V; ++v) {
            const int64_t at = (column + v) * LANES;
            const vf lse = load(f.lse + at);
            for (int m = 0; m < ROWS; ++m) {
                p[m][v] = exp2_of<quick>(p[m][v] * scale - lse);
                if (masked) p[m][v] = hide(p[m][v], block.last + at, int32_t(key + m), 0.0f);
                save(weights + m * kQueries + at, p[m][v]);
            }
        }
        vf acc[ROWS][V] = {};
        tile<W, ROWS, V>(f.values + key * f.units, f.units, 1, f.out_columns + column * LANES, kQueries, f.units, acc);
        for (int v = 0; v < V; ++v) {
            const int64_t at = (column + v) * LANES;
            const vf delta = load(f.delta + at);
            for (int m = 0; m < ROWS; ++m) {
                acc[m][v] = p[m][v] * (acc[m][v] - delta);
                save(grads + m * kQueries + at, acc[m][v]);
            }
            if constexpr (W::step == 2)
                for (int m = 0; m < ROWS; m += 2)
                    *reinterpret_cast<vu_any *>(f.grad_pairs + (key % kKeys + m) / 2 * kQueries + at) =
                        pair_units(acc[m][v], acc[m + 1][v]);
        }
    }

    static void clear_tile(const Backward &f, int64_t key, int columns) {
        Elem *weights = reinterpret_cast<Elem *>(f.weights), *grads = reinterpret_cast<Elem *>(f.grads);
        for (int m = 0; m < ROWS; ++m)
            for (int c = 0; c < columns; ++c) {
                const int64_t row = key % kKeys + m;
                save(weights + row * kQueries + c * LANES, vf{});
                save(grads + row * kQueries + c * LANES, vf{});
                if (W::step == 2)
                    *reinterpret_cast<vu_any *>(f.grad_pairs + row / 2 * kQueries + c * LANES) = vu{};
            }
    }

    static void backward_block(const Attention &a, const Backward &f, int64_t b, int64_t head, int64_t index) {
        const Block block(a, index);
        const float scale = a.scale * 1.44269504088896341f;
        pack_rows<T, W>(row_at<T>(a.q, b, block.first, head), a.q.t, block.rows, kQueries, a.dim, f.wide, f.rows);
        pack_columns(f.rows, kQueries, f.units, f.q_columns);
        pack_pairs<W>(f.rows, kQueries, f.wide, f.q_pairs);
        pack_rows<T, W>(row_at<T>(a.grad_out, b, block.first, head), a.grad_out.t, block.rows, kQueries, a.dim, f.wide,
                        f.rows);
        pack_columns(f.rows, kQueries, f.units, f.out_columns);
        pack_pairs<W>(f.rows, kQueries, f.wide, f.out_pairs);
        for (int64_t i = 0; i < kQueries; ++i) {
            if (i >= block.rows) {
                f.lse[i] = 1e30f, f.delta[i] = 0.0f;
                continue;
            }
            f.lse[i] = a.lse[(b * a.heads + head) * a.queries + block.first + i];
            const T *out = row_at<T>(a.out, b, block.first + i, head);
            const T *grad = row_at<T>(a.grad_out, b, block.first + i, head);
            if (i + kAhead < block.rows)
                for (int64_t at = 0; at < a.dim; at += 64 / int64_t(sizeof(T))) 
                    __builtin_prefetch(out + kAhead * a.out.t + at);
            vf dot = {};
            int64_t d = 0;
            for (; d + LANES <= a.dim; d += LANES) dot += load(out + d) * load(grad + d);
            if (d < a.dim) dot += load_some(out + d, a.dim - d) * load_some(grad + d, a.dim - d);
            f.delta[i] = sum(dot);
        }
        if (block.keys == 0) __builtin_memset(f.grad_q, 0, size_t(kQueries * f.wide) * sizeof(float));
        constexpr int64_t row_units = kQueries / W::step;
        for (int64_t from = 0; from < block.keys; from += kKeys) {
            const int64_t to = up(block.keys < from + kKeys ? block.keys : from + kKeys, ROWS);
            const bool masked = to > block.all_see;
            for (int64_t key = from; key < to; key += ROWS) {
                int column = masked ? block.column(key) : 0;
                clear_tile(f, key, column);
                for (; column + 4 <= block.columns; column += 4) grad_tile<4>(f, block, key, column, masked, scale);
                switch (block.columns - column) {
                    case 3: grad_tile<3>(f, block, key, column, masked, scale); break;
                    case 2: grad_tile<2>(f, block, key, column, masked, scale); break;
                    case 1: grad_tile<1>(f, block, key, column, masked, scale); break;
                    default: break;
                }
            }
            const auto seeing = [&](int64_t row, int64_t &first, int64_t &last) {
                first = masked ? block.column(from + row) * LANES / W::step : 0;
                last = block.columns * LANES / W::step;
            };
            add_product<W>(f.weights, row_units, 1, f.out_pairs, f.wide, to - from, f.wide, nullptr, false,
                           f.grad_v + from * f.wide, seeing);
            add_product<W>(f.grads, row_units, 1, f.q_pairs, f.wide, to - from, f.wide, nullptr, false,
                           f.grad_k + from * f.wide, seeing);
            add_product<W>(f.grad_pairs, 1, kQueries, f.key_pairs + from / W::step * f.wide, f.wide,
                           up(block.rows, ROWS), f.wide, nullptr, from == 0, f.grad_q,
                           [&](int64_t row, int64_t &, int64_t &last) {
                               int64_t keys = block.last[row + ROWS - 1] + 1 - from;
                               if (keys > to - from) keys = to - from;
                               last = keys > 0 ? (keys + W::step - 1) / W::step : 0;
                           });
        }
        for (int64_t i = 0; i < block.rows; ++i)
            write(f.grad_q + i * f.wide, a.scale, row_at<T>(a.grad_q, b, block.first + i, head), a.dim);
    }

    static void write(const float *from, float factor, T *to, int64_t dim) {
        int64_t d = 0;
        for (; d + LANES <= dim; d += LANES) save(to + d, load(from + d) * factor);
        if (d < dim) save_some(to + d, dim - d, load(from + d) * factor);
    }

    static void backward(const Attention &a, int64_t index, void *memory) {
        Shelf shelf{static_cast<char *>(memory)};
        const Backward f(a, shelf);
        const Piece piece(a, index);
        const int64_t padded = up(a.keys, kKeys);
        pack_rows<T, W>(row_at<T>(a.k, piece.b, 0, piece.g), a.k.t, a.keys, padded, a.dim, f.wide, f.keys);
        pack_rows<T, W>(row_at<T>(a.v, piece.b, 0, piece.g), a.v.t, a.keys, padded, a.dim, f.wide, f.values);
        pack_pairs<W>(f.keys, padded, f.wide, f.key_pairs);
        __builtin_memset(f.grad_k, 0, size_t(padded * f.wide) * sizeof(float));
        __builtin_memset(f.grad_v, 0, size_t(padded * f.wide) * sizeof(float));
        for (int64_t head = piece.first_head; head < piece.last_head; ++head)
            for (int64_t at = piece.first_block; at < piece.last_block; ++at)
                backward_block(a, f, piece.b, head, at);
        for (int64_t key = 0; key < a.keys; ++key) {
            write(f.grad_k + key * f.wide, a.scale, row_at<T>(a.grad_k, piece.b, key, piece.g), a.dim);
            write(f.grad_v + key * f.wide, 1.0f, row_at<T>(a.grad_v, piece.b, key, piece.g), a.dim);
        }
    }
};
