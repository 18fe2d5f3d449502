/* log, log2, log10, log1p, asinh, acosh, atanh in float64. Coefficients: tools/fit_polynomials.py.
 */
#ifndef GI_MATH_LOG_F64_H
#define GI_MATH_LOG_F64_H

#include "math_exp_f64.h"

#if GI_HAS_F64

#define GI_SQRT_HALF_BITS_F64 0x3fe6a09e667f3bcdu

/* x = 2^e (1 + f), 1 + f from sqrt(1/2) to sqrt(2); returns e, *f is exact. For positive finite x.
 * The exponent becomes a double by way of the low bits of 2^52. */
GI_FN double gi_log_split_f64(double x, double *f) {
    int tiny = x < 0x1p-1022;
    gi_u64 u = gi_bits_f64(tiny ? x * 0x1p54 : x) - GI_SQRT_HALF_BITS_F64 + ((gi_u64)1023 << 52);
    *f = gi_f64_bits((u & 0x000fffffffffffffu) + GI_SQRT_HALF_BITS_F64) - 1.0;
    return gi_f64_bits((u >> 52) | 0x4330000000000000u) -
           (tiny ? 0x1p52 + 1077.0 : 0x1p52 + 1023.0);
}

/* log(1 + f) = f - (h - s (h + s^2 q(s^2))), h = f^2/2, s = f / (2 + f) (LOG_F64), the arrangement
 * of K. C. Ng's log in fdlibm. Returns the last product. */
GI_FN double gi_log_q_f64(double z) {
    return gi_poly7_f64(z, 0x1.5555555555558p-1, 0x1.9999999995216p-2, 0x1.2492492e049ffp-2,
                        0x1.c71c62cfb063cp-3, 0x1.7462ba418b2fdp-3, 0x1.39fdb7238ec3cp-3,
                        0x1.2b5fcf8046e0cp-3);
}
GI_FN double gi_log_tail_f64(double f, double h) {
    double s = f / (2.0 + f), z = s * s;
    return s * GI_FMA(z, gi_log_q_f64(z), h);
}

/* y where 0 < x < inf; -inf at 0, NaN below, x itself for inf and NaN */
GI_FN double gi_log_edges_f64(double x, double y) {
    y = x < GI_INF_F64 ? y : x;
    y = x == 0.0 ? -GI_INF_F64 : y;
    return x < 0.0 ? GI_NAN_F64 : y;
}

GI_FN double gi_log_f64(double x) {
    double f, e = gi_log_split_f64(x, &f), h = 0.5 * f * f;
    double low = GI_FMA(e, GI_LN2_LO_F64, gi_log_tail_f64(f, h));
    return gi_log_edges_f64(x, GI_FMA(e, GI_LN2_HI_F64, f - (h - low)));
}

/* log(1 + f) times a constant of two pieces, plus e times another: log(1 + f) in two pieces too, of
 * which the first, as the first of the constants, has so few digits that products are exact. */
GI_FN double gi_log_times(double x, double high, double low, double e_high, double e_low) {
    double f, e = gi_log_split_f64(x, &f), h = 0.5 * f * f;
    double first = gi_f64_bits(gi_bits_f64(f - h) & 0xffffffff00000000u);
    double rest = (f - first) - h + gi_log_tail_f64(f, h);
    double whole = e * e_high, part = first * high, sum = whole + part;
    double lost = (whole - sum) + part; /* |whole| > |part| unless e is 0 */
    double tail = GI_FMA(first + rest, low, GI_FMA(rest, high, e * e_low));
    return gi_log_edges_f64(x, sum + (lost + tail));
}
GI_FN double gi_log2_f64(double x) {
    return gi_log_times(x, 0x1.7154765200000p+0, 0x1.705fc2eefa200p-33, 1.0, 0.0);
}
GI_FN double gi_log10_f64(double x) {
    return gi_log_times(x, 0x1.bcb7b15200000p-2, 0x1.b9438ca9aadd5p-36, 0x1.34413509f7000p-2,
                        0x1.3fde623e2566bp-43);
}

