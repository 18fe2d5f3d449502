/* What the C expressions of the instruction table call beyond the elementary functions, for the
 * device interpreters: integer arithmetic, and conversions that are defined for every value.
 *
 * Everything wraps. Division by zero sets *error and gives 0; INT_MIN / -1 wraps. A float that does
 * not fit an integer type gives its smallest value, as the conversion of an x86 CPU does; to a
 * narrow integer it goes through i32. */
#ifndef GI_NUMBERS_H
#define GI_NUMBERS_H

#include "elementary.h"
#include "half.h"

/* T, its name, the unsigned type it wraps in, its width, smallest and largest value, signed or not
 */
#define GI_INTEGER_TYPES(X)                                                                        \
    X(uint8_t, u8, gi_u32, 8, 0, 255, 0)                                                           \
    X(int8_t, i8, gi_u32, 8, -128, 127, 1)                                                         \
    X(int16_t, i16, gi_u32, 16, -32768, 32767, 1)                                                  \
    X(int32_t, i32, gi_u32, 32, (-2147483647 - 1), 2147483647, 1)                                  \
    X(int64_t, i64, gi_u64, 64, (-0x7fffffffffffffffL - 1), 0x7fffffffffffffffL, 1)

#define X(T, t, U, WIDTH, LOWEST, HIGHEST, SIGNED)                                                 \
    GI_FN T gi_lowest_##t(void) { return (T)LOWEST; }                                              \
    GI_FN T gi_highest_##t(void) { return (T)HIGHEST; }                                            \
    GI_FN T gi_abs_##t(T a) { return a < 0 ? (T)(0 - (U)a) : a; }                                  \
    /* Counts outside 0 .. width - 1 shift everything out: 0, or the sign to the right. */         \
    GI_FN T gi_shift_left_##t(T a, T count) {                                                      \
        int out = count < 0 || count >= WIDTH;                                                     \
        T shifted = (T)((U)a << (out ? 0 : (int)count));                                           \
        return out ? (T)0 : shifted;                                                               \
    }                                                                                              \
    GI_FN T gi_shift_right_##t(T a, T count) {                                                     \
        int out = count < 0 || count >= WIDTH;                                                     \
        T shifted = (T)(a >> (out ? WIDTH - 1 : (int)count));                                      \
        return out && !SIGNED ? (T)0 : shifted;                                                    \
    }                                                                                              \
    GI_FN T gi_trunc_div_##t(T a, T b, gi_i32 *error) {                                            \
        *error |= b == 0 ? GI_DIVISION_BY_ZERO : 0;                                                \
        int flip = SIGNED && b == (T) - 1;                                                         \
        T quotient = (T)(a / (b == 0 || flip ? (T)1 : b));                                         \
        quotient = flip ? (T)(0 - (U)a) : quotient;                                                \
        return b == 0 ? (T)0 : quotient;                                                           \
    }                                                                                              \
    GI_FN T gi_fmod_##t(T a, T b, gi_i32 *error) {                                                 \
        T rest = (T)((U)a - (U)b * (U)gi_trunc_div_##t(a, b, error));                              \
        return b == 0 ? (T)0 : rest;                                                               \
    }                                                                                              \
    GI_FN T gi_floor_div_##t(T a, T b, gi_i32 *error) {                                            \
        T quotient = gi_trunc_div_##t(a, b, error);                                                \
        T rest = (T)((U)a - (U)b * (U)quotient);                                                   \
        int below = b != 0 && rest != 0 && (rest < 0) != (b < 0);                                  \
        return (T)((U)quotient - (U)below);                                                        \
    }                                                                                              \
    GI_FN T gi_remainder_##t(T a, T b, gi_i32 *error) {                                            \
        T rest = gi_fmod_##t(a, b, error);                                                         \
        int other = rest != 0 && (rest < 0) != (b < 0);                                            \
        return (T)((U)rest + (other ? (U)b : (U)0));                                               \
    }                                                                                              \
    GI_FN T gi_pow_##t(T base, T exponent) {                                                       \
        if (exponent < 0)                                                                          \
            return base == 1 ? (T)1 : base == (T) - 1 ? (T)((exponent & 1) ? -1 : 1) : (T)0;       \
        T power = 1;                                                                               \
        for (; exponent != 0; exponent = (T)(exponent >> 1)) {                                     \
            if (exponent & 1) power = (T)((U)power * (U)base);                                     \
            base = (T)((U)base * (U)base);                                                         \
        }                                                                                          \
        return power;                                                                              \
    }                                                                                              \
    GI_FN bool gi_argmax_better_##t(T a, T b) { return a > b; }                                    \
    GI_FN bool gi_argmin_better_##t(T a, T b) { return a < b; }                                    \
    GI_FN T gi_##t##_of_i64(gi_i64 x) { return (T)x; }
GI_INTEGER_TYPES(X)
#undef X

