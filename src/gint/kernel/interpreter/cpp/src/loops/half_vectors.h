// float16 and bfloat16 in memory, met a vector register of floats at a time. The same results as
// the scalar forms of half.h.
#pragma once

#include "half.h"
#include "loops/vectors.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

typedef uint16_t Halves __attribute__((vector_size(REGISTER / 2)));
typedef uint32_t HalfBits __attribute__((vector_size(REGISTER)));

// Register n of those that lie at p.
inline Halves load_halves(const void *p, int n) {
    Halves h;
    memcpy(&h, static_cast<const char *>(p) + n * (REGISTER / 2), REGISTER / 2);
    return h;
}
// The first n of them, fewer than there are, and zeros; nothing behind them is read.
inline Halves load_first_halves(const uint16_t *p, size_t n) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    return (Halves)_mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), p);
#else
    uint16_t first[REGISTER / sizeof(float)] = {};
    for (size_t l = 0; l < n; l++) first[l] = p[l];
    return load_halves(first, 0);
#endif
}

inline void put_halves(void *p, int n, Halves h) {
    memcpy(static_cast<char *>(p) + n * (REGISTER / 2), &h, REGISTER / 2);
}

// (As intrinsics, since gcc makes several instructions of a conversion; with a mask, since gcc 12
// warns of the plain forms.)
#if defined(__AVX512F__)
inline HalfBits to_words(Halves h) { return (HalfBits)_mm512_maskz_cvtepu16_epi32(-1, (__m256i)h); }
inline Halves to_halves(HalfBits u) { return (Halves)_mm512_maskz_cvtepi32_epi16(-1, (__m512i)u); }
#elif defined(__AVX2__)
inline HalfBits to_words(Halves h) { return (HalfBits)_mm256_cvtepu16_epi32((__m128i)h); }
inline Halves to_halves(HalfBits u) { return __builtin_convertvector(u, Halves); }
#else
inline HalfBits to_words(Halves h) { return __builtin_convertvector(h, HalfBits); }
inline Halves to_halves(HalfBits u) { return __builtin_convertvector(u, Halves); }
#endif

// The upper halves of all elements of a, and of b.
#if defined(__AVX512BW__)
typedef uint16_t ManyHalves __attribute__((vector_size(REGISTER)));
inline ManyHalves upper_halves(HalfBits a, HalfBits b) {
    ManyHalves odd;
    for (int i = 0; i < 32; i++) odd[i] = uint16_t(2 * i + 1);
    return (ManyHalves)_mm512_permutex2var_epi16((__m512i)a, (__m512i)odd, (__m512i)b);
}
#endif

template <uint8_t TYPE> struct Half;

template <> struct Half<GI_bf16> {
    static inline V<float> widen(Halves h) { return (V<float>)(to_words(h) << 16); }
    // The nearest one is the upper half of what this gives.
    static inline HalfBits nearest(V<float> x) {
        const HalfBits u = (HalfBits)x;
        return x != x ? u | 0x400000 : u + 0x7fff + ((u >> 16) & 1);
    }
    static inline Halves narrow(V<float> x) { return to_halves(nearest(x) >> 16); }
};

template <> struct Half<GI_f16> {
#if defined(__AVX512F__)
    // (the forms with a mask, since gcc 12 warns of the plain ones)
    static inline V<float> widen(Halves h) {
        return (V<float>)_mm512_maskz_cvtph_ps(0xffff, (__m256i)h);
    }
    static inline Halves narrow(V<float> x) {
        return (Halves)_mm512_maskz_cvtps_ph(0xffff, (__m512)x, 0x08 /* to nearest */);
    }
#elif defined(__F16C__)
    static inline V<float> widen(Halves h) { return (V<float>)_mm256_cvtph_ps((__m128i)h); }
    static inline Halves narrow(V<float> x) {
        return (Halves)_mm256_cvtps_ph((__m256)x, 0x08 /* to nearest */);
    }
#elif defined(__aarch64__)
    static inline V<float> widen(Halves h) { return (V<float>)vcvt_f32_f16((float16x4_t)h); }
    static inline Halves narrow(V<float> x) { return (Halves)vcvt_f16_f32((float32x4_t)x); }
#else
    // As half.h says; comparisons of signed numbers, which the baseline of x86-64 has.
    typedef int32_t Words __attribute__((vector_size(REGISTER)));
    static inline V<float> widen(Halves h) {
        const HalfBits word = to_words(h), u = (word & 0x7fff) << 13;
        const HalfBits finite = (HalfBits)((V<float>)u * 0x1p112f);
        const HalfBits magnitude = (Words)u >= 0x0f800000 ? u | 0x7f800000 : finite;
        return (V<float>)((word & 0x8000) << 16 | magnitude);
    }
    static inline Halves narrow(V<float> x) {
        const HalfBits u = (HalfBits)x, a = u & 0x7fffffff;
        const HalfBits normal = (a + 0x0fff + ((a >> 13) & 1) - 0x38000000) >> 13;
        const HalfBits tiny = (HalfBits)((V<float>)a + 0.5f) - 0x3f000000;
        HalfBits half = (Words)a < 0x38800000 ? tiny : normal;
        half = (Words)a >= 0x477ff000 ? HalfBits{} + 0x7c00 : half;
        half = (Words)a > 0x7f800000 ? 0x7e00 | ((a >> 13) & 0x3ff) : half;
        return to_halves(half | ((u >> 16) & 0x8000));
    }
#endif
};

// Registers n and n + 1 of what lies at p.
template <uint8_t TYPE> inline void put_narrowed(void *p, int n, V<float> a, V<float> b) {
#if defined(__AVX512BW__)
    if constexpr (TYPE == GI_bf16) {
        using Narrow = Half<GI_bf16>;
        const ManyHalves both = upper_halves(Narrow::nearest(a), Narrow::nearest(b));
        memcpy(static_cast<char *>(p) + n * (REGISTER / 2), &both, REGISTER);
        return;
    }
#endif
    put_halves(p, n, Half<TYPE>::narrow(a)), put_halves(p, n + 1, Half<TYPE>::narrow(b));
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
