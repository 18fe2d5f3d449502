/* sin, cos, tan, asin, acos, atan, atan2 in float64. Coefficients: tools/fit_polynomials.py.
 *
 * gi_sin_f64, gi_cos_f64, gi_tan_f64 are the C library's; the _fast forms vectorise, and are right
 * where their is_far is 0 (|x| < 2^20, infinities, NaN). */
#ifndef GI_MATH_TRIG_F64_H
#define GI_MATH_TRIG_F64_H

#include "math_base.h"

#if GI_HAS_F64

GI_FN gi_i64 gi_trig_is_far_f64(double x) {
    double a = gi_abs_f64(x);
    return (a >= 0x1p20) & (a < GI_INF_F64);
}

/* a + b, and what its rounding lost (Knuth) */
GI_FN double gi_two_sum(double a, double b, double *lost) {
    double sum = a + b, part = sum - a;
    *lost = (a - (sum - part)) + (b - part);
    return sum;
}

/* The quadrant in the two low bits; x - quadrant * pi/2 as *r + *lost, |r| < 0.79. pi/2 in three
 * pieces of 33 bits, whose products are exact, and the rest (Cody and Waite, 1980). */
GI_FN gi_u64 gi_trig_reduce_f64(double x, double *r, double *lost) {
    double shifted = GI_FMA(x, 0x1.45f306dc9c883p-1, 0x1.8p52), n = shifted - 0x1.8p52;
    double low, lower,
        a = gi_two_sum(x - n * 0x1.921fb54400000p+0, -(n * 0x1.0b4611a600000p-34), &low);
    a = gi_two_sum(a, -(n * 0x1.3198a2e000000p-69), &lower);
    low = (low + lower) - n * 0x1.b839a252049c1p-104;
    *r = a + low;
    *lost = (a - *r) + low;
    return gi_bits_f64(shifted);
}

/* sin(r + lost) = r + tail, cos(r + lost) = 1 + tail (SIN_F64, COS_F64); the latter rounded once,
 * *lost2 is what that lost */
GI_FN double gi_sin_tail_f64(double r, double lost) {
    double z = r * r;
    double q = gi_poly7_f64(z, -0x1.5555555555555p-3, 0x1.111111111110bp-7, -0x1.a01a01a018a35p-13,
                            0x1.71de3a532bf90p-19, -0x1.ae64528771568p-26, 0x1.6120885dd57c8p-33,
                            -0x1.aaa04f09031aep-41);
    return GI_FMA(z * r, q, GI_FMA(-0.5 * z, lost, lost));
}
GI_FN double gi_cos_tail_f64(double r, double lost, double *rest) {
    double z = r * r, part = 0.5 * z, w = 1.0 - part;
    double q = gi_poly7_f64(z, 0x1.5555555555555p-5, -0x1.6c16c16c16c10p-10, 0x1.a01a01a018dbfp-16,
                            -0x1.27e4fb75fa997p-22, 0x1.1eed8ca066853p-29, -0x1.9393348270f49p-37,
                            0x1.aac3f764e04fdp-45);
    *rest = ((1.0 - w) - part) + GI_FMA(z * z, q, -(r * lost));
    return w;
}
GI_FN double gi_sin_quadrant_f64(double r, double lost, gi_u64 quadrant) {
    double rest, s = r + gi_sin_tail_f64(r, lost), c = gi_cos_tail_f64(r, lost, &rest) + rest;
    return gi_f64_bits(gi_bits_f64((quadrant & 1u) ? c : s) ^ ((quadrant & 2u) << 62));
}

GI_FN gi_i64 gi_sin_f64_is_far(double x) { return gi_trig_is_far_f64(x); }
GI_FN gi_i64 gi_cos_f64_is_far(double x) { return gi_trig_is_far_f64(x); }
GI_FN gi_i64 gi_tan_f64_is_far(double x) { return gi_trig_is_far_f64(x); }
GI_FN double gi_sin_f64_fast(double x) {
    double r, lost;
    gi_u64 q = gi_trig_reduce_f64(x, &r, &lost);
    double y = gi_sin_quadrant_f64(r, lost, q);
    return x == 0.0 ? x : y;
}
GI_FN double gi_cos_f64_fast(double x) {
    double r, lost;
    gi_u64 q = gi_trig_reduce_f64(x, &r, &lost);
    return gi_sin_quadrant_f64(r, lost, q + 1u);
}
/* sin / cos or -cos / sin, both in two pieces; what they lost corrects the quotient */
GI_FN double gi_tan_f64_fast(double x) {
    double r, lost, c_low;
    gi_u64 odd = gi_trig_reduce_f64(x, &r, &lost) & 1u;
    double s_tail = gi_sin_tail_f64(r, lost), c_high = gi_cos_tail_f64(r, lost, &c_low);
    double s = r + s_tail, s_rest = (r - s) + s_tail;
    double c = c_high + c_low, c_rest = (c_high - c) + c_low;
    double above = odd ? -c : s, above_rest = odd ? -c_rest : s_rest;
    double below = odd ? s : c, below_rest = odd ? s_rest : c_rest;
    double q = above / below, y = q + (above_rest - q * below_rest) / below;
    return x == 0.0 ? x : y;
}
GI_FN double gi_sin_f64(double x) { return sin(x); }
GI_FN double gi_cos_f64(double x) { return cos(x); }
GI_FN double gi_tan_f64(double x) { return tan(x); }

#define GI_PIO2_HI_F64 0x1.921fb54442d18p+0
#define GI_PIO2_LO_F64 0x1.1a62633145c07p-54

