// The loops of quantised products with float32 activations, of packing matrices, and of rounding
// activations to 8 bits. Compiled once per instruction set that has interpreter loops of its own;
// everything lives in unnamed namespaces so that no symbol is shared between the sets.
#include "quantized/quantized_blocks.h"
#include "quantized/quantized_layout.h"

namespace gint::GINT_SIMD_NAMESPACE {

const QuantizedF32Table *quantized_f32_table();

namespace {

// total <- total + x * weight, x being as it is: two partial sums for 32 inputs, for the latency of
// an addition.
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

template <class Format>
void decode(size_t blocks, size_t lane, const uint8_t *group, float *values) {
    using Values = typename Format::Values;
    const size_t part = lane / (LANES / PARTS), at = lane % (LANES / PARTS);
    each_32<Format>(blocks, group, [&](const uint8_t *words, auto scale, auto minimum) {
        const auto decode_half = [&](auto half) {
            constexpr int HALF = decltype(half)::value;
            constexpr int N = Format::PARTS_OF_32 == 2 ? HALF : 0;
            const float of_part = scale[N][part][at];
            const float less = Format::HAS_MINIMA ? minimum[N][part][at] : 0;
            for (int quad = 0; quad < 4; quad++) {
#pragma GCC unroll 4
                for (int n = 0; n < 4; n++) {
                    const Floats all_lanes =
                        Values::template real<HALF>(words + part * REGISTER, quad, n);
                    float value = all_lanes[at];
                    if (!Values::SIGNED && !Format::HAS_MINIMA) value -= float(Format::EXCESS);
                    *values++ = value * of_part - less;
                }
            }
        };
        decode_half(std::integral_constant<int, 0>()),
            decode_half(std::integral_constant<int, 1>());
    });
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
constexpr QuantizedF32Loops F32_LOOPS{
    {product_f32<Format, 1>, product_f32<Format, 2>, product_f32<Format, 4>,
     product_f32<Format, 8>},
    pack<Format::FORMAT>,
    unpack<Format::FORMAT>,
    decode<Format>,
};

} // namespace

const QuantizedF32Table *quantized_f32_table() {
    static constexpr QuantizedF32Table TABLE{
        {F32_LOOPS<FormatQ4_0>, F32_LOOPS<FormatQ4_1>, F32_LOOPS<FormatQ5_0>, F32_LOOPS<FormatQ5_1>,
         F32_LOOPS<FormatQ8_0>, F32_LOOPS<FormatIQ4_NL>, F32_LOOPS<FormatQ2_K>,
         F32_LOOPS<FormatQ3_K>, F32_LOOPS<FormatQ4_K>, F32_LOOPS<FormatQ5_K>,
         F32_LOOPS<FormatQ6_K>},
        quantize,
        read_bytes,
    };
    return &TABLE;
}

} // namespace gint::GINT_SIMD_NAMESPACE
