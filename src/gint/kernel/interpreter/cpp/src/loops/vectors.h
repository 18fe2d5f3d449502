// Vector registers of the instruction set a kernel unit is compiled for.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "loops/intrinsics.h"
#include "loops/loop_table.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

#if defined(__AVX512F__)
constexpr int REGISTER = 64; // bytes
#elif defined(__AVX__)
constexpr int REGISTER = 32;
#else
constexpr int REGISTER = 16;
#endif

template <class T> struct Types;
template <> struct Types<float> {
    typedef float V __attribute__((vector_size(REGISTER)));
    typedef int32_t Bits __attribute__((vector_size(REGISTER)));
    static constexpr int32_t MAGNITUDE = 0x7fffffff;
};
template <> struct Types<double> {
    typedef double V __attribute__((vector_size(REGISTER)));
    typedef int64_t Bits __attribute__((vector_size(REGISTER)));
    static constexpr int64_t MAGNITUDE = 0x7fffffffffffffff;
};

template <class T> using V = typename Types<T>::V;

// A link of a chain (loops/chain.cpp): eight registers of the accumulator, its own argument and
// those that follow, and how far from the operands' beginnings the block lies, in bytes.
template <class T>
using Link = void (*)(V<T>, V<T>, V<T>, V<T>, V<T>, V<T>, V<T>, V<T>, const ChainArgument *,
                      ptrdiff_t);
template <class T> ChainLink erase(Link<T> link) { return reinterpret_cast<ChainLink>(link); }

// Compilers do this where a function that has used wide registers returns, but not where these were
// its arguments, as a link's are. Intel's processors since Ice Lake take some hundred cycles to go
// from registers whose upper halves are in use to an instruction of SSE's, and as many to go back.
inline void leave_registers() {
#if defined(__AVX__)
    _mm256_zeroupper();
#endif
}

// Unaligned; by memcpy, since gcc forgets the alignment of a vector type named through a template.
template <class T> inline V<T> load(const void *p, int n) {
    V<T> x;
    memcpy(&x, static_cast<const char *>(p) + n * REGISTER, REGISTER);
    return x;
}
template <class T> inline void put(void *p, int n, V<T> x) {
    memcpy(static_cast<char *>(p) + n * REGISTER, &x, REGISTER);
}

// 0, 1, 2 and so on.
template <class Bits> inline Bits lane_numbers() {
    Bits x;
    for (int l = 0; l < int(sizeof(x) / sizeof(x[0])); l++) x[l] = l;
    return x;
}

// The first n elements from p on, fewer than a register has, and zeros. Nothing behind is read.
template <class T> inline V<T> load_first(const T *p, size_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == sizeof(float))
        return (V<T>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
    else
        return (V<T>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
#elif defined(__AVX2__)
    using Bits = typename Types<T>::Bits;
    if constexpr (sizeof(T) == sizeof(float))
        return (V<T>)_mm256_maskload_ps(p, (__m256i)(lane_numbers<Bits>() < int32_t(n)));
    else
        return (V<T>)_mm256_maskload_pd(p, (__m256i)(lane_numbers<Bits>() < int64_t(n)));
#else
    T first[REGISTER / sizeof(T)] = {};
    for (size_t l = 0; l < n; l++) first[l] = p[l];
    return load<T>(first, 0);
#endif
}

// The first n elements of x, then those of y.
template <class T> inline V<T> first_of(size_t n, V<T> x, V<T> y) {
    using Bits = typename Types<T>::Bits;
    return lane_numbers<Bits>() < decltype(Bits{}[0] + 0)(n) ? x : y;
}

// As the functions of one element: NaN if either is NaN, of two zeros the second. (x86 has a SIGN b
// ? a : b as one instruction; gcc does not take it where NaN counts.)
#if defined(__AVX512F__)
#define GI_FASTER(NAME, SUFFIX, SIGN) _mm512_maskz_##NAME##_##SUFFIX(-1, a, b)
#elif defined(__AVX__)
#define GI_FASTER(NAME, SUFFIX, SIGN) _mm256_##NAME##_##SUFFIX(a, b)
#elif defined(__x86_64__)
#define GI_FASTER(NAME, SUFFIX, SIGN) _mm_##NAME##_##SUFFIX(a, b)
#else
#define GI_FASTER(NAME, SUFFIX, SIGN) (a SIGN b ? a : b)
#endif
#define GI_EXTREME(NAME, T, SHORT, SUFFIX, SIGN)                                                   \
    [[maybe_unused]] inline V<T> NAME(V<T> a, V<T> b) {                                            \
        const V<T> m = GI_FASTER(SHORT, SUFFIX, SIGN);                                             \
        return a != a ? a : m;                                                                     \
    }
GI_EXTREME(maximum, float, max, ps, >)
GI_EXTREME(minimum, float, min, ps, <)
GI_EXTREME(maximum, double, max, pd, >)
GI_EXTREME(minimum, double, min, pd, <)
#undef GI_EXTREME
#undef GI_FASTER

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
