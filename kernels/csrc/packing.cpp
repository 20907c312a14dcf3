#include "packing.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace nimllm {

namespace {

// The scale as it will be read, never too small for the largest weight of the group to fit.
uint16_t scale_up(float scale) {
    uint16_t half = to_bf16(scale);
    if (from_bf16(half) < scale) ++half;
    return half;
}

int quantised(float weight, float inverse, int low, int high) {
    const float scaled = weight * inverse;
    // lrint of a NaN or of something huge is undefined as an int
    if (!(scaled > float(low))) return scaled <= float(low) ? low : 0;
    return scaled >= float(high) ? high : int(std::lrintf(scaled));
}

// -8 .. 7 has one step more below zero than above, so the weight of the largest magnitude goes to -8, by a scale of the
// opposite sign. Rounding then costs least with a scale a little smaller or larger than that: the best of 17 by squared
// error, as they lie between clipping the extreme weight by a fifth and leaving room above it.
uint16_t scale_of_q4(const float *w, int64_t count) {
    float extreme = 0;
    for (int64_t i = 0; i < count; ++i)
        if (std::fabs(w[i]) > std::fabs(extreme)) extreme = w[i];
    if (!(std::fabs(extreme) > 0) || !std::isfinite(extreme)) return 0;
    uint16_t best = to_bf16(extreme / -8);
    float least = INFINITY;
    for (int step = 0; step < 17; ++step) {
        const uint16_t half = to_bf16(extreme / (-6.8f - 0.15f * float(step)));
        const float scale = from_bf16(half);
        if (scale == 0) continue;
        const float inverse = 1 / scale;
        float error = 0;
        for (int64_t i = 0; i < count; ++i) {
            const float q = std::min(7.0f, std::max(-8.0f, std::nearbyintf(w[i] * inverse)));
            const float off = q * scale - w[i];
            error += off * off;
        }
        if (error < least) {
            least = error;
            best = half;
        }
    }
    return best;
}

}  // namespace

void pack_group(const Matrix &m, uint8_t *data, int64_t row, int64_t group, const float *source, int64_t count) {
    const int64_t r = row % kPanel;
    uint8_t *at = data + row / kPanel * m.panel_bytes() + group * group_bytes(m.format);
    float w[64] = {};
    if (source) std::copy(source, source + count, w);
    switch (m.format) {
        case Format::fp32: std::memcpy(at + r * 4, w, 4); return;
        case Format::bf16: {
            const uint16_t pair[2] = {to_bf16(w[0]), to_bf16(w[1])};
            std::memcpy(at + r * 4, pair, 4);
            return;
        }
        case Format::q8: {
            float most = 0;
            for (float weight : w) most = std::max(most, std::fabs(weight));
            const uint16_t half = std::isfinite(most) ? scale_up(most / 127) : 0;
            const float scale = from_bf16(half), inverse = scale > 0 ? 1 / scale : 0;
            for (int64_t k = 0; k < 64; ++k)
                at[(k / 4 * kPanel + r) * 4 + k % 4] = uint8_t(quantised(w[k], inverse, -127, 127) + 128);
            std::memcpy(at + 64 * kPanel + r * 2, &half, 2);
            return;
        }
        case Format::q4: {
            const uint16_t half = scale_of_q4(w, 32);
            const float scale = from_bf16(half), inverse = scale != 0 ? 1 / scale : 0;
            for (int64_t k = 0; k < 32; k += 8)
                for (int64_t j = 0; j < 4; ++j) {
                    const int low = quantised(w[k + j], inverse, -8, 7) + 8;
                    const int high = quantised(w[k + 4 + j], inverse, -8, 7) + 8;
                    at[(k / 8 * kPanel + r) * 4 + j] = uint8_t(low | high << 4);
                }
            std::memcpy(at + 16 * kPanel + r * 2, &half, 2);
            return;
        }
    }
}

void pack(const Matrix &m, uint8_t *data, const float *const *rows) {
    const int64_t wide = group_inputs(m.format), block = 16 * wide;
    const float zeros[32] = {};
    for (int64_t p = 0; p < m.panels; ++p) {
        const float *const *of = rows + p * kPanel;
        uint8_t *at = data + p * m.panel_bytes();
        if (m.format == Format::q8 || m.format == Format::q4) {
            for (int64_t row = 0; row < kPanel; ++row)
                for (int64_t g = 0; g < m.groups; ++g)
                    pack_group(m, data, p * kPanel + row, g, of[row] ? of[row] + g * wide : nullptr,
                               std::min(wide, m.inputs - g * wide));
            continue;
        }
        // plain formats are only transposed: some inputs of all rows at a time, so that both sides stay in the cache
        for (int64_t first = 0; first < m.inputs; first += block) {
            const int64_t last = std::min(m.inputs, first + block);
            for (int64_t row = 0; row < kPanel; ++row) {
                const float *source = of[row] ? of[row] + first : zeros;
                for (int64_t k = first; k < last; ++k, ++source) {
                    if (m.format == Format::fp32) {
                        std::memcpy(at + (k * kPanel + row) * 4, source, 4);
                    } else {
                        const uint16_t half = to_bf16(*source);
                        std::memcpy(at + (k / 2 * kPanel + row) * 4 + k % 2 * 2, &half, 2);
                    }
                }
            }
        }
    }
}

void unpack_row(const Matrix &m, int64_t row, float *out) {
    const int64_t r = row % kPanel, wide = group_inputs(m.format);
    const uint8_t *at = m.data + row / kPanel * m.panel_bytes();
    for (int64_t first = 0; first < m.inputs; first += wide, at += group_bytes(m.format)) {
        const int64_t count = std::min(wide, m.inputs - first);
        switch (m.format) {
            case Format::fp32: std::memcpy(out + first, at + r * 4, 4); break;
            case Format::bf16:
                for (int64_t k = 0; k < count; ++k) {
                    uint16_t half;
                    std::memcpy(&half, at + r * 4 + k * 2, 2);
                    out[first + k] = from_bf16(half);
                }
                break;
            case Format::q8:
            case Format::q4: {
                const bool narrow = m.format == Format::q4;
                uint16_t half;
                std::memcpy(&half, at + (narrow ? 16 : 64) * kPanel + r * 2, 2);
                const float scale = from_bf16(half);
                for (int64_t k = 0; k < count; ++k) {
                    int q;
                    if (narrow) {
                        const uint8_t byte = at[(k / 8 * kPanel + r) * 4 + k % 4];
                        q = (k % 8 < 4 ? byte & 15 : byte >> 4) - 8;
                    } else {
                        q = int(at[(k / 4 * kPanel + r) * 4 + k % 4]) - 128;
                    }
                    out[first + k] = float(q) * scale;
                }
                break;
            }
        }
    }
}

}  // namespace nimllm
