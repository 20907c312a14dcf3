// RMSNorm of each query and key head and rotary positions (half-split: feature i turns with feature i + dim / 2), in one
// pass over the heads of a token. Both halves of a head go through together, LANES features at a time.

template <class T>
static void rotate_head(const Rotation &a, const Side &side, const T *x, T *out, const float *cosine,
                        const float *sine) {
    const int64_t half = cosine ? a.dim / 2 : (a.dim + 1) / 2, rest = a.dim - half;
    float scale = 1.0f;
    if (side.weight) {
        vf squares = {};
        by_vectors(a.dim, [&](int64_t i, int64_t some) {
            const vf v = load_part(x + i, some);
            squares += v * v;
        });
        scale = 1.0f / __builtin_sqrtf(sum(squares) / float(a.dim) + a.eps);
    }
    by_vectors(half, [&](int64_t i, int64_t some) {
        const int64_t more = i + some <= rest ? some : rest - i;  // an odd head without rotation
        vf low = load_part(x + i, some), high = load_part(x + half + i, more);
        if (side.weight) {
            low *= scale * load_part(side.weight + i, some);
            high *= scale * load_part(side.weight + half + i, more);
        }
        if (cosine) {
            const vf c = load_part(cosine + i, some), s = load_part(sine + i, some);
            const vf turned = low * c - high * s;
            high = high * c + low * s;
            low = turned;
        }
        save_part(out + i, some, low);
        save_part(out + half + i, more, high);
    });
}

template <class T>
static void rotate_head_back(const Rotation &a, const Side &side, const T *x, const T *grad, T *grad_x,
                             float *grad_weight, const float *cosine, const float *sine) {
    const int64_t half = cosine ? a.dim / 2 : (a.dim + 1) / 2, rest = a.dim - half;
    const auto turn_back = [&](int64_t i, int64_t some, int64_t more, vf &low, vf &high) {
        low = load_part(grad + i, some), high = load_part(grad + half + i, more);
        if (cosine) {
            const vf c = load_part(cosine + i, some), s = load_part(sine + i, some);
            const vf turned = low * c + high * s;
            high = high * c - low * s;
            low = turned;
        }
    };
    float scale = 1.0f, slope = 0.0f;
    if (side.weight) {
        vf squares = {}, along = {};
        by_vectors(half, [&](int64_t i, int64_t some) {
            const int64_t more = i + some <= rest ? some : rest - i;
            const vf x_low = load_part(x + i, some), x_high = load_part(x + half + i, more);
            vf low, high;
            turn_back(i, some, more, low, high);
            squares += x_low * x_low + x_high * x_high;
            along += low * x_low * load_part(side.weight + i, some) +
                     high * x_high * load_part(side.weight + half + i, more);
        });
        scale = 1.0f / __builtin_sqrtf(sum(squares) / float(a.dim) + a.eps);
        slope = sum(along) * scale * scale / float(a.dim);
    }
    by_vectors(half, [&](int64_t i, int64_t some) {
        const int64_t more = i + some <= rest ? some : rest - i;
        vf low, high;
        turn_back(i, some, more, low, high);
        if (side.weight) {
            const vf x_low = load_part(x + i, some), x_high = load_part(x + half + i, more);
            if (grad_weight) {
                save_part(grad_weight + i, some, load_part(grad_weight + i, some) + low * x_low * scale);
                save_part(grad_weight + half + i, more,
                          load_part(grad_weight + half + i, more) + high * x_high * scale);
            }
            low = scale * (low * load_part(side.weight + i, some) - x_low * slope);
            high = scale * (high * load_part(side.weight + half + i, more) - x_high * slope);
        }
        save_part(grad_x + i, some, low);
        save_part(grad_x + half + i, more, high);
    });
}

template <class T>
static void rotate_tokens(const Rotation &a, int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
        const int64_t b = n / a.tokens, t = n % a.tokens, half = a.dim / 2;
        const int64_t place = a.cosine ? a.positions[b * a.positions_b + t] * half : 0;
        for (const Side &side : a.side)
            for (int64_t h = 0; h < side.heads; ++h)
                rotate_head(a, side, row_at<T>(side.x, b, t, h), row_at<T>(side.out, b, t, h),
                            a.cosine ? a.cosine + place : nullptr, a.sine + place);
    }
}

template <class T>
static void rotate_tokens_back(const Rotation &a, int64_t first, int64_t last, int64_t piece) {
    for (const Side &side : a.side)
        if (side.grad_weight) __builtin_memset(side.grad_weight + piece * a.dim, 0, size_t(a.dim) * sizeof(float));
    for (int64_t n = first; n < last; ++n) {
        const int64_t b = n / a.tokens, t = n % a.tokens, half = a.dim / 2;
        const int64_t place = a.cosine ? a.positions[b * a.positions_b + t] * half : 0;
        for (const Side &side : a.side)
            for (int64_t h = 0; h < side.heads; ++h)
                rotate_head_back(a, side, row_at<T>(side.x, b, t, h), row_at<T>(side.grad_out, b, t, h),
                                 row_at<T>(side.grad_x, b, t, h),
                                 side.grad_weight ? side.grad_weight + piece * a.dim : nullptr,
                                 a.cosine ? a.cosine + place : nullptr, a.sine + place);
    }
}

static void rotate(const Rotation &a, int64_t first, int64_t last) {
    a.type == Dtype::bf16 ? rotate_tokens<uint16_t>(a, first, last) : rotate_tokens<float>(a, first, last);
}
static void rotate_back(const Rotation &a, int64_t first, int64_t last, int64_t piece) {
    a.type == Dtype::bf16 ? rotate_tokens_back<uint16_t>(a, first, last, piece)
                          : rotate_tokens_back<float>(a, first, last, piece);
}
