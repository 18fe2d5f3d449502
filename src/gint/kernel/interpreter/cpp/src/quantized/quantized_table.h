// Quantised products: the layout of packed weights, and the loops that an instruction set offers.
// Filled by quantized_loops.cpp and quantized_f32_loops.cpp, once per instruction set; read by
// quantized.cpp.
//
// As loop_table.h: all that units of different instruction sets share, so plain structs only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gint {

// By the names of gint.quantized.formats.FORMATS.
enum QuantizedFormat : uint8_t {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    IQ4_NL,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    QUANTIZED_FORMATS
};

// Packed, the blocks of 16 output rows (lanes) are interleaved by words of 4 bytes, so that one
// vector register meets 4 inputs of every lane:
//
//   group of 16 output rows
//     block of 32 or 256 inputs
//       [words][16 lanes][4 bytes]    headers first, then the words of 32 inputs after those of 32
//
// Where a block is 2 bytes more than whole words, those are a float16 scale, and stand apart:
//
//   group of 16 output rows
//     pair of neighbouring blocks
//       scale   float16 [2 blocks][16 lanes]
//       block 0 [words][16 lanes][4 bytes]
//       block 1                         (absent at the end of an odd number)
//
// All are whole cache lines, and no more of them than the rows had bytes. Lanes beyond the last row
// are zeros. How the words of a block are made from GGUF's is in quantized_layout.h.
constexpr size_t LANES = 16;
constexpr size_t LINE = LANES * 4; // bytes of a word of all lanes
constexpr size_t SCALES = 2 * LANES * 2;

constexpr size_t NOWHERE = ~size_t(0);

struct QuantizedFacts {
    const char *name;
    size_t block;     // values
    size_t row_block; // bytes of a block in GGUF's rows
    size_t apart;     // where in it the float16 is that stands apart, or NOWHERE

    constexpr size_t words() const { return row_block / 4; }
    constexpr size_t first_word() const { return apart == 0 ? 2 : 0; }
    constexpr bool has_apart() const { return apart != NOWHERE; }
    // Packed, of all lanes.
    constexpr size_t group_bytes(size_t blocks) const {
        return blocks * words() * LINE + (has_apart() ? (blocks + 1) / 2 * SCALES : 0);
    }
    constexpr size_t words_at(size_t n) const {
        return n * words() * LINE + (has_apart() ? (n / 2 + 1) * SCALES : 0);
    }
    constexpr size_t scales_at(size_t n) const {
        return group_bytes(n / 2 * 2) + n % 2 * LANES * 2;
    }
};
constexpr QuantizedFacts QUANTIZED_FACTS[QUANTIZED_FORMATS] = {
    {"Q4_0", 32, 18, 0},         {"Q4_1", 32, 20, NOWHERE}, {"Q5_0", 32, 22, 0},
    {"Q5_1", 32, 24, NOWHERE},   {"Q8_0", 32, 34, 0},       {"IQ4_NL", 32, 18, 0},
    {"Q2_K", 256, 84, NOWHERE},  {"Q3_K", 256, 110, 108},   {"Q4_K", 256, 144, NOWHERE},
    {"Q5_K", 256, 176, NOWHERE}, {"Q6_K", 256, 210, 208},
};

// Activations of up to MAX_TILE rows of x (a tile), the layout that the loops read.
// As float32: [block of 32][row][32]. In 8 bits, per block of 32:
//   int8  [row][32]     values
//   f32   [row]         scale
//   4 b   [row][parts]  of the sum of the values of each part, see ActivationForm
constexpr size_t BLOCK = 32;
constexpr size_t MAX_TILE = 8; // a power of 2, as are the rows of every tile
constexpr size_t TILE_SIZES = 4;
constexpr size_t BLOCK_FLOATS = BLOCK * sizeof(float);

// What the loops of a format want to know of sums of activations in 8 bits.
struct ActivationForm {
    size_t parts;    // of a block, 1 or 2: as many as scales
    int32_t excess;  // of the product's weights over their value: int32, -excess * sum
    bool has_minima; // or float32, -scale * sum, which weights' minima are multiplied by

    constexpr size_t block_bytes() const { return BLOCK + 4 + 4 * parts; }
};

// out[row * out_stride + lane] <- the products of a tile with one group, for lane < lanes;
// `blocks` are the format's; `tile` is aligned to 4 bytes.
using ProductFn = void (*)(size_t blocks, const uint8_t *group, const uint8_t *tile, float *out,
                           ptrdiff_t out_stride, size_t lanes);

// With activations in 8 bits.
struct QuantizedLoops {
    ActivationForm form;
    ProductFn product[TILE_SIZES]; // by log2 of the tile's rows
};

struct QuantizedTable {
    size_t max_tile; // the most rows of a tile that these loops do well
    QuantizedLoops loops[QUANTIZED_FORMATS];
};

// With activations as float32.
struct QuantizedF32Loops {
    ProductFn product[TILE_SIZES];
    // A group from `lanes` rows of `blocks` blocks, `pitch` bytes apart, as GGUF has them.
    void (*pack)(size_t blocks, size_t lanes, uint8_t *group, const uint8_t *rows, size_t pitch);
    // The rows of lanes from `first` on.
    void (*unpack)(size_t blocks, size_t first, size_t lanes, const uint8_t *group, uint8_t *rows,
                   size_t pitch);
    // The values of one lane's row, with the bits that gint.quantized gives them.
    void (*decode)(size_t blocks, size_t lane, const uint8_t *group, float *values);
};

struct QuantizedF32Table {
    QuantizedF32Loops loops[QUANTIZED_FORMATS];
    // One row of a tile in 8 bits, per block of 32 x ~ scale * value, |value| <= 127. False where a
    // block has no such scale (a value not finite, or all of them too small or large).
    bool (*quantize)(size_t blocks, size_t rows, size_t row, const ActivationForm &form,
                     uint8_t *tile, const float *x);
    // All bytes, combined: how fast memory can be read.
    uint64_t (*read)(size_t bytes, const uint8_t *p);
};

} // namespace gint
