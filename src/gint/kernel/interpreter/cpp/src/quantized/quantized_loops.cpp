// The loops of quantised products. Compiled once per instruction set; everything lives in unnamed
// namespaces so that no symbol is shared between the sets.
#include "quantized/quantized_formats.h"
#include "quantized/quantized_layout.h"

namespace gint::GINT_SIMD_NAMESPACE {

const QuantizedTable *quantized_table();

namespace {

// --- products

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

// The products of a half of 32 inputs, or of all, in whole numbers: visits 4 weights at a time.
template <class Values, int HALF, int ROWS, class Sums>
inline void add_quads(Sums &sum, const uint8_t *words, const uint8_t *x) {
    constexpr int CHAINS = sizeof(sum[0]) / sizeof(sum[0][0]);
#pragma GCC unroll UNROLL
    for (int n = 0; n < 4; n++) {
        const Ints w = Values::template value<HALF>(words, n);
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++)
            Values::dot(sum[row][n % CHAINS], w,
                        all(read<int32_t>(x + row * 32 + HALF * 16 + n * 4)));
    }
}

template <int ROWS, class Accumulator, int CHAINS> struct Sums {
    Accumulator of[ROWS][CHAINS];

    // `first` has a number for every row, `pitch` bytes apart, or is null.
    inline void begin(const uint8_t *first, size_t pitch) {
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            of[row][0].begin(first ? read<int32_t>(first + row * pitch) : 0);
            if (CHAINS == 2) of[row][CHAINS - 1].begin(0);
        }
    }
    inline Floats total(int row) const {
        Ints whole = of[row][0].sum();
        if (CHAINS == 2) whole += of[row][CHAINS - 1].sum();
        return to_floats(whole);
    }
};

// total <- total + scale of x * (scale of the weights * sum of the integers), of each part of 32
// inputs, and less the minimum of the weights * scale of x * sum of x
template <class Format, int ROWS>
void product(size_t blocks, const uint8_t *group, const uint8_t *tile, float *out,
             ptrdiff_t out_stride, size_t lanes) {
    using Values = typename Format::Values;
    constexpr ActivationForm FORM = Sizes<Format>::FORM;
    constexpr int CHAINS = ROWS < 4 ? 2 : 1; // of additions, for their latency
    constexpr size_t PITCH = 4 * FORM.parts;
    Totals<ROWS> total;
    each_32<Format>(blocks, group, [&](const uint8_t *words, auto scale, auto minimum) {
        const uint8_t *scale_of_x = tile + ROWS * BLOCK, *of_sums = scale_of_x + ROWS * 4;
        const uint8_t *first = FORM.excess ? of_sums : nullptr;
#pragma GCC unroll 1
        for (size_t part = 0; part < PARTS; part++, words += REGISTER) {
            Sums<ROWS, typename Values::Accumulator, CHAINS> sum;
            sum.begin(first, PITCH);
            add_quads<Values, 0, ROWS>(sum.of, words, tile);
            if constexpr (FORM.parts == 1) {
                add_quads<Values, 1, ROWS>(sum.of, words, tile);
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++) {
                    const Floats both = scale[0][part] * all(read<float>(scale_of_x + row * 4));
                    total.add(row, part, sum.total(row), both);
                }
            } else {
                Floats scaled[ROWS];
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++) scaled[row] = sum.total(row) * scale[0][part];
                sum.begin(first ? first + 4 : nullptr, PITCH);
                add_quads<Values, 1, ROWS>(sum.of, words, tile);
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++) {
                    scaled[row] = multiply_add(sum.total(row), scale[1][part], scaled[row]);
                    total.add(row, part, scaled[row], all(read<float>(scale_of_x + row * 4)));
                }
            }
            if constexpr (FORM.has_minima)
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++)
                    for (size_t n = 0; n < FORM.parts; n++)
                        total.add(row, part, minimum[n][part],
                                  all(read<float>(of_sums + row * PITCH + n * 4)));
        }
        tile += ROWS * FORM.block_bytes();
    });
    total.store(out, out_stride, lanes);
}

// The same with x as it is: two partial sums for 32 inputs, for the latency of an addition.
template <class Format, int ROWS>
void product_f32(size_t blocks, const uint8_t *group, const uint8_t *tile, float *out,
                 ptrdiff_t out_stride, size_t lanes) {
    using Values = typename Format::Values;
    Totals<ROWS> total;
    each_32<Format>(blocks, group, [&](const uint8_t *words, auto scale, auto minimum) {
#pragma GCC unroll 1
        for (size_t part = 0; part < PARTS; part++, words += REGISTER) {
            Floats sum[ROWS][2] = {};
            const auto add_half = [&](auto half) {
                constexpr int HALF = decltype(half)::value;
                constexpr int N = Format::PARTS_OF_32 == 2 ? HALF : 0;
                const Floats of_part = scale[N][part];
                const Floats less =
                    Format::HAS_MINIMA ? minimum[N][part] : of_part * all(float(Format::EXCESS));
#pragma GCC unroll UNROLL
                for (int quad = 0; quad < 4; quad++) {
#pragma GCC unroll 4
                    for (int n = 0; n < 4; n++) {
                        const Floats value = Values::template real<HALF>(words, quad, n);
                        const Floats weight =
                            Values::SIGNED ? value * of_part : multiply_add(value, of_part, -less);
                        const uint8_t *x = tile + (HALF * 16 + quad * 4 + n) * sizeof(float);
#pragma GCC unroll 8
                        for (int row = 0; row < ROWS; row++)
                            sum[row][n % 2] = multiply_add(
                                weight, all(read<float>(x + row * BLOCK_FLOATS)), sum[row][n % 2]);
                    }
                }
            };
            add_half(std::integral_constant<int, 0>()), add_half(std::integral_constant<int, 1>());
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; row++) total.of[row][part] += sum[row][0] + sum[row][1];
        }
        tile += ROWS * BLOCK_FLOATS;
    });
    total.store(out, out_stride, lanes);
}

