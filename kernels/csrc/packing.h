// How weights lie in memory and on disk: one layout for all instruction sets.
//
// A [rows, inputs] matrix is cut into panels of 64 rows. A panel goes through its inputs in groups, and holds for each
// group the 64 rows' weights side by side, so that one vector holds the same inputs of neighbouring rows, a product
// needs no horizontal sum, and memory is read in one forward stream:
//
//   fp32  group of 1:   [64] float
//   bf16  group of 2:   [64][2] bfloat16 (what vdpbf16ps multiplies)
//   q8    group of 64:  [16][64][4] uint8 = round(w / scale) + 128, then [64] bfloat16 scales      8.25 bits a weight
//   q4    group of 32:  [4][64][4] uint8, then [64] bfloat16 scales                                 4.5 bits a weight
//         byte j of step i holds inputs 8i + j (low half) and 8i + 4 + j (high half), each round(w / scale) + 8
//
// The offsets make the stored values unsigned, which is what vpdpbusd wants of one of its operands; the sum of the
// activations of a group takes them out again. Padding rows and inputs are zero weights. A panel's size is a multiple
// of a cache line in every format.
#pragma once

#include <cstdint>

namespace nimllm {

enum class Format : int { fp32 = 0, bf16 = 1, q8 = 2, q4 = 3 };

constexpr int64_t kPanel = 64;

constexpr int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

constexpr int64_t group_inputs(Format f) {
    return f == Format::fp32 ? 1 : f == Format::bf16 ? 2 : f == Format::q8 ? 64 : 32;
}

constexpr int64_t group_bytes(Format f) {  // of one panel
    return f == Format::fp32   ? kPanel * 4
           : f == Format::bf16 ? kPanel * 4
           : f == Format::q8   ? kPanel * (64 + 2)
                               : kPanel * (16 + 2);
}

struct Matrix {
    const uint8_t *data = nullptr;  // [panels][groups] as above
    const float *bias = nullptr;    // [rows padded to panels], or null
    Format format = Format::fp32;
    int64_t rows = 0, inputs = 0, panels = 0, groups = 0;

    int64_t panel_bytes() const { return groups * group_bytes(format); }
    int64_t bytes() const { return panels * panel_bytes(); }
};

// The shape of a matrix; its data and bias are still null.
inline Matrix matrix_of(Format format, int64_t rows, int64_t inputs) {
    Matrix m;
    m.format = format;
    m.rows = rows;
    m.inputs = inputs;
    m.panels = (rows + kPanel - 1) / kPanel;
    m.groups = (inputs + group_inputs(format) - 1) / group_inputs(format);
    return m;
}

// Writes one group of one row: `count` weights from source (fewer than a group at a row's end; null: a padding row).
void pack_group(const Matrix &m, uint8_t *data, int64_t row, int64_t group, const float *source, int64_t count);
// Writes the whole matrix: rows[r] has the inputs of packed row r, or is null.
void pack(const Matrix &m, uint8_t *data, const float *const *rows);
// A row's inputs in fp32.
void unpack_row(const Matrix &m, int64_t row, float *out);

inline uint16_t to_bf16(float value) {  // round to nearest, ties to even
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u);  // a NaN stays one
    return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float from_bf16(uint16_t half) {
    const uint32_t bits = uint32_t(half) << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

}  // namespace nimllm
