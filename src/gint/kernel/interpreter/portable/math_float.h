/* Float helpers with the results of eager torch on CPU: maximum, minimum, sign, round, division
 * with rounding, fmod, remainder, reciprocal, rsqrt; float32 and float64.
 *
 * gi_fmod and what stands on it call the C library. The _fast forms vectorise and are the same bits
 * where their is_far is 0, that is, where the quotient fits a float: guess a block of arguments,
 * and mend those that are far.
 */
#ifndef GI_MATH_FLOAT_H
#define GI_MATH_FLOAT_H

#include "math_base.h"

/* NaN where either is NaN */
GI_FN float gi_nan_to_zero_f32(float a) { return a == a ? a : 0.0f; }
GI_FN float gi_maximum_f32(float a, float b) {
    float m = a > b ? a : b;
    return a != a ? a : m;
}
GI_FN float gi_minimum_f32(float a, float b) {
    float m = a < b ? a : b;
    return a != a ? a : m;
}
/* the other one where one is NaN */
GI_FN float gi_fmax_f32(float a, float b) {
    float m = a > b ? a : b;
    return b != b ? a : m;
}
GI_FN float gi_fmin_f32(float a, float b) {
    float m = a < b ? a : b;
    return b != b ? a : m;
}
/* an infinity beats NaN; the squares of floats are exact in double and do not overflow there */
#if GI_HAS_F64
GI_FN float gi_hypot_f32(float a, float b) {
    float r = (float)sqrt((double)a * (double)a + (double)b * (double)b);
    int infinite = (gi_abs_f32(a) == GI_INF_F32) | (gi_abs_f32(b) == GI_INF_F32);
    return infinite ? GI_INF_F32 : r;
}
/* Scaled where squares would overflow or lose digits. */
GI_FN double gi_hypot_f64(double a, double b) {
    double x = gi_abs_f64(a), y = gi_abs_f64(b), large = x > y ? x : y;
    double scale = large > 0x1p500 ? 0x1p-600 : (large < 0x1p-400 ? 0x1p600 : 1.0);
    double back = large > 0x1p500 ? 0x1p600 : (large < 0x1p-400 ? 0x1p-600 : 1.0);
    double u = x * scale, v = y * scale, r = sqrt(u * u + v * v) * back;
    int infinite = (x == GI_INF_F64) | (y == GI_INF_F64);
    return infinite ? GI_INF_F64 : r;
}
#else
GI_FN float gi_hypot_f32(float a, float b) {
    int infinite = (gi_abs_f32(a) == GI_INF_F32) | (gi_abs_f32(b) == GI_INF_F32);
    return infinite ? GI_INF_F32 : hypot(a, b);
}
#endif
/* 0 for zeros and NaN */
GI_FN float gi_sign_f32(float x) { return (float)((x > 0.0f) - (x < 0.0f)); }
GI_FN float gi_round_f32(float x) { return GI_RINTF(x); }
GI_FN float gi_sqrt_f32(float x) { return GI_SQRTF(x); }
GI_GENERIC gi_f gi_rsqrt_f32(gi_f x) { return 1.0f / gi_sqrt_f32(x); }
GI_FN float gi_reciprocal_f32(float x) { return 1.0f / x; }
GI_FN float gi_trunc_div_f32(float a, float b) { return GI_TRUNCF(a / b); }

/* fmod's result made to follow the divisor's sign (Python's %) */
GI_FN float gi_remainder_of_f32(float mod, float b) {
    int other = (mod != 0.0f) & ((b < 0.0f) != (mod < 0.0f));
    return other ? mod + b : mod;
}
/* c10::div_floor_floating, from fmod's result */
GI_FN float gi_floor_div_of_f32(float mod, float a, float b) {
    float ratio = a / b;
    float div = (a - mod) / b;
    int other = (mod != 0.0f) & ((b < 0.0f) != (mod < 0.0f));
    div = other ? div - 1.0f : div;
    float down = GI_FLOORF(div);
    down = div - down > 0.5f ? down + 1.0f : down;
    down = div != 0.0f ? down : gi_copysign_f32(0.0f, ratio);
    return b == 0.0f ? ratio : down;
}

GI_FN float gi_fmod_f32(float a, float b) { return GI_FMODF(a, b); }
GI_FN float gi_remainder_f32(float a, float b) { return gi_remainder_of_f32(gi_fmod_f32(a, b), b); }
GI_FN float gi_floor_div_f32(float a, float b) {
    return gi_floor_div_of_f32(gi_fmod_f32(a, b), a, b);
}

#if GI_HAS_F64

/* a - trunc(a / b) b, exact where |a / b| < 2^22, and the quotient. A quotient that was rounded up
 * to a whole number leaves a rest of the other sign, to which b is added. Rests are multiples of
 * b's last place and not larger than b: no rounding. */