/* asin(t) = t + t q(z) z, z = t^2 <= 1/4 (ASIN_F64) */
GI_FN double gi_asin_q_f64(double z) {
    return z * gi_poly12_f64(z, 0x1.5555555555390p-3, 0x1.333333336e7b3p-4, 0x1.6db6db427d5e0p-5,
                             0x1.f1c72c3819211p-6, 0x1.6e89f453de907p-6, 0x1.1c6be08a1a6e9p-6,
                             0x1.c6fdd6dd9b8f9p-7, 0x1.8ec275326351ep-7, 0x1.abd3d6a450e62p-8,
                             0x1.3ff1a848325fep-6, -0x1.09ce847cb92a3p-6, 0x1.056bdb2cbdaa3p-5);
}
/* z = (1 - a) / 2: *low is what its root, in 26 bits, lacks */
GI_FN double gi_asin_root_f64(double z, double *low) {
    double root = sqrt(z), high = gi_f64_bits(gi_bits_f64(root) & 0xfffffffff8000000u);
    double rest = (z - high * high) / (root + high);
    *low = root == 0.0 ? 0.0 : rest;
    return high;
}

/* asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)) from 1/2 up */
GI_FN double gi_asin_f64(double x) {
    double a = gi_abs_f64(x), low;
    int big = a >= 0.5;
    double z = big ? 0.5 * (1.0 - a) : a * a, q = gi_asin_q_f64(z);
    double t = gi_asin_root_f64(z, &low), w = GI_FMA(q, t + low, low);
    double y = (GI_PIO2_HI_F64 - 2.0 * t) - (2.0 * w - GI_PIO2_LO_F64);
    return gi_copysign_f64(big ? y : GI_FMA(q, a, a), x);
}

GI_FN double gi_acos_f64(double x) {
    double a = gi_abs_f64(x), low;
    int big = a >= 0.5;
    double z = big ? 0.5 * (1.0 - a) : a * a, q = gi_asin_q_f64(z);
    double t = gi_asin_root_f64(z, &low), w = GI_FMA(q, t + low, low);
    double wide = x < 0.0 ? (GI_PIO2_HI_F64 - t) - (w - GI_PIO2_LO_F64) : t + w;
    double y = GI_PIO2_HI_F64 - (x - (GI_PIO2_LO_F64 - x * q));
    return big ? 2.0 * wide : y;
}

/* (ATAN_F64, up to 1/2) */
GI_FN double gi_atan_q_f64(double z) {
    return gi_poly12_f64(z, -0x1.5555555555516p-2, 0x1.999999999115ep-3, -0x1.249249215e671p-3,
                         0x1.c71c709110316p-4, -0x1.745cf4ceb1aaep-4, 0x1.3b113df337ad0p-4,
                         -0x1.10f320f7e68f7p-4, 0x1.dfe98f56322efp-5, -0x1.a398c81f80c1ap-5,
                         0x1.56f6c9bf75ee2p-5, -0x1.c182e8c49a767p-6, 0x1.4b882c7416ba8p-7);
}
/* sign * atan(t + low) + m * pi/4, m from 0 to 4 */
GI_FN double gi_atan_turned_f64(double t, double low, double m, double sign) {
    double z = t * t;
    double w = GI_FMA(sign * t, z * gi_atan_q_f64(z), m * (0.5 * GI_PIO2_LO_F64));
    w = GI_FMA(sign * low, 1.0 - z, w);
    return m * (0.5 * GI_PIO2_HI_F64) + (w + sign * t);
}

/* Slopes above 1 by their inverse; from 1/2 up they turn by pi/4, (a - 1) / (a + 1). */
GI_FN double gi_atan_f64(double x) {
    double a = gi_abs_f64(x);
    int steep = a > 1.0;
    double small = steep ? 1.0 : a, large = steep ? a : 1.0;
    int turn = small + small >= large;
    double t = (turn ? small - large : small) / (turn ? small + large : large);
    double sign = steep ? -1.0 : 1.0, quarters = steep ? 2.0 : 0.0;
    double m = turn ? quarters + sign : quarters;
    return gi_copysign_f64(gi_atan_turned_f64(t, 0.0, m, sign), x);
}

/* The same of y / x, with what rounding lost of the quotient. Scaled, so that sums and inverses
 * stay finite, and that what a quotient that is no zero lost is a number. */
GI_FN double gi_atan2_f64(double y, double x) {
    double a = gi_abs_f64(y), b = gi_abs_f64(x);
    int steep = a > b, back = gi_signs_differ_f64(x, 1.0) != 0;
    double small = steep ? b : a, large = steep ? a : b;
    double scale = large > 0x1p500 ? 0x1p-4 : 0x1p500;
    small *= scale;
    large *= scale;
    small = large == GI_INF_F64 ? (small == GI_INF_F64 ? 1.0 : 0.0) : small;
    large = ((large == GI_INF_F64) | (large == 0.0)) ? 1.0 : large;
    int turn = small + small >= large;
    double above = turn ? small - large : small, below = turn ? small + large : large, low;
    double t = gi_quotient_f64(above, 0.0, below, turn ? (large - below) + small : 0.0, &low);
    double sign = steep != back ? -1.0 : 1.0, flat = back ? 4.0 : 0.0;
    double quarters = steep ? 2.0 : flat;
    double r = gi_atan_turned_f64(t, low, turn ? quarters + sign : quarters, sign);
    r = ((x != x) | (y != y)) ? GI_NAN_F64 : r;
    return gi_copysign_f64(r, y);
}

#endif
#endif
