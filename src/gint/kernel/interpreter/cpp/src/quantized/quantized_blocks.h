// What the products of all kinds go through a packed matrix by: sizes, blocks with their scales,
// and the totals of a group's lanes.
#pragma once

#include "quantized/quantized_formats.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

template <int ROWS> struct Totals {
    Floats of[ROWS][PARTS] = {};

    inline void add(int row, size_t part, Floats a, Floats b) {
        of[row][part] = multiply_add(a, b, of[row][part]);
    }

    inline void store(float *out, ptrdiff_t stride, size_t lanes) const {
        for (int row = 0; row < ROWS; row++) {
            float *to = out + row * stride;
            if (lanes == LANES)
                memcpy(to, of[row], LANES * sizeof(float));
            else
                memcpy(to, of[row], lanes * sizeof(float));
        }
    }
};

// What a format's blocks come to, in numbers.
template <class Format> struct Sizes {
    static constexpr QuantizedFacts FACTS = QUANTIZED_FACTS[Format::FORMAT];
    static constexpr size_t BLOCKS = FACTS.block / BLOCK; // of 32 inputs in a block
    static constexpr size_t SCALED = BLOCKS * Format::PARTS_OF_32;
    static constexpr size_t HEADER_BYTES = Format::HEADER * LINE;
    static constexpr size_t BYTES_OF_32 = (FACTS.words() - Format::HEADER) / BLOCKS * LINE;
    static constexpr ActivationForm FORM{Format::PARTS_OF_32, Format::EXCESS, Format::HAS_MINIMA};
};

// How far weights are asked for ahead: beside what there is to do with them, the processor does not
// look far enough by itself (docs/performance.md).
constexpr size_t AHEAD = 8192;

inline void ask_ahead(const uint8_t *p, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(p + AHEAD + at);
}

// Goes through the blocks of a group: visit(words of 32 inputs, their scales, their minima).
template <class Format, class Visit>
inline void each_32(size_t blocks, const uint8_t *group, Visit visit) {
    using S = Sizes<Format>;
    constexpr size_t BYTES = S::FACTS.words() * LINE;
    for (size_t block = 0; block < blocks; block++) {
        const size_t half = block % 2;
        const uint8_t *words = group;
        if constexpr (S::FACTS.has_apart()) {
            if (!half) ask_ahead(group, SCALES);
            words += SCALES + half * BYTES;
        }
        Floats scale[S::SCALED][PARTS], minimum[S::SCALED][PARTS];
        Format::scales(group + half * LANES * 2, words, scale, minimum);
        ask_ahead(words, S::HEADER_BYTES);
        words += S::HEADER_BYTES;
#pragma GCC unroll 1
        for (size_t n = 0; n < S::BLOCKS; n++) {
            const uint8_t *of_32 = words + n * S::BYTES_OF_32;
            ask_ahead(of_32, S::BYTES_OF_32);
            visit(of_32, scale + n * Format::PARTS_OF_32, minimum + n * Format::PARTS_OF_32);
        }
        if constexpr (!S::FACTS.has_apart())
            group += BYTES;
        else if (half)
            group += SCALES + 2 * BYTES;
    }
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
