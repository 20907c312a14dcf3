// SwiGLU, GELU (exact) and squared ReLU; the backward pass makes everything again from the inputs. In bf16 the
// sigmoid's reciprocal has 14 bits and exponentials have 18. Not so the error function's quotient: it must reach 1
// exactly, or GELU of a large negative number is not 0.

template <bool quick>
FORCE vf inverse(vf x) {
#if LANES == 16
    if (quick) return (vf)_mm512_rcp14_ps((__m512)x);
#endif
    return 1.0f / x;
}
template <bool quick>
FORCE vf sigmoid(vf x) {
    return inverse<quick>(1.0f + exp2_of<quick>(x * -1.44269504088896341f));
}
// A rational approximation, odd over even powers, of the error function on +-4 (a few ulp; as in Eigen and XLA).
FORCE vf erf_of(vf x) {
    const vf in = smaller(all(4.0f), larger(all(-4.0f), x));
    const vf s = in * in;
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
    return in * p / q;
}
FORCE vf normal_below(vf x) {  // the distribution function of the normal distribution
    return 0.5f + 0.5f * erf_of(x * 0.70710678118654752f);
}

template <class T, Activation kind>
static void activate_rows(const Activate &a, int64_t first, int64_t last) {
    constexpr bool quick = sizeof(T) == 2;
    for (int64_t n = first; n < last; ++n) {
        const T *x_row = static_cast<const T *>(a.x) + n * a.x_row;
        const T *up_row = static_cast<const T *>(a.up) + n * a.up_row;
        T *out = static_cast<T *>(a.out) + n * a.out_row;
        by_vectors(a.dim, [&](int64_t i, int64_t some) {
            const vf x = load_part(x_row + i, some);
            vf y;
            if constexpr (kind == Activation::swiglu) {
                y = x * sigmoid<quick>(x) * load_part(up_row + i, some);
            } else if constexpr (kind == Activation::gelu) {
                y = x * normal_below(x);
            } else {
                const vf positive = larger(vf{}, x);
                y = positive * positive;
            }
            save_part(out + i, some, y);
        });
    }
}

template <class T, Activation kind>
static void activate_rows_back(const Activate &a, int64_t first, int64_t last) {
    constexpr bool quick = sizeof(T) == 2;
    for (int64_t n = first; n < last; ++n) {
        const T *x_row = static_cast<const T *>(a.x) + n * a.x_row;
        const T *up_row = static_cast<const T *>(a.up) + n * a.up_row;
        const T *grad_row = static_cast<const T *>(a.grad_out) + n * a.grad_out_row;
        T *grad_x = static_cast<T *>(a.grad_x) + n * a.grad_x_row;
        T *grad_up = static_cast<T *>(a.grad_up) + n * a.grad_up_row;
        by_vectors(a.dim, [&](int64_t i, int64_t some) {
            const vf x = load_part(x_row + i, some), grad = load_part(grad_row + i, some);
            if constexpr (kind == Activation::swiglu) {
                const vf open = sigmoid<quick>(x), silu = x * open;
                save_part(grad_x + i, some, grad * load_part(up_row + i, some) * (open + silu * (1.0f - open)));
                save_part(grad_up + i, some, grad * silu);
            } else if constexpr (kind == Activation::gelu) {
                const vf density = 0.39894228040143268f * exp2_of<quick>(x * x * (-0.5f * 1.44269504088896341f));
                save_part(grad_x + i, some, grad * (normal_below(x) + x * density));
            } else {
                save_part(grad_x + i, some, grad * 2.0f * larger(vf{}, x));
            }
        });
    }
}

template <class T>
static void activate_as(const Activate &a, int64_t first, int64_t last) {
    switch (a.kind) {
        case Activation::swiglu: return activate_rows<T, Activation::swiglu>(a, first, last);
        case Activation::gelu: return activate_rows<T, Activation::gelu>(a, first, last);
        default: return activate_rows<T, Activation::relu2>(a, first, last);
    }
}
template <class T>
static void activate_back_as(const Activate &a, int64_t first, int64_t last) {
    switch (a.kind) {
        case Activation::swiglu: return activate_rows_back<T, Activation::swiglu>(a, first, last);
        case Activation::gelu: return activate_rows_back<T, Activation::gelu>(a, first, last);
        default: return activate_rows_back<T, Activation::relu2>(a, first, last);
    }
}
static void activate(const Activate &a, int64_t first, int64_t last) {
    a.type == Dtype::bf16 ? activate_as<uint16_t>(a, first, last) : activate_as<float>(a, first, last);
}
static void activate_back(const Activate &a, int64_t first, int64_t last) {
    a.type == Dtype::bf16 ? activate_back_as<uint16_t>(a, first, last) : activate_back_as<float>(a, first, last);
}