/* See gi_log1p_f32. */
GI_FN double gi_log1p_f64(double x) {
    double u = 1.0 + x, c = x >= 1.0 ? 1.0 - (u - x) : x - (u - 1.0);
    gi_u64 b = gi_bits_f64(u) - GI_SQRT_HALF_BITS_F64 + ((gi_u64)1023 << 52), biased = b >> 52;
    double e = gi_f64_bits(biased | 0x4330000000000000u) - (0x1p52 + 1023.0);
    double m = gi_f64_bits((b & 0x000fffffffffffffu) + GI_SQRT_HALF_BITS_F64) - 1.0;
    gi_u64 down = biased > 1123u ? 923u : 2046u - biased;
    double f = e == 0.0 ? x : GI_FMA(c, gi_f64_bits(down << 52), m), h = 0.5 * f * f;
    double low = GI_FMA(e, GI_LN2_LO_F64, gi_log_tail_f64(f, h));
    double y = GI_FMA(e, GI_LN2_HI_F64, f - (h - low));
    y = x < GI_INF_F64 ? y : x;
    y = x == -1.0 ? -GI_INF_F64 : y;
    y = x < -1.0 ? GI_NAN_F64 : y;
    return gi_abs_f64(x) < 0x1p-54 ? x : y;
}

/* log1p(a + a^2 / (1 + sqrt(a^2 + 1))); log(a) + log(2) where a^2 could overflow */
GI_FN double gi_asinh_f64(double x) {
    double a = gi_abs_f64(x);
    int huge = a > 0x1p60;
    double z = huge ? 1.0 : a * a;
    double l = gi_log1p_f64(huge ? a : a + z / (1.0 + sqrt(z + 1.0)));
    return gi_copysign_f64(l + (huge ? 0x1.62e42fefa39efp-1 : 0.0), x);
}

/* log1p(t + sqrt(t^2 + 2 t)), t = x - 1 */
GI_FN double gi_acosh_f64(double x) {
    int huge = x > 0x1p60;
    double t = huge ? 1.0 : x - 1.0;
    double l = gi_log1p_f64(huge ? x : t + sqrt(GI_FMA(t, t, t + t)));
    double y = l + (huge ? 0x1.62e42fefa39efp-1 : 0.0);
    return x < 1.0 ? GI_NAN_F64 : y;
}

/* log(n / d) / 2 = e log(2) / 2 + atanh((n - b) / (n + b)), n = 1 + a, d = 1 - a, b = 2^e d such
 * that n / b lies from sqrt(1/2) to sqrt(2); with what rounding n, d and the quotient lost. The
 * bits of a positive number rise as its logarithm does, which tells e but for one. */
GI_FN double gi_atanh_f64(double x) {
    double a = gi_abs_f64(x);
    double n = 1.0 + a, n_low = a - (n - 1.0), d = 1.0 - a, d_low = (1.0 - d) - a;
    gi_u64 e = (gi_bits_f64(n) - gi_bits_f64(d)) >> 52;
    int more = n > d * gi_pow2_biased_f64(e + 1023u) * 0x1.6a09e667f3bcdp+0;
    e += (gi_u64)more;
    double two = gi_pow2_biased_f64(e + 1023u), b = d * two, b_low = d_low * two;
    double whole = gi_f64_bits(e | 0x4330000000000000u) - 0x1p52, low;
    double sum = n + b, sum_low = n < b ? (b - sum) + n : (n - sum) + b;
    double s = gi_quotient_f64(n - b, n_low - b_low, sum, sum_low + (n_low + b_low), &low);
    s = e == 0 ? a : s;
    low = e == 0 ? 0.0 : low;
    double z = s * s, tail = s * z * (0.5 * gi_log_q_f64(z));
    double y =
        GI_FMA(whole, 0.5 * GI_LN2_HI_F64, s + GI_FMA(whole, 0.5 * GI_LN2_LO_F64, low + tail));
    y = a < 1.0 ? y : GI_NAN_F64;
    return gi_copysign_f64(a == 1.0 ? GI_INF_F64 : y, x);
}

/* See gi_logaddexp_f32. */
GI_FN double gi_logaddexp_f64(double a, double b) {
    double high = a < b ? b : a, low = a < b ? a : b;
    double y = high + gi_log1p_f64(gi_exp_f64(low - high));
    gi_i64 is_whole = (gi_abs_f64(high) == GI_INF_F64) & (low == low);
    return is_whole ? high : y;
}

#endif
#endif
