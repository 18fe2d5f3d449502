// N vector registers as the C expressions of the instruction table see them: the operators, and the
// functions that have a form for vectors. The same bits as of one element.
//
// Several registers at once, so that an operation on one does not wait for the one before it: a
// polynomial by Horner's scheme is one long chain, and a core looks only so far ahead for others.
#pragma once

#include "elementary.h"
#include "loops/vectors.h"

#include <concepts>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// One register.

typedef uint32_t Unsigned __attribute__((vector_size(REGISTER)));
using Floats = V<float>;
constexpr size_t LANES = REGISTER / sizeof(float); // of Floats
using FloatBits = Types<float>::Bits;

#define GI_LANES [[maybe_unused, gnu::always_inline]] inline Floats

template <class T> [[gnu::always_inline]] inline V<T> magnitude(V<T> a) {
    return (V<T>)((typename Types<T>::Bits)a & Types<T>::MAGNITUDE);
}
GI_LANES mulsign(Floats a, Floats s) {
    return (Floats)((FloatBits)a ^ ((FloatBits)s & ~Types<float>::MAGNITUDE));
}
GI_LANES below(Floats x, Floats edge, Floats a, Floats b) { return x < edge ? a : b; }
GI_LANES pow2_of(Floats a) { return (Floats)((FloatBits)a << 23); }