GI_FN bool gi_argmax_better_bool(bool a, bool b) { return a && !b; }
GI_FN bool gi_argmin_better_bool(bool a, bool b) { return b && !a; }

GI_FN float gi_inf_f32(void) { return GI_INF_F32; }
GI_FN float gi_fma_f32(float a, float b, float c) { return fma(a, b, c); }
GI_FN float gi_floor_f32(float a) { return GI_FLOORF(a); }
GI_FN float gi_ceil_f32(float a) { return ceil(a); }
GI_FN float gi_trunc_f32(float a) { return GI_TRUNCF(a); }
GI_FN float gi_round_f16(float a) { return gi_f16_to_f32(gi_f32_to_f16(a)); }
GI_FN float gi_round_bf16(float a) { return gi_bf16_to_f32(gi_f32_to_bf16(a)); }
/* NaN comes before every number, and no NaN before another. */
GI_FN bool gi_argmax_better_f32(float a, float b) { return a > b || (a != a && b == b); }
GI_FN bool gi_argmin_better_f32(float a, float b) { return a < b || (a != a && b == b); }
GI_FN int32_t gi_i32_of_f32(float x) {
    return x >= -0x1p31f && x < 0x1p31f ? (int32_t)x : (int32_t)0x80000000;
}
GI_FN int64_t gi_i64_of_f32(float x) {
    return x >= -0x1p63f && x < 0x1p63f ? (int64_t)x : (int64_t)0x8000000000000000;
}

#if GI_HAS_F64
GI_FN double gi_inf_f64(void) { return (double)GI_INF_F32; }
GI_FN double gi_fma_f64(double a, double b, double c) { return fma(a, b, c); }
GI_FN double gi_floor_f64(double a) { return floor(a); }
GI_FN double gi_ceil_f64(double a) { return ceil(a); }
GI_FN double gi_trunc_f64(double a) { return trunc(a); }
GI_FN bool gi_argmax_better_f64(double a, double b) { return a > b || (a != a && b == b); }
GI_FN bool gi_argmin_better_f64(double a, double b) { return a < b || (a != a && b == b); }
GI_FN int32_t gi_i32_of_f64(double x) {
    return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : (int32_t)0x80000000;
}
GI_FN int64_t gi_i64_of_f64(double x) {
    return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : (int64_t)0x8000000000000000;
}
#endif

/* gi_cast_TO_FROM, by C types: GI_CAST(to, from, x) */
#define GI_FROM_EXACT(TO, FROM)                                                                    \
    GI_FN TO gi_cast_##TO##_##FROM(FROM x) { return (TO)x; }
#define GI_TO_BOOL(FROM)                                                                           \
    GI_FN bool gi_cast_bool_##FROM(FROM x) { return x != 0; }
#define GI_FROM_FLOAT(FROM, f)                                                                     \
    GI_FN uint8_t gi_cast_uint8_t_##FROM(FROM x) { return (uint8_t)gi_i32_of_##f(x); }             \
    GI_FN int8_t gi_cast_int8_t_##FROM(FROM x) { return (int8_t)gi_i32_of_##f(x); }                \
    GI_FN int16_t gi_cast_int16_t_##FROM(FROM x) { return (int16_t)gi_i32_of_##f(x); }             \
    GI_FN int32_t gi_cast_int32_t_##FROM(FROM x) { return gi_i32_of_##f(x); }                      \
    GI_FN int64_t gi_cast_int64_t_##FROM(FROM x) { return gi_i64_of_##f(x); }                      \
    GI_TO_BOOL(FROM)
#define GI_TO_ALL(FROM)                                                                            \
    GI_FROM_EXACT(uint8_t, FROM)                                                                   \
    GI_FROM_EXACT(int8_t, FROM)                                                                    \
    GI_FROM_EXACT(int16_t, FROM)                                                                   \
    GI_FROM_EXACT(int32_t, FROM) GI_FROM_EXACT(int64_t, FROM) GI_FROM_EXACT(float, FROM)
GI_TO_ALL(bool)
GI_TO_ALL(uint8_t)
GI_TO_ALL(int8_t)
GI_TO_ALL(int16_t)
GI_TO_ALL(int32_t)
GI_TO_ALL(int64_t)
GI_TO_BOOL(uint8_t)
GI_TO_BOOL(int8_t)
GI_TO_BOOL(int16_t)
GI_TO_BOOL(int32_t)
GI_TO_BOOL(int64_t)
GI_FROM_FLOAT(float, f32)
#if GI_HAS_F64
GI_FROM_EXACT(double, bool)
GI_FROM_EXACT(double, uint8_t)
GI_FROM_EXACT(double, int8_t)
GI_FROM_EXACT(double, int16_t)
GI_FROM_EXACT(double, int32_t)
GI_FROM_EXACT(double, int64_t)
GI_FROM_EXACT(double, float)
GI_FROM_EXACT(float, double)
GI_FROM_FLOAT(double, f64)
#endif

#endif