#if GI_FUSES
GI_FN float gi_fmod_divide_f32(float a, float b, float *quotient) {
    float q = GI_TRUNCF(a / b), rest = gi_abs_f32(a) < gi_abs_f32(b) ? a : GI_FMAF(-q, b, a);
    int over = (rest != 0.0f) & gi_signs_differ_f32(rest, a);
    rest = over ? rest + gi_copysign_f32(b, a) : rest;
    *quotient = over ? q - gi_copysign_f32(1.0f, q) : q;
    return rest;
}
#else
/* In double neither rounds. */
GI_FN float gi_fmod_divide_f32(float a, float b, float *quotient) {
    double q = GI_TRUNC((double)a / (double)b);
    *quotient = (float)q;
    return gi_abs_f32(a) < gi_abs_f32(b) ? a : (float)((double)a - q * (double)b);
}
#endif
GI_FN int gi_fmod_f32_is_far(float a, float b) {
    return (gi_abs_f32(a / b) >= 0x1p22f) & (gi_abs_f32(a) < GI_INF_F32) & (b != 0.0f);
}
GI_FN float gi_fmod_f32_fast(float a, float b) {
    float q;
    return gi_copysign_f32(gi_fmod_divide_f32(a, b, &q), a);
}
GI_FN int gi_remainder_f32_is_far(float a, float b) { return gi_fmod_f32_is_far(a, b); }
GI_FN float gi_remainder_f32_fast(float a, float b) {
    float rest = gi_fmod_f32_fast(a, b);
    int other = (rest != 0.0f) & gi_signs_differ_f32(a, b);
    return other ? rest + b : rest;
}
GI_FN int gi_floor_div_f32_is_far(float a, float b) { return gi_fmod_f32_is_far(a, b); }
/* The quotient towards zero, 1 less where the signs differ and something is left. */
GI_FN float gi_floor_div_f32_fast(float a, float b) {
    float q, ratio = a / b, rest = gi_fmod_divide_f32(a, b, &q);
    int other = (rest != 0.0f) & gi_signs_differ_f32(a, b);
    q = other ? q - 1.0f : q;
    q = q != 0.0f ? q : gi_copysign_f32(0.0f, ratio);
    q = rest == rest ? q : rest;
    return b == 0.0f ? ratio : q;
}

GI_FN double gi_nan_to_zero_f64(double a) { return a == a ? a : 0.0; }
GI_FN double gi_maximum_f64(double a, double b) {
    double m = a > b ? a : b;
    return a != a ? a : m;
}
GI_FN double gi_minimum_f64(double a, double b) {
    double m = a < b ? a : b;
    return a != a ? a : m;
}
GI_FN double gi_fmax_f64(double a, double b) {
    double m = a > b ? a : b;
    return b != b ? a : m;
}
GI_FN double gi_fmin_f64(double a, double b) {
    double m = a < b ? a : b;
    return b != b ? a : m;
}
GI_FN double gi_sign_f64(double x) { return (double)((x > 0.0) - (x < 0.0)); }
GI_FN double gi_round_f64(double x) { return rint(x); }
GI_FN double gi_sqrt_f64(double x) { return sqrt(x); }
GI_FN double gi_rsqrt_f64(double x) { return 1.0 / sqrt(x); }
GI_FN double gi_reciprocal_f64(double x) { return 1.0 / x; }
GI_FN double gi_trunc_div_f64(double a, double b) { return trunc(a / b); }
GI_FN double gi_fmod_f64(double a, double b) { return fmod(a, b); }
GI_FN double gi_remainder_of_f64(double mod, double b) {
    gi_i64 other = (mod != 0.0) & ((b < 0.0) != (mod < 0.0));
    return other ? mod + b : mod;
}
GI_FN double gi_remainder_f64(double a, double b) { return gi_remainder_of_f64(fmod(a, b), b); }
GI_FN double gi_floor_div_f64(double a, double b) {
    double mod = fmod(a, b), ratio = a / b;
    double div = (a - mod) / b;
    int other = (mod != 0.0) & ((b < 0.0) != (mod < 0.0));
    div = other ? div - 1.0 : div;
    double down = floor(div);
    down = div - down > 0.5 ? down + 1.0 : down;
    down = div != 0.0 ? down : copysign(0.0, ratio);
    return b == 0.0 ? ratio : down;
}

/* As in float32. Without one instruction for a * b + c everything is far. */
#if GI_FUSES
GI_FN double gi_fmod_divide_f64(double a, double b, double *quotient) {
    double q = GI_TRUNC(a / b), rest = gi_abs_f64(a) < gi_abs_f64(b) ? a : GI_FMA(-q, b, a);
    gi_i64 over = (rest != 0.0) & gi_signs_differ_f64(rest, a);
    rest = over ? rest + gi_copysign_f64(b, a) : rest;
    *quotient = over ? q - gi_copysign_f64(1.0, q) : q;
    return rest;
}
GI_FN gi_i64 gi_fmod_f64_is_far(double a, double b) {
    return (gi_abs_f64(a / b) >= 0x1p51) & (gi_abs_f64(a) < GI_INF_F64) & (b != 0.0);
}
GI_FN double gi_fmod_f64_fast(double a, double b) {
    double q;
    return gi_copysign_f64(gi_fmod_divide_f64(a, b, &q), a);
}
GI_FN double gi_remainder_f64_fast(double a, double b) {
    double rest = gi_fmod_f64_fast(a, b);
    gi_i64 other = (rest != 0.0) & gi_signs_differ_f64(a, b);
    return other ? rest + b : rest;
}
GI_FN double gi_floor_div_f64_fast(double a, double b) {
    double q, ratio = a / b, rest = gi_fmod_divide_f64(a, b, &q);
    gi_i64 other = (rest != 0.0) & gi_signs_differ_f64(a, b);
    q = other ? q - 1.0 : q;
    q = q != 0.0 ? q : gi_copysign_f64(0.0, ratio);
    q = rest == rest ? q : rest;
    return b == 0.0 ? ratio : q;
}
#else
GI_FN gi_i64 gi_fmod_f64_is_far(double a, double b) { return (a == a) | (b == b) | 1; }
GI_FN double gi_fmod_f64_fast(double a, double b) { return a + b; }
GI_FN double gi_remainder_f64_fast(double a, double b) { return a + b; }
GI_FN double gi_floor_div_f64_fast(double a, double b) { return a + b; }
#endif
GI_FN gi_i64 gi_remainder_f64_is_far(double a, double b) { return gi_fmod_f64_is_far(a, b); }
GI_FN gi_i64 gi_floor_div_f64_is_far(double a, double b) { return gi_fmod_f64_is_far(a, b); }

#endif
#endif