// (The forms with a mask, since gcc 12 warns of the plain ones.)
#if defined(__AVX512F__)
GI_LANES muladd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
GI_LANES at_most(Floats edge, Floats x) { return _mm512_maskz_min_ps(-1, edge, x); }
GI_LANES at_least(Floats edge, Floats x) { return _mm512_maskz_max_ps(-1, edge, x); }
GI_LANES square_root(Floats x) { return _mm512_maskz_sqrt_ps(-1, x); }
GI_LANES scale(Floats p, Floats shifted) {
    return _mm512_maskz_scalef_ps(-1, p, shifted - (GI_ROUNDER_F32 + 254.0f));
}
#else
#if defined(__AVX__)
GI_LANES at_most(Floats edge, Floats x) { return _mm256_min_ps(edge, x); }
GI_LANES at_least(Floats edge, Floats x) { return _mm256_max_ps(edge, x); }
GI_LANES square_root(Floats x) { return _mm256_sqrt_ps(x); }
#elif defined(__x86_64__)
GI_LANES at_most(Floats edge, Floats x) { return _mm_min_ps(edge, x); }
GI_LANES at_least(Floats edge, Floats x) { return _mm_max_ps(edge, x); }
GI_LANES square_root(Floats x) { return _mm_sqrt_ps(x); }
#elif defined(__aarch64__)
GI_LANES at_most(Floats edge, Floats x) { return edge < x ? edge : x; }
GI_LANES at_least(Floats edge, Floats x) { return edge > x ? edge : x; }
GI_LANES square_root(Floats x) { return (Floats)vsqrtq_f32((float32x4_t)x); }
#else
GI_LANES at_most(Floats edge, Floats x) { return edge < x ? edge : x; }
GI_LANES at_least(Floats edge, Floats x) { return edge > x ? edge : x; }
GI_LANES square_root(Floats x) {
    for (size_t i = 0; i < sizeof x / sizeof(float); i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
}
#endif
#if defined(__FMA__)
GI_LANES muladd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
#elif defined(__aarch64__)
GI_LANES muladd(Floats a, Floats b, Floats c) {
    return (Floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
#else
GI_LANES muladd(Floats a, Floats b, Floats c) { return a * b + c; }
#endif
GI_LANES scale(Floats p, Floats shifted) {
    const Unsigned n = (Unsigned)shifted, k = n >> 1;
    return p * (Floats)(k << 23) * (Floats)((n - k) << 23);
}
#endif
#undef GI_LANES

// Rounding to whole numbers, by the number that the instruction has for the direction.
enum class Direction { NEAREST = 0, DOWN = 1, UP = 2, ZERO = 3 };
template <Direction D, class T> [[gnu::always_inline]] inline V<T> rounded_to(V<T> x) {
    [[maybe_unused]] constexpr int QUIET = 8 + int(D);
    constexpr bool IS_FLOAT = sizeof(T) == sizeof(float);
#if defined(__AVX512F__)
    if constexpr (IS_FLOAT)
        return (V<T>)_mm512_maskz_roundscale_ps(-1, (__m512)x, QUIET);
    else
        return (V<T>)_mm512_maskz_roundscale_pd(-1, (__m512d)x, QUIET);
#elif defined(__AVX__)
    if constexpr (IS_FLOAT)
        return (V<T>)_mm256_round_ps((__m256)x, QUIET);
    else
        return (V<T>)_mm256_round_pd((__m256d)x, QUIET);
#elif defined(__SSE4_1__)
    if constexpr (IS_FLOAT)
        return (V<T>)_mm_round_ps((__m128)x, QUIET);
    else
        return (V<T>)_mm_round_pd((__m128d)x, QUIET);
#elif defined(__aarch64__)
    using In = std::conditional_t<IS_FLOAT, float32x4_t, float64x2_t>;
    const auto of = [](auto of_float, auto of_double, V<T> v) {
        if constexpr (IS_FLOAT)
            return (V<T>)of_float((In)v);
        else
            return (V<T>)of_double((In)v);
    };
    if constexpr (D == Direction::NEAREST)
        return of([](auto v) { return vrndnq_f32(v); }, [](auto v) { return vrndnq_f64(v); }, x);
    else if constexpr (D == Direction::DOWN)
        return of([](auto v) { return vrndmq_f32(v); }, [](auto v) { return vrndmq_f64(v); }, x);
    else if constexpr (D == Direction::UP)
        return of([](auto v) { return vrndpq_f32(v); }, [](auto v) { return vrndpq_f64(v); }, x);
    else
        return of([](auto v) { return vrndq_f32(v); }, [](auto v) { return vrndq_f64(v); }, x);
#else
    for (size_t i = 0; i < sizeof x / sizeof(T); i++)
        if constexpr (D == Direction::NEAREST)
            x[i] = IS_FLOAT ? T(__builtin_rintf(float(x[i]))) : T(__builtin_rint(x[i]));
        else if constexpr (D == Direction::DOWN)
            x[i] = IS_FLOAT ? T(__builtin_floorf(float(x[i]))) : T(__builtin_floor(x[i]));
        else if constexpr (D == Direction::UP)
            x[i] = IS_FLOAT ? T(__builtin_ceilf(float(x[i]))) : T(__builtin_ceil(x[i]));
        else
            x[i] = IS_FLOAT ? T(__builtin_truncf(float(x[i]))) : T(__builtin_trunc(x[i]));
    return x;
#endif
}

// Several.

#define GI_WIDE [[maybe_unused, gnu::always_inline]] friend inline Vectors
#define GI_EACH(...)                                                                               \
    {                                                                                              \
        Vectors y;                                                                                 \
        for (int n = 0; n < N; n++) y.v[n] = __VA_ARGS__;                                          \
        return y;                                                                                  \
    }
template <class T, int N> struct Vectors {
    V<T> v[N];

    Vectors() = default;
    [[gnu::always_inline]] explicit Vectors(V<T> a)
        requires(N == 1)
        : v{a} {}
    [[gnu::always_inline]] Vectors(V<T> a, V<T> b, V<T> c, V<T> d)
        requires(N == 4)
        : v{a, b, c, d} {}
    [[gnu::always_inline]] Vectors(T x) { // x - 0 is x for every x, the sign of zero included
        for (int n = 0; n < N; n++) v[n] = x - V<T>{};
    }

    GI_WIDE operator+(Vectors a, Vectors b) GI_EACH(a.v[n] + b.v[n]);
    GI_WIDE operator-(Vectors a, Vectors b) GI_EACH(a.v[n] - b.v[n]);
    GI_WIDE operator*(Vectors a, Vectors b) GI_EACH(a.v[n] * b.v[n]);
    GI_WIDE operator/(Vectors a, Vectors b) GI_EACH(a.v[n] / b.v[n]);
    GI_WIDE operator-(Vectors a) GI_EACH(-a.v[n]);
    GI_WIDE gi_abs_f32(Vectors a) GI_EACH(magnitude<T>(a.v[n]));
    GI_WIDE gi_abs_f64(Vectors a) GI_EACH(magnitude<T>(a.v[n]));
    GI_WIDE gi_maximum_f32(Vectors a, Vectors b) GI_EACH(maximum(a.v[n], b.v[n]));
    GI_WIDE gi_maximum_f64(Vectors a, Vectors b) GI_EACH(maximum(a.v[n], b.v[n]));
    GI_WIDE gi_minimum_f32(Vectors a, Vectors b) GI_EACH(minimum(a.v[n], b.v[n]));
    GI_WIDE gi_minimum_f64(Vectors a, Vectors b) GI_EACH(minimum(a.v[n], b.v[n]));
    GI_WIDE gi_nan_to_zero_f32(Vectors a) GI_EACH(a.v[n] == a.v[n] ? a.v[n] : V<T>{});
    GI_WIDE gi_nan_to_zero_f64(Vectors a) GI_EACH(a.v[n] == a.v[n] ? a.v[n] : V<T>{});
    GI_WIDE gi_round_f32(Vectors a) GI_EACH(rounded_to<Direction::NEAREST, T>(a.v[n]));
    GI_WIDE gi_round_f64(Vectors a) GI_EACH(rounded_to<Direction::NEAREST, T>(a.v[n]));
    GI_WIDE gi_floor_f32(Vectors a) GI_EACH(rounded_to<Direction::DOWN, T>(a.v[n]));
    GI_WIDE gi_floor_f64(Vectors a) GI_EACH(rounded_to<Direction::DOWN, T>(a.v[n]));
    GI_WIDE gi_ceil_f32(Vectors a) GI_EACH(rounded_to<Direction::UP, T>(a.v[n]));
    GI_WIDE gi_ceil_f64(Vectors a) GI_EACH(rounded_to<Direction::UP, T>(a.v[n]));
    GI_WIDE gi_trunc_f32(Vectors a) GI_EACH(rounded_to<Direction::ZERO, T>(a.v[n]));
    GI_WIDE gi_trunc_f64(Vectors a) GI_EACH(rounded_to<Direction::ZERO, T>(a.v[n]));
    // Of floats alone.
    GI_WIDE gi_mulsign_f32(Vectors a, Vectors s) GI_EACH(mulsign(a.v[n], s.v[n]));
    GI_WIDE gi_below(Vectors x, Vectors e, Vectors a, Vectors b)
        GI_EACH(below(x.v[n], e.v[n], a.v[n], b.v[n]));
    GI_WIDE gi_pow2_of(Vectors a) GI_EACH(pow2_of(a.v[n]));
    GI_WIDE gi_muladd(Vectors a, Vectors b, Vectors c) GI_EACH(muladd(a.v[n], b.v[n], c.v[n]));
    GI_WIDE gi_at_most(Vectors edge, Vectors x) GI_EACH(at_most(edge.v[n], x.v[n]));
    GI_WIDE gi_at_least(Vectors edge, Vectors x) GI_EACH(at_least(edge.v[n], x.v[n]));
    GI_WIDE gi_scale(Vectors p, Vectors shifted) GI_EACH(scale(p.v[n], shifted.v[n]));
    GI_WIDE gi_sqrt_f32(Vectors x) GI_EACH(square_root(x.v[n]));
};

constexpr int WIDE = 4;
using Wide = Vectors<float, WIDE>;

// Whether F::wide, an expression of one or two operands, is written for vectors W.
template <class F, class W>
concept HasWide = requires(W x) {
    { F::wide(x) } -> std::same_as<W>;
} || requires(W x) {
    { F::wide(x, x) } -> std::same_as<W>;
};
// One of two operands, of one register.
template <class F, class T> [[gnu::always_inline]] inline V<T> combine(V<T> a, V<T> b) {
    return F::wide(Vectors<T, 1>(a), Vectors<T, 1>(b)).v[0];
}

[[maybe_unused]] inline Wide load(const float *p) {
    return {load<float>(p, 0), load<float>(p, 1), load<float>(p, 2), load<float>(p, 3)};
}
[[maybe_unused]] inline void put(float *p, Wide x) {
    for (int n = 0; n < WIDE; n++) put<float>(p, n, x.v[n]);
}
#undef GI_EACH
#undef GI_WIDE

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
