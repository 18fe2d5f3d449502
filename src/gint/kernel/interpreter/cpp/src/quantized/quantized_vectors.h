// Vector registers of an instruction set, as the quantised products need them: how many it takes
// for 16 lanes of 4 bytes, and the product of 4 bytes with 4 bytes in every lane.
#pragma once

#include <stdint.h>
#include <string.h>

#include "loops/half_rows.h"
#include "quantized/quantized_table.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

#if defined(__AVX512BW__)
constexpr size_t REGISTER = 64; // bytes
#elif defined(__AVX2__)
constexpr size_t REGISTER = 32;
#else
constexpr size_t REGISTER = 16;
#endif
constexpr size_t PARTS = LINE / REGISTER; // registers of 16 lanes
// Of the loop over the quads of a block. With 16 registers gcc would load the activations of a
// whole block first, and spill them.
constexpr int UNROLL = REGISTER == 64 ? 8 : 1;

typedef int32_t Ints __attribute__((vector_size(REGISTER), may_alias));
typedef uint32_t Words __attribute__((vector_size(REGISTER)));
typedef int16_t Shorts __attribute__((vector_size(REGISTER)));
typedef float Floats __attribute__((vector_size(REGISTER)));

inline Ints load(const uint8_t *p) {
    Ints x;
    memcpy(&x, p, REGISTER);
    return x;
}
// The same 4 bytes, or number, in every lane.
inline Ints all(int32_t x) { return x - Ints{}; }
inline Floats all(float x) { return x - Floats{}; }
template <class T> inline T read(const uint8_t *p) {
    T x;
    memcpy(&x, p, sizeof x);
    return x;
}

inline Floats to_floats(Ints x) { return __builtin_convertvector(x, Floats); }

inline Floats multiply_add(Floats a, Floats b, Floats c) {
#if defined(__AVX512BW__)
    return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (Floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

// The scales of 16 lanes, from float16.
inline void load_scales(const uint8_t *p, Floats (&scale)[PARTS]) {
#if defined(__AVX512BW__)
    // (the form without a mask makes gcc 12 warn of a variable of its own)
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
    scale[0] = (Floats)_mm512_maskz_cvtph_ps(0xffff, halves);
#else
    uint16_t halves[LANES];
    float floats[LANES];
    memcpy(halves, p, sizeof halves);
    gi_f16_to_f32_rows(LANES, halves, floats);
    memcpy(scale, floats, sizeof floats);
#endif
}

// Entry w of 16 bytes, for every byte w < 16.
inline Ints look_up(const uint8_t (&table)[16], Ints w) {
#if defined(__AVX512BW__)
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i *>(table));
    return (Ints)_mm512_shuffle_epi8(_mm512_maskz_broadcast_i32x4(0xffff, entries), (__m512i)w);
#elif defined(__AVX2__)
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i *>(table));
    return (Ints)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), (__m256i)w);
#elif defined(__SSSE3__)
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i *>(table));
    return (Ints)_mm_shuffle_epi8(entries, (__m128i)w);
#elif defined(__aarch64__)
    return (Ints)vqtbl1q_u8(vld1q_u8(table), (uint8x16_t)w);
#else
    uint8_t bytes[REGISTER];
    memcpy(bytes, &w, REGISTER);
    for (uint8_t &byte : bytes) byte = table[byte];
    return load(bytes);
#endif
}

// --- acc + w[0] a[0] + ... + w[3] a[3] in every lane, for bytes w, and signed bytes a above -128.
// An accumulator lives for at most 8 quads; all arithmetic is exact. Nibbles are unsigned bytes
// below 16, SmallDot's below 64; SignedDot's are signed. With AVX-512 VNNI all are unsigned: signed
// ones have an excess of 128 over their value there.

#if defined(__AVX512VNNI__)

constexpr int32_t SIGNED_EXCESS = 128; // the instruction wants unsigned weights