// --- activations in 8 bits

// Outside these a scale, its product with a weight's, or a sum would leave the normal float32
// numbers.
constexpr uint32_t LEAST = 0x12800000; // 2^-90
constexpr uint32_t MOST = 0x6c800000;  // 2^90

bool quantize(size_t blocks, size_t rows, size_t row, const ActivationForm &given, uint8_t *tile,
              const float *x) {
    const ActivationForm form = given; // (what is written might be it, for all the compiler knows)
    const size_t block_bytes = rows * form.block_bytes();
    uint8_t *values = tile + row * BLOCK, *scales = tile + rows * BLOCK + row * 4;
    uint8_t *of_sums = tile + rows * (BLOCK + 4) + row * form.parts * 4;
    bool fits = true;
    for (size_t block = 0; block < blocks; block++, x += BLOCK) {
        uint32_t bits[BLOCK], largest = 0; // magnitudes, ordered as integers are; NaN above all
        memcpy(bits, x, sizeof bits);
        for (size_t i = 0; i < BLOCK; i++) {
            const uint32_t magnitude = bits[i] & 0x7fffffff;
            largest = magnitude > largest ? magnitude : largest;
        }
        fits &= largest == 0 || (largest >= LEAST && largest <= MOST);
        float most;
        memcpy(&most, &largest, sizeof most);
        const float scale = most / 127, inverse = largest ? 127 / most : 0;
        uint32_t whole[BLOCK]; // unsigned: whatever NaN becomes here is not used, and may wrap
        int8_t bytes[BLOCK];
        for (size_t i = 0; i < BLOCK; i++) {
            const float shifted = x[i] * inverse + 0x1.8p23f; // the integer is in the low bits
            memcpy(&whole[i], &shifted, sizeof shifted);
            whole[i] -= 0x4b400000;
            bytes[i] = int8_t(whole[i]);
        }
        uint32_t sums[2] = {}; // of all, or of each half: adding up a register is what costs
        if (form.parts == 1) {
            for (size_t i = 0; i < BLOCK; i++) sums[0] += whole[i];
        } else {
            for (size_t i = 0; i < BLOCK / 2; i++) sums[0] += whole[i];
            for (size_t i = BLOCK / 2; i < BLOCK; i++) sums[1] += whole[i];
        }
        memcpy(values, bytes, BLOCK);
        memcpy(scales, &scale, sizeof scale);
        for (size_t part = 0; part < form.parts; part++) {
            const uint32_t of_excess = sums[part] * uint32_t(-form.excess);
            const float of_minima = -scale * float(int32_t(sums[part]));
            uint32_t held;
            memcpy(&held, &of_minima, sizeof held);
            if (!form.has_minima) held = of_excess;
            memcpy(of_sums + part * 4, &held, sizeof held);
        }
        values += block_bytes, scales += block_bytes, of_sums += block_bytes;
    }
    return fits;
}

uint64_t read_bytes(size_t bytes, const uint8_t *p) {
    Ints all[4] = {};
    size_t at = 0;
    for (; at + 4 * REGISTER <= bytes; at += 4 * REGISTER)
        for (size_t n = 0; n < 4; n++) all[n] ^= load(p + at + n * REGISTER);
    uint64_t parts[4 * REGISTER / 8], combined = 0;
    memcpy(parts, all, sizeof parts);
    for (uint64_t part : parts) combined ^= part;
    for (; at < bytes; at++) combined ^= p[at];
    return combined;
}

template <class Format>
constexpr QuantizedLoops LOOPS{
    Sizes<Format>::FORM,
    {product<Format, 1>, product<Format, 2>, product<Format, 4>, product<Format, 8>},
    {product_f32<Format, 1>, product_f32<Format, 2>, product_f32<Format, 4>,
     product_f32<Format, 8>},
    pack<Format::FORMAT>,
    unpack<Format::FORMAT>,
};

} // namespace

const QuantizedTable *quantized_table() {
    static constexpr QuantizedTable TABLE{
        8,
        {LOOPS<FormatQ4_0>, LOOPS<FormatQ4_1>, LOOPS<FormatQ5_0>, LOOPS<FormatQ5_1>,
         LOOPS<FormatQ8_0>, LOOPS<FormatIQ4_NL>, LOOPS<FormatQ2_K>, LOOPS<FormatQ3_K>,
         LOOPS<FormatQ4_K>, LOOPS<FormatQ5_K>, LOOPS<FormatQ6_K>},
        quantize,
        read_bytes,
    };
    return &TABLE;
}

} // namespace gint::GINT_SIMD_NAMESPACE
