// Arguments of functions that have a quick form, right for most of them: gi_NAME(Near, ...) is the
// quick form's result, and whether the arguments are too far off for it. See `guess` in
// pointwise.cpp.
#pragma once

#include "loops/numeric.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// A mask is as wide as T, so that both fill as many lanes.
template <class T> struct Guess {
    T value;
    std::conditional_t<sizeof(T) == 8, int64_t, int32_t> is_far;
};
template <class T>
concept IsGuess = requires(T x) { x.is_far; };

#define GI_NEAR(NAME) [[maybe_unused, gnu::always_inline]] friend inline auto gi_##NAME
#define GI_NEAR_1(NAME)                                                                            \
    GI_NEAR(NAME)(Near a)->Guess<X> { return {gi_##NAME##_fast(a.x), gi_##NAME##_is_far(a.x)}; }
#define GI_NEAR_2(NAME)                                                                            \
    GI_NEAR(NAME)(Near a, Near b)->Guess<X> {                                                      \
        return {gi_##NAME##_fast(a.x, b.x), gi_##NAME##_is_far(a.x, b.x)};                         \
    }
#define GI_NEAR_DIVISION(NAME)                                                                     \
    GI_NEAR(NAME##_i64)(Near a, Near b, int &error)->Guess<int64_t> {                              \
        const auto value = gi_##NAME<int64_t, gi_short_quotient<int64_t>>(a.x, b.x, error);        \
        return {value, gi_is_long(a.x) | gi_is_long(b.x)};                                         \
    }
template <class T> struct Near;
template <> struct Near<float> {
    using X = float;
    X x;
    GI_NEAR_1(sin_f32)
    GI_NEAR_1(cos_f32)
    GI_NEAR_1(tan_f32)
    GI_NEAR_2(fmod_f32)
    GI_NEAR_2(remainder_f32)
    GI_NEAR_2(floor_div_f32)
};
template <> struct Near<double> {
    using X = double;
    X x;
    GI_NEAR_1(sin_f64)
    GI_NEAR_1(cos_f64)
    GI_NEAR_1(tan_f64)
    GI_NEAR_2(fmod_f64)
    GI_NEAR_2(remainder_f64)
    GI_NEAR_2(floor_div_f64)
};
template <> struct Near<int64_t> {
    int64_t x;
    GI_NEAR_DIVISION(trunc_div)
    GI_NEAR_DIVISION(fmod)
    GI_NEAR_DIVISION(floor_div)
    GI_NEAR_DIVISION(remainder)
};
#undef GI_NEAR_DIVISION
#undef GI_NEAR_2
#undef GI_NEAR_1
#undef GI_NEAR

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
