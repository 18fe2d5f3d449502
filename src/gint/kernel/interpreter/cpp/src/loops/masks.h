// Masks of vector registers: all bits of an element or none, in memory a bool of a byte.
#pragma once

#include "loops/vectors.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

template <class T> using MaskBits = typename Types<T>::Bits;
template <class T> constexpr int LANES = REGISTER / int(sizeof(T)); // bytes of a register's mask

template <class T> inline V<T> choose(V<T> mask, V<T> a, V<T> b) {
    return (MaskBits<T>)mask != 0 ? a : b;
}

// Register n of those whose bytes lie at p.
template <class T> inline V<T> load_mask(const void *p, int n) {
    const char *at = static_cast<const char *>(p) + n * LANES<T>;
#if defined(__AVX512F__)
    // (the forms with a mask, since gcc 12 warns of the plain ones)
    if constexpr (sizeof(T) == sizeof(float)) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
        return (V<T>)((MaskBits<T>)_mm512_maskz_cvtepu8_epi32(0xffff, bytes) != 0);
    } else {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(at));
        return (V<T>)((MaskBits<T>)_mm512_maskz_cvtepu8_epi64(0xff, bytes) != 0);
    }
#else
    MaskBits<T> bits;
    for (int i = 0; i < LANES<T>; i++) bits[i] = at[i] != 0 ? -1 : 0;
    return (V<T>)bits;
#endif
}

template <class T> inline void put_mask(void *p, int n, V<T> mask) {
    char *at = static_cast<char *>(p) + n * LANES<T>;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == sizeof(float)) {
        const auto ones = (__m512i)((MaskBits<T>)mask & 1);
        _mm_storeu_si128(reinterpret_cast<__m128i *>(at), _mm512_maskz_cvtepi32_epi8(0xffff, ones));
    } else {
        const auto ones = (__m512i)((MaskBits<T>)mask & 1);
        _mm_storel_epi64(reinterpret_cast<__m128i *>(at), _mm512_maskz_cvtepi64_epi8(0xff, ones));
    }
#else
    for (int i = 0; i < LANES<T>; i++) at[i] = char(((MaskBits<T>)mask)[i] & 1);
#endif
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
