// Quantised products: the layout of packed weights, and the loops that an instruction set offers.
// Filled by quantized_loops.cpp, once per instruction set; read by quantized.cpp.
//
// As loop_table.h: all that units of different instruction sets share, so plain structs only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gint {

// The order is that of gint.quantized.formats.FORMATS.
enum QuantizedFormat : uint8_t { Q40, Q80, QUANTIZED_FORMATS };

// Weights are quantised in blocks of 32 values along the input. Packed, the blocks of 16 output
// rows (lanes) are interleaved, so that one vector register meets 4 inputs of every lane:
//
//   group of 16 output rows
//     pair of neighbouring blocks
//       scale   float16 [2 blocks][16 lanes]
//       block 0 [4 or 8 quads][16 lanes][4 bytes]
//       block 1
//
// A quad of Q80 is 4 values; one of Q40 is 4 bytes as GGUF has them: the low nibbles are 4 values
// of the block's first half, the high ones 4 of its second. A pair is a multiple of 64 bytes. Rows
// beyond the last, and a block beyond an odd number of them, are zeros.
constexpr size_t BLOCK = 32;
constexpr size_t LANES = 16;
constexpr size_t PAIR_SCALES = 2 * LANES * 2;

struct QuantizedFacts {
    const char *name;
    size_t row_block; // bytes of a block in GGUF's rows: float16 scale, values
    size_t block;     // bytes of the same values of all lanes, packed
};
constexpr QuantizedFacts QUANTIZED_FACTS[QUANTIZED_FORMATS] = {
    {"Q40", 18, 16 * LANES},
    {"Q80", 34, 32 * LANES},
};
constexpr size_t pair_bytes(QuantizedFormat format) {
    return PAIR_SCALES + 2 * QUANTIZED_FACTS[format].block;
}

// Activations of up to MAX_TILE rows of x (a tile), the layout that the loops read.
// As float32: [block][row][32]. In 8 bits, per block:
//   int8  [row][32]    values
//   f32   [row]        scale
//   i32   [row]        what the excess of the loops' weights over their value makes of the row
constexpr size_t MAX_TILE = 8; // a power of 2, as are the rows of every tile
constexpr size_t TILE_SIZES = 4;
constexpr size_t BLOCK_FLOATS = BLOCK * sizeof(float);
constexpr size_t BLOCK_BYTES = BLOCK + sizeof(float) + sizeof(int32_t);

// out[row * out_stride + lane] <- the products of a tile with one group, for lane < lanes;
// `blocks` is even, `tile` aligned to 4 bytes.
using ProductFn = void (*)(size_t blocks, const uint8_t *group, const uint8_t *tile, float *out,
                           ptrdiff_t out_stride, size_t lanes);

struct QuantizedLoops {
    int32_t excess;                    // of the 8-bit product's weights over their value
    ProductFn product[TILE_SIZES];     // by log2 of the tile's rows; activations in 8 bits
    ProductFn product_f32[TILE_SIZES]; // activations as float32
    // A group from `lanes` rows of `blocks` blocks, `pitch` bytes apart, as GGUF has them.
    void (*pack)(size_t blocks, size_t lanes, uint8_t *group, const uint8_t *rows, size_t pitch);
};

struct QuantizedTable {
    size_t max_tile; // the most rows of a tile that these loops do well
    QuantizedLoops loops[QUANTIZED_FORMATS];
    // One row of a tile in 8 bits, per block x ~ scale * value, |value| <= 127. False where a block
    // has no such scale (a value not finite, or all of them too small or large).
    bool (*quantize)(size_t blocks, size_t rows, size_t row, int32_t excess, uint8_t *tile,
                     const float *x);
    // All bytes, combined: how fast memory can be read.
    uint64_t (*read)(size_t bytes, const uint8_t *p);
};

} // namespace gint
