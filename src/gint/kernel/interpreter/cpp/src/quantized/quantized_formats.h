// The formats, as the products read them: 4 weights of every lane from a packed block, and its
// scales and minima as floats.
//
// The weight of a byte q is scale * (q - EXCESS), or scale * q - minimum where there are minima, or
// scale * q for signed bytes. `value<HALF>(p, quad)` are the bytes of quad < 4 of a half of 32
// inputs, whose packed words begin at p (quantized_layout.h); `real` is byte n of it as a float.
#pragma once

#include "quantized/quantized_vectors.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// --- fields of bytes

inline Ints word(const uint8_t *p, int n) { return load(p + size_t(n) * LINE); }

template <int HALF> inline Ints nibble(const uint8_t *p, int n) {
    const Ints bytes = word(p, n);
    return (HALF ? (Ints)((Shorts)bytes >> 4) : bytes) & all(0x0f0f0f0f);
}
// Field n of WIDTH bits of every byte, at bit AT of the byte.
template <int WIDTH, int AT> inline Ints field(Ints bytes, int n) {
    constexpr int32_t MASK = 0x01010101 * (((1 << WIDTH) - 1) << AT);
    const int by = WIDTH * n - AT;
    const Words moved = by > 0 ? (Words)bytes >> by : (Words)bytes << -by;
    return (Ints)moved & all(MASK);
}
template <int HALF, int AT> inline Ints pair(const uint8_t *p, int n) {
    return field<2, AT>(word(p, HALF), n);
}
template <int HALF, int AT> inline Ints bit(const uint8_t *p, int n) {
    return field<1, AT>(word(p, 0), n + 4 * HALF);
}

// `real` where a byte is its own number.
template <class Values> struct Plain {
    template <int HALF> static inline Floats real(const uint8_t *p, int quad, int n) {
        const Ints bytes = Values::template value<HALF>(p, quad);
        return to_floats(Values::SIGNED ? (bytes << (24 - 8 * n)) >> 24 : (bytes >> (8 * n)) & 255);
    }
};

// Unsigned bytes, whose products with activations are added up so.
template <class Values, class Accumulator_> struct Unsigned : Plain<Values> {
    using Accumulator = Accumulator_;
    static constexpr bool SIGNED = false;
    static inline void dot(Accumulator &sum, Ints w, Ints a) { sum.unsigned_bytes(w, a); }
};

struct Nibbles : Unsigned<Nibbles, NibbleDot> {
    template <int HALF> static inline Ints value(const uint8_t *p, int n) {
        return nibble<HALF>(p, n);
    }
    template <int HALF> static inline Floats real(const uint8_t *p, int quad, int n) {
#if defined(__AVX512BW__)
        const __m512 numbers = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        // looks at the lowest 4 bits of a lane only (the mask: as in load_scales)
        const __m512i nibbles = (__m512i)((Words)word(p, quad) >> (8 * n + 4 * HALF));
        return (Floats)_mm512_maskz_permutexvar_ps(0xffff, nibbles, numbers);
#else
        return Plain<Nibbles>::real<HALF>(p, quad, n);
#endif
    }
};

struct FiveBits : Unsigned<FiveBits, SmallDot> {
    template <int HALF> static inline Ints value(const uint8_t *p, int n) {
        return nibble<HALF>(p + LINE, n) | bit<HALF, 4>(p, n);
    }
};

struct SixBits : Unsigned<SixBits, SmallDot> {
    template <int HALF> static inline Ints value(const uint8_t *p, int n) {
        return nibble<HALF>(p + 2 * LINE, n) | pair<HALF, 4>(p, n);
    }
};

struct TwoBits : Unsigned<TwoBits, NibbleDot> {
    template <int HALF> static inline Ints value(const uint8_t *p, int n) {
        return pair<HALF, 0>(p, n);
    }
};

struct ThreeBits : Unsigned<ThreeBits, NibbleDot> {
    template <int HALF> static inline Ints value(const uint8_t *p, int n) {
        return pair<HALF, 0>(p + LINE, n) | bit<HALF, 2>(p, n);
    }
};

struct Bytes : Plain<Bytes> {
    using Accumulator = SignedDot;
    static constexpr bool SIGNED = true;
    template <int HALF> static inline Ints value(const uint8_t *p, int n) {
        return word(p, n + 4 * HALF);
    }
    static inline void dot(Accumulator &sum, Ints w, Ints a) {
        sum.add(w ^ all(int32_t(0x01010101u * uint32_t(SIGNED_EXCESS))), a);
    }
};

struct Table : Plain<Table> {
    using Accumulator = SignedDot;
    static constexpr bool SIGNED = SIGNED_EXCESS == 0;
    template <int HALF> static inline Ints value(const uint8_t *p, int n) {
        // ggml-common.h, kvalues_iq4nl
        constexpr auto of = [](int value) { return uint8_t(value + SIGNED_EXCESS); };
        static constexpr uint8_t VALUES[16] = {
            of(-127), of(-104), of(-83), of(-65), of(-49), of(-35), of(-22), of(-10),
            of(1),    of(13),   of(25),  of(38),  of(53),  of(69),  of(89),  of(113),
        };
        return look_up(VALUES, nibble<HALF>(p, n));
    }
    static inline void dot(Accumulator &sum, Ints w, Ints a) { sum.add(w, a); }
};

// --- scales and minima: `scale[n][part]` of part n of a block, 32 or 16 inputs, for all lanes

// What a format is made of: HEADER words, then those of each 32 inputs, which have PARTS_OF_32
// scales.
template <QuantizedFormat FORMAT_, class Values_, size_t HEADER_, size_t PARTS_OF_32_,
          int32_t EXCESS_, bool HAS_MINIMA_>