struct Dot {
    Ints acc;
    void begin(int32_t first) { acc = all(first); }
    void unsigned_bytes(Ints w, Ints a) {
        acc = (Ints)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, (__m512i)a);
    }
    void add(Ints w, Ints a) { unsigned_bytes(w, a); }
    Ints sum() const { return acc; }
};
using NibbleDot = Dot;
using SmallDot = Dot;
using SignedDot = Dot;

#elif defined(__SSSE3__)

constexpr int32_t SIGNED_EXCESS = 0;

#if defined(__AVX512BW__)
#define GI_VECTOR(NAME) _mm512_##NAME
typedef __m512i Vector;
inline Vector with_sign_of(Vector w, Vector a) {
    return _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(w), _mm512_setzero_si512(), a);
}
#elif defined(__AVX2__)
#define GI_VECTOR(NAME) _mm256_##NAME
typedef __m256i Vector;
inline Vector with_sign_of(Vector w, Vector a) { return _mm256_sign_epi8(a, w); }
#else
#define GI_VECTOR(NAME) _mm_##NAME
typedef __m128i Vector;
inline Vector with_sign_of(Vector w, Vector a) { return _mm_sign_epi8(a, w); }
#endif

inline Ints sum_of_pairs(Vector x) {
    return (Ints)GI_VECTOR(madd_epi16)(x, (Vector)(Shorts{} + 1));
}

// 8 times two products are at most 8 * 2 * 15 * 127 = 30,480, which 16 bits hold.
struct NibbleDot {
    Shorts acc;
    Ints first;
    void begin(int32_t first_) { acc = Shorts{}, first = all(first_); }
    void unsigned_bytes(Ints w, Ints a) {
        acc += (Shorts)GI_VECTOR(maddubs_epi16)((Vector)w, (Vector)a);
    }
    Ints sum() const { return sum_of_pairs((Vector)acc) + first; }
};

struct SmallDot {
    Ints acc;
    void begin(int32_t first) { acc = all(first); }
    void unsigned_bytes(Ints w, Ints a) {
        acc += sum_of_pairs(GI_VECTOR(maddubs_epi16)((Vector)w, (Vector)a));
    }
    Ints sum() const { return acc; }
};

// Two products of bytes are at most 2 * 128 * 127 = 32,512.
struct SignedDot {
    Ints acc;
    void begin(int32_t first) { acc = all(first); }
    void add(Ints w, Ints a) {
        const Vector size = GI_VECTOR(abs_epi8)((Vector)w);
        acc += sum_of_pairs(GI_VECTOR(maddubs_epi16)(size, with_sign_of((Vector)w, (Vector)a)));
    }
    Ints sum() const { return acc; }
};
#undef GI_VECTOR

#elif defined(__aarch64__)

constexpr int32_t SIGNED_EXCESS = 0;

struct Dot {
    Ints acc;
    void begin(int32_t first) { acc = all(first); }
    void add(Ints w, Ints a) {
        const int8x16_t x = (int8x16_t)w, y = (int8x16_t)a;
#if defined(__ARM_FEATURE_DOTPROD)
        acc = (Ints)vdotq_s32((int32x4_t)acc, x, y);
#else
        const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y)), high = vmull_high_s8(x, y);
        acc += (Ints)vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
#endif
    }
    void unsigned_bytes(Ints w, Ints a) { add(w, a); } // none is large
    Ints sum() const { return acc; }
};
using NibbleDot = Dot;
using SmallDot = Dot;
using SignedDot = Dot;

#else

constexpr int32_t SIGNED_EXCESS = 0;

struct Dot {
    Ints acc;
    void begin(int32_t first) { acc = all(first); }
    void add(Ints w, Ints a) {
        for (int at = 24; at >= 0; at -= 8) acc += (w << at >> 24) * (a << at >> 24);
    }
    void unsigned_bytes(Ints w, Ints a) { add(w, a); } // none is large
    Ints sum() const { return acc; }
};
using NibbleDot = Dot;
using SmallDot = Dot;
using SignedDot = Dot;

#endif

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
