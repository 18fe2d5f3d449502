// The loops of quantised products. Compiled once per instruction set; everything lives in unnamed
// namespaces so that no symbol is shared between the sets.
#include "quantized/quantized_vectors.h"

namespace gint::GINT_SIMD_NAMESPACE {

const QuantizedTable *quantized_table();

namespace {

// --- formats: `quads` visits the bytes of a block's part of the lanes as (values of 4 inputs,
// which quad of the activations they meet); `inputs` visits them as (values of one input, which).

struct FormatQ40 {
    using Accumulator = UnsignedDot;
    static constexpr QuantizedFormat FORMAT = Q40;
    static constexpr int32_t EXCESS = 8;

    template <class Visit> static inline void quads(const uint8_t *p, Visit visit) {
        const Ints nibble = all(0x0f0f0f0f);
#pragma GCC unroll UNROLL
        for (int quad = 0; quad < 4; quad++) {
            const Ints bytes = load(p + size_t(quad) * 64);
            visit(bytes & nibble, quad);
            visit((Ints)((Shorts)bytes >> 4) & nibble, quad + 4);
        }
    }
    static inline void dot(Accumulator &sum, Ints w, Ints a) { sum.unsigned_bytes(w, a); }

    template <class Visit> static inline void inputs(const uint8_t *p, Visit visit) {
#pragma GCC unroll UNROLL
        for (int quad = 0; quad < 4; quad++) {
            const Ints bytes = load(p + size_t(quad) * 64);
#pragma GCC unroll 8
            for (int n = 0; n < 8; n++)
                visit(value(bytes, 4 * n), (n % 2) * 16 + 4 * quad + n / 2, n % 2);
        }
    }
    static inline Floats value(Ints bytes, int shift) {
#if defined(__AVX512BW__)
        const __m512 values =
            _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
        // looks at the lowest 4 bits of a lane only (the mask: as in load_scales)
        const __m512i nibbles = (__m512i)((Words)bytes >> shift);
        return (Floats)_mm512_maskz_permutexvar_ps(0xffff, nibbles, values);
#else
        return to_floats(((bytes >> shift) & 15) - 8);
#endif
    }
};

struct FormatQ80 {
    using Accumulator = SignedDot;
    static constexpr QuantizedFormat FORMAT = Q80;
    static constexpr int32_t EXCESS = Q80_EXCESS;

    template <class Visit> static inline void quads(const uint8_t *p, Visit visit) {
#pragma GCC unroll UNROLL
        for (int quad = 0; quad < 8; quad++) visit(load(p + size_t(quad) * 64), quad);
    }
    static inline void dot(Accumulator &sum, Ints w, Ints a) { sum.signed_bytes(w, a); }

    template <class Visit> static inline void inputs(const uint8_t *p, Visit visit) {
#pragma GCC unroll UNROLL
        for (int quad = 0; quad < 8; quad++) {
            const Ints bytes = load(p + size_t(quad) * 64);
#pragma GCC unroll 4
            for (int n = 0; n < 4; n++)
                visit(to_floats((bytes << (24 - 8 * n)) >> 24), 4 * quad + n, n % 2);
        }
    }
};

// --- products

template <int ROWS> struct Totals {
    Floats of[ROWS][PARTS] = {};

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

// total <- total + (scale of the weights * scale of x) * sum of the integers, block by block
template <class Format, int ROWS>
void product(size_t blocks, const uint8_t *group, const uint8_t *tile, float *out,
             ptrdiff_t out_stride, size_t lanes) {
    constexpr size_t BYTES = QUANTIZED_FACTS[Format::FORMAT].block;
    constexpr int CHAINS = ROWS < 4 ? 2 : 1; // of additions, for their latency
    Totals<ROWS> total;
    for (size_t block = 0; block < blocks; block++, tile += ROWS * BLOCK_BYTES) {
        const size_t half = block % 2;
        const uint8_t *weights = group + PAIR_SCALES + half * BYTES;
        const uint8_t *scale_of_x = tile + ROWS * BLOCK, *first = scale_of_x + ROWS * 4;
        Floats scale[PARTS];
        load_scales(group + half * LANES * 2, scale);
#pragma GCC unroll 1
        for (size_t part = 0; part < PARTS; part++) {
            typename Format::Accumulator sum[ROWS][CHAINS];
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; row++) {
                sum[row][0].begin(read<int32_t>(first + row * 4));
                if (CHAINS == 2) sum[row][CHAINS - 1].begin(0);
            }
            Format::quads(weights + part * REGISTER, [&](Ints bytes, int quad) {
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++)
                    Format::dot(sum[row][quad % CHAINS], bytes,
                                all(read<int32_t>(tile + row * 32 + quad * 4)));
            });
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; row++) {
                Ints whole = sum[row][0].sum();
                if (CHAINS == 2) whole += sum[row][CHAINS - 1].sum();
                const Floats both = scale[part] * all(read<float>(scale_of_x + row * 4));
                total.of[row][part] = multiply_add(to_floats(whole), both, total.of[row][part]);
            }
        }
        if (half) group += PAIR_SCALES + 2 * BYTES;
    }
    total.store(out, out_stride, lanes);
}

