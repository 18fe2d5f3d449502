// Every function that the C expressions of the instruction table call, under the name they call it
// by: gi_NAME_TYPE. Elementary functions come from portable/, integer arithmetic from integer.h.
#pragma once

#include "elementary.h"
#include "half.h"
#include "loops/half_rows.h"
#include "loops/integer.h"

#include <math.h>
#include <stdint.h>

#define GI_INTEGER(T, t, LOWEST, HIGHEST)                                                          \
    GI_FN T gi_lowest_##t() { return LOWEST; }                                                     \
    GI_FN T gi_highest_##t() { return HIGHEST; }                                                   \
    GI_FN T gi_abs_##t(T a) { return gi_abs<T>(a); }                                               \
    GI_FN T gi_pow_##t(T a, T b) { return gi_ipow<T>(a, b); }                                      \
    GI_FN T gi_shift_left_##t(T a, T b) { return gi_shl<T>(a, b); }                                \
    GI_FN T gi_shift_right_##t(T a, T b) { return gi_shr<T>(a, b); }                               \
    GI_FN T gi_floor_div_##t(T a, T b, int &error) { return gi_floor_div<T>(a, b, error); }        \
    GI_FN T gi_trunc_div_##t(T a, T b, int &error) { return gi_trunc_div<T>(a, b, error); }        \
    GI_FN T gi_remainder_##t(T a, T b, int &error) { return gi_remainder<T>(a, b, error); }        \
    GI_FN T gi_fmod_##t(T a, T b, int &error) { return gi_fmod<T>(a, b, error); }                  \
    GI_FN bool gi_argmax_better_##t(T a, T b) { return a > b; }                                    \
    GI_FN bool gi_argmin_better_##t(T a, T b) { return a < b; }
GI_INTEGER(uint8_t, u8, 0, UINT8_MAX)
GI_INTEGER(int8_t, i8, INT8_MIN, INT8_MAX)
GI_INTEGER(int16_t, i16, INT16_MIN, INT16_MAX)
GI_INTEGER(int32_t, i32, INT32_MIN, INT32_MAX)
GI_INTEGER(int64_t, i64, INT64_MIN, INT64_MAX)
#undef GI_INTEGER

GI_FN bool gi_argmax_better_bool(bool a, bool b) { return a && !b; }
GI_FN bool gi_argmin_better_bool(bool a, bool b) { return b && !a; }

GI_FN float gi_inf_f32() { return __builtin_inff(); }
GI_FN double gi_inf_f64() { return __builtin_inf(); }
GI_FN float gi_fma_f32(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
GI_FN double gi_fma_f64(double a, double b, double c) { return __builtin_fma(a, b, c); }
GI_FN float gi_floor_f32(float a) { return __builtin_floorf(a); }
GI_FN float gi_ceil_f32(float a) { return __builtin_ceilf(a); }
GI_FN float gi_trunc_f32(float a) { return __builtin_truncf(a); }
GI_FN double gi_floor_f64(double a) { return __builtin_floor(a); }
GI_FN double gi_ceil_f64(double a) { return __builtin_ceil(a); }
GI_FN double gi_trunc_f64(double a) { return __builtin_trunc(a); }
GI_FN float gi_round_f16(float a) { return gi_f16_to_f32(gi_f32_to_f16(a)); }
GI_FN float gi_round_bf16(float a) { return gi_bf16_to_f32(gi_f32_to_bf16(a)); }

// NaN comes before every number, and no NaN before another.
#define GI_ORDERED(T, t)                                                                           \
    GI_FN bool gi_argmax_better_##t(T a, T b) { return a > b || (a != a && b == b); }              \
    GI_FN bool gi_argmin_better_##t(T a, T b) { return a < b || (a != a && b == b); }
GI_ORDERED(float, f32)
GI_ORDERED(double, f64)
#undef GI_ORDERED
