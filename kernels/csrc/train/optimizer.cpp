// Clipping by the common norm, and AdamW, over all tensors in two passes.
#include "passes.h"

#include <cmath>
#include <new>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace nimllm::train;

namespace {
constexpr int64_t kPiece = 1 << 14;  // elements; four streams of it are 256 KB. Fixed: the norm is summed by pieces

struct Piece {
    int64_t tensor, begin, size;
};
}  // namespace

// tensors [count][4]: addresses of param, grad, exp_avg, exp_avg_sq, all fp32 and contiguous, of sizes[i] elements;
// decays [count]. max_norm: infinity or not positive clips nothing. step from 1. Returns the norm before clipping, or -1
// without memory. The result depends on neither the number of threads nor their timing.
EXPORT double nimllm_train_clip_adamw(float *const *tensors, const int64_t *sizes, const double *decays, int64_t count,
                                      int64_t step, double lr, double beta1, double beta2, double eps,
                                      double max_norm) {
    const Passes &p = passes();
    try {
        std::vector<Piece> pieces;
        for (int64_t i = 0; i < count; ++i)
            for (int64_t at = 0; at < sizes[i]; at += kPiece)
                pieces.push_back(Piece{i, at, sizes[i] - at < kPiece ? sizes[i] - at : kPiece});
        const int64_t total = int64_t(pieces.size());
        std::vector<double> sums(pieces.size());
        parallel_for(total, 4, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
                sums[size_t(i)] = p.squares(tensors[4 * pieces[size_t(i)].tensor + 1] + pieces[size_t(i)].begin,
                                            pieces[size_t(i)].size);
        });
        double squares = 0.0;
        for (const double sum : sums) squares += sum;
        const double norm = std::sqrt(squares);
        AdamW common{};
        // a NaN must reach the parameters, as with torch: the comparison is written so that it does
        const double factor = max_norm > 0 && !std::isinf(max_norm) ? max_norm / (norm + 1e-6) : 1.0;
        common.clip = float(factor > 1.0 ? 1.0 : factor);
        common.beta1 = float(beta1);
        common.beta2 = float(beta2);
        common.rest1 = float(1.0 - beta1);
        common.rest2 = float(1.0 - beta2);
        common.size = float(lr / (1.0 - std::pow(beta1, double(step))));
        common.root = float(1.0 / std::sqrt(1.0 - std::pow(beta2, double(step))));
        common.eps = float(eps);
        parallel_for(total, 4, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const Piece &piece = pieces[size_t(i)];
                float *const *t = tensors + 4 * piece.tensor;
                AdamW mine = common;
                mine.keep = float(1.0 - lr * decays[piece.tensor]);
                p.adamw(mine, t[0] + piece.begin, t[1] + piece.begin, t[2] + piece.begin, t[3] + piece.begin,
                        piece.size);
            }
        });
        return norm;
    } catch (const std::bad_alloc &) {
        return -1.0;
    }
}