struct Made {
    using Values = Values_;
    static constexpr QuantizedFormat FORMAT = FORMAT_;
    static constexpr size_t HEADER = HEADER_;
    static constexpr size_t PARTS_OF_32 = PARTS_OF_32_;
    static constexpr int32_t EXCESS = EXCESS_;
    static constexpr bool HAS_MINIMA = HAS_MINIMA_;
};

// A scale for 32 inputs, and for some a minimum, which GGUF adds and we subtract.
template <QuantizedFormat FORMAT, class Values, int32_t EXCESS, bool HAS_MINIMA>
struct Of32 : Made<FORMAT, Values, HAS_MINIMA, 1, EXCESS, HAS_MINIMA> {
    static inline void scales(const uint8_t *apart, const uint8_t *header, Floats (*scale)[PARTS],
                              Floats (*minimum)[PARTS]) {
        load_scales(HAS_MINIMA ? header : apart, scale[0]);
        if constexpr (HAS_MINIMA) {
            load_scales(header + LANES * 2, minimum[0]);
            for (size_t part = 0; part < PARTS; part++) minimum[0][part] = -minimum[0][part];
        }
    }
};

// d and dmin, and four words with eight scales and minima of 6 bits (superblocks.py, _six_bits).
template <QuantizedFormat FORMAT, class Values>
struct SixBitScales : Made<FORMAT, Values, 4, 1, 0, true> {
    static inline void scales(const uint8_t *, const uint8_t *header, Floats (*scale)[PARTS],
                              Floats (*minimum)[PARTS]) {
        Floats d[PARTS], dmin[PARTS];
        load_scales(header, d), load_scales(header + LANES * 2, dmin);
        const Ints six = all(0x3f3f3f3f), four = all(0x0f0f0f0f), upper = all(0x30303030);
        for (size_t part = 0; part < PARTS; part++) {
            const uint8_t *p = header + LINE + part * REGISTER;
            const Ints a = word(p, 0), b = word(p, 1), c = word(p, 2);
            const Ints of_scales[2] = {a & six, (c & four) | ((a >> 2) & upper)};
            const Ints of_minima[2] = {b & six, ((c >> 4) & four) | ((b >> 2) & upper)};
            for (int n = 0; n < 8; n++) {
                const int at = n % 4 * 8;
                scale[n][part] = d[part] * to_floats((of_scales[n / 4] >> at) & 63);
                minimum[n][part] = dmin[part] * to_floats((of_minima[n / 4] >> at) & 63);
            }
        }
    }
};

struct FormatQ2_K : Made<Q2_K, TwoBits, 5, 2, 0, true> {
    static inline void scales(const uint8_t *, const uint8_t *header, Floats (*scale)[PARTS],
                              Floats (*minimum)[PARTS]) {
        Floats d[PARTS], dmin[PARTS];
        load_scales(header, d), load_scales(header + LANES * 2, dmin);
        for (size_t part = 0; part < PARTS; part++) {
            for (int n = 0; n < 16; n++) {
                const Ints both = word(header + LINE + part * REGISTER, n / 4) >> (n % 4 * 8);
                scale[n][part] = d[part] * to_floats(both & 15);
                minimum[n][part] = dmin[part] * to_floats((both >> 4) & 15);
            }
        }
    }
};

struct FormatQ3_K : Made<Q3_K, ThreeBits, 3, 2, 4, false> {
    // 16 scales: the lower 4 bits in nibbles of two words, the upper 2 in pairs of a third.
    static inline void scales(const uint8_t *apart, const uint8_t *header, Floats (*scale)[PARTS],
                              Floats (*)[PARTS]) {
        Floats d[PARTS];
        load_scales(apart, d);
        for (size_t part = 0; part < PARTS; part++) {
            const uint8_t *p = header + part * REGISTER;
            for (int n = 0; n < 16; n++) {
                const Ints lower = word(p, n / 4 % 2) >> (n % 4 * 8 + n / 8 * 4);
                const Ints upper = word(p, 2) >> (n % 4 * 8 + n / 4 * 2);
                const Ints whole = ((lower & 15) | ((upper & 3) << 4)) - 32;
                scale[n][part] = d[part] * to_floats(whole);
            }
        }
    }
};

struct FormatQ6_K : Made<Q6_K, SixBits, 4, 2, 32, false> {
    static inline void scales(const uint8_t *apart, const uint8_t *header, Floats (*scale)[PARTS],
                              Floats (*)[PARTS]) {
        Floats d[PARTS];
        load_scales(apart, d);
        for (size_t part = 0; part < PARTS; part++)
            for (int n = 0; n < 16; n++) {
                const Ints bytes = word(header + part * REGISTER, n / 4);
                scale[n][part] = d[part] * to_floats((bytes << (24 - n % 4 * 8)) >> 24);
            }
    }
};

using FormatQ4_0 = Of32<Q4_0, Nibbles, 8, false>;
using FormatQ4_1 = Of32<Q4_1, Nibbles, 0, true>;
using FormatQ5_0 = Of32<Q5_0, FiveBits, 16, false>;
using FormatQ5_1 = Of32<Q5_1, FiveBits, 0, true>;
using FormatQ8_0 = Of32<Q8_0, Bytes, SIGNED_EXCESS, false>;
using FormatIQ4_NL = Of32<IQ4_NL, Table, SIGNED_EXCESS, false>;
using FormatQ4_K = SixBitScales<Q4_K, Nibbles>;
using FormatQ5_K = SixBitScales<Q5_K, FiveBits>;

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