// The same with x as it is: two partial sums a block, for the latency of an addition.
template <class Format, int ROWS>
void product_f32(size_t blocks, const uint8_t *group, const uint8_t *tile, float *out,
                 ptrdiff_t out_stride, size_t lanes) {
    constexpr size_t BYTES = QUANTIZED_FACTS[Format::FORMAT].block;
    Totals<ROWS> total;
    for (size_t block = 0; block < blocks; block++, tile += ROWS * BLOCK_FLOATS) {
        const size_t half = block % 2;
        const uint8_t *weights = group + PAIR_SCALES + half * BYTES;
        Floats scale[PARTS];
        load_scales(group + half * LANES * 2, scale);
#pragma GCC unroll 1
        for (size_t part = 0; part < PARTS; part++) {
            Floats sum[ROWS][2] = {};
            Format::inputs(weights + part * REGISTER, [&](Floats value, int input, int which) {
                const Floats weight = value * scale[part];
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++) {
                    const float x = read<float>(tile + size_t(row) * BLOCK_FLOATS + input * 4);
                    sum[row][which] = multiply_add(weight, all(x), sum[row][which]);
                }
            });
#pragma GCC unroll 8
            for (int row = 0; row < ROWS; row++) total.of[row][part] += sum[row][0] + sum[row][1];
        }
        if (half) group += PAIR_SCALES + 2 * BYTES;
    }
    total.store(out, out_stride, lanes);
}

// --- activations in 8 bits

// Outside these a scale, or its product with a float16, would leave the normal float32 numbers.
constexpr uint32_t LEAST = 0x12800000; // 2^-90
constexpr uint32_t MOST = 0x71800000;  // 2^100

bool quantize(size_t blocks, size_t rows, size_t row, int32_t excess, uint8_t *tile,
              const float *x) {
    bool fits = true;
    for (size_t block = 0; block < blocks; block++, x += BLOCK, tile += rows * BLOCK_BYTES) {
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
        int8_t values[BLOCK];
        uint32_t sum = 0; // unsigned: whatever NaN becomes here is not used, and may wrap
        for (size_t i = 0; i < BLOCK; i++) {
            const float shifted = x[i] * inverse + 0x1.8p23f; // the integer is in the low bits
            uint32_t value;
            memcpy(&value, &shifted, sizeof value);
            value -= 0x4b400000;
            values[i] = int8_t(value), sum += value;
        }
        sum *= uint32_t(-excess);
        memcpy(tile + row * BLOCK, values, BLOCK);
        memcpy(tile + rows * BLOCK + row * 4, &scale, sizeof scale);
        memcpy(tile + rows * (BLOCK + 4) + row * 4, &sum, sizeof sum);
    }
    return fits;
}

// --- packing

typedef uint32_t Four __attribute__((vector_size(16)));

// 16 bytes of each of four rows, `pitch` apart, as four quads of four lanes, 64 bytes apart.
inline void transpose(uint8_t *to, const uint8_t *from, size_t pitch) {
    Four row[4];
    for (size_t i = 0; i < 4; i++) memcpy(&row[i], from + i * pitch, 16);
    const Four a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const Four b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const Four c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const Four d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    const Four quad[4] = {
        __builtin_shufflevector(a, b, 0, 1, 4, 5),
        __builtin_shufflevector(a, b, 2, 3, 6, 7),
        __builtin_shufflevector(c, d, 0, 1, 4, 5),
        __builtin_shufflevector(c, d, 2, 3, 6, 7),
    };
    for (size_t i = 0; i < 4; i++) memcpy(to + i * 64, &quad[i], 16);
}

template <class Format>
void pack(size_t blocks, size_t lanes, uint8_t *group, const uint8_t *rows, size_t pitch) {
    constexpr size_t BYTES = QUANTIZED_FACTS[Format::FORMAT].block;
    constexpr size_t ROW_BLOCK = QUANTIZED_FACTS[Format::FORMAT].row_block;
    constexpr size_t PAIR = PAIR_SCALES + 2 * BYTES;
    if (blocks && (lanes < LANES || blocks % 2)) memset(group, 0, (blocks + 1) / 2 * PAIR);
    for (size_t block = 0; block < blocks; block++, rows += ROW_BLOCK) {
        uint8_t *pair = group + block / 2 * PAIR;
        uint8_t *scales = pair + block % 2 * LANES * 2;
        uint8_t *bytes = pair + PAIR_SCALES + block % 2 * BYTES;
        for (size_t lane = 0; lane < lanes; lane++)
            memcpy(scales + lane * 2, rows + lane * pitch, 2);
        size_t lane = 0;
        for (; lane + 4 <= lanes; lane += 4)
            for (size_t at = 0; at < BYTES / LANES; at += 16)
                transpose(bytes + at * LANES + lane * 4, rows + lane * pitch + 2 + at, pitch);
        for (; lane < lanes; lane++)
            for (size_t at = 0; at < BYTES / LANES; at += 4)
                memcpy(bytes + at * LANES + lane * 4, rows + lane * pitch + 2 + at, 4);
    }
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
    Format::EXCESS,
    {product<Format, 1>, product<Format, 2>, product<Format, 4>, product<Format, 8>},
    {product_f32<Format, 1>, product_f32<Format, 2>, product_f32<Format, 4>,
     product_f32<Format, 8>},
    pack<Format>,
};

} // namespace

const QuantizedTable *quantized_table() {
    static constexpr QuantizedTable TABLE{
        8,
        {LOOPS<FormatQ40>, LOOPS<FormatQ80>},
        quantize,
        read_bytes,
    };
    return &TABLE;
}

} // namespace gint::GINT_SIMD_NAMESPACE
