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

/* x - n pi/2 as r - *over, for whole numbers n of at most 20 bits that leave |r| < 1.58; x - n pi/2
 * as it is must be exact for a pi/2 of 33 bits. Pieces of 33, 53 and 53 bits (Cody and Waite,
 * 1980); what the second product and difference lose is carried along (the first difference is a
 * multiple of the product's last place, so Dekker's sum has it). Signs are such that of -0 only -0
 * is left.
 */
GI_FN double gi_trig_reduce_f64(double x, double n, double *over) {
    double high = GI_FMA(n, -0x1.921fb54400000p+0, x), middle = n * 0x1.0b4611a626331p-34;
    double near = high - middle, lost = gi_lost_f64(n, 0x1.0b4611a626331p-34, middle);
    double low = GI_FMA(n, 0x1.1701b839a2520p-88, lost) - ((high - near) - middle);
    double r = near - low;
    *over = (r - near) + low;
    return r;
}

/* sin(r - over) = r - r^3/6 + r^5 q(r^2) (SIN_F64), with what rounding r^2 and r^3 lost */
#define GI_SIXTH_F64 0x1.5555555555555p-3
GI_FN double gi_sin_of_rest_f64(double r, double over) {
    double z = r * r, cube = z * r;
    double lost = GI_FMA(gi_lost_f64(r, r, z), r, gi_lost_f64(z, r, cube));
    double cos = GI_FMA(z, GI_FMA(z, 0x1.5555555555555p-5, -0.5), 1.0);
    double q = gi_poly7_f64(z, -0x1.11111111110c1p-7, 0x1.a01a01a0148a6p-13, -0x1.71de3a528724ap-19,
                            0x1.ae6454cb09ffep-26, -0x1.6123cb14ec028p-33, 0x1.ae431833f0c39p-41,
                            -0x1.88290d5b65e15p-49);
    double rest = GI_FMA(cube * z, q, GI_FMA(lost, GI_SIXTH_F64, cos * over));
    return GI_FMA(cube, -GI_SIXTH_F64, r) - rest;
}

/* tan(r - over) = r + r^3 q(r^2) (TAN_F64) as the sum of what is returned and *low, |r| < 0.79 */
GI_FN double gi_tan_of_rest_f64(double r, double over, double *low) {
    double z = r * r;
    double q = gi_poly14_f64(z, 0x1.55555555554eep-2, 0x1.1111111118675p-3, 0x1.ba1ba1b440b30p-5,
                             0x1.664f49b05defap-6, 0x1.226e117bcd54ep-7, 0x1.d6d952ffe0debp-9,
                             0x1.7d59e1680eb80p-10, 0x1.3806fd13c035fp-11, 0x1.d1de149d29148p-13,
                             0x1.1f575d126a233p-13, -0x1.c64c2266803c9p-16, 0x1.79ddd2277646bp-14,
                             -0x1.7b59b21bf9587p-15, 0x1.5f6d090b95423p-16);
    double slope = GI_FMA(z, GI_FMA(z, 0x1.5555555555555p-1, 1.0), 1.0);
    double tail = GI_FMA(z * r, q, -(slope * over)), t = r + tail;
    *low = (r - t) + tail;
    return t;
}

GI_FN gi_i64 gi_sin_f64_is_far(double x) { return gi_trig_is_far_f64(x); }
GI_FN gi_i64 gi_cos_f64_is_far(double x) { return gi_trig_is_far_f64(x); }
GI_FN gi_i64 gi_tan_f64_is_far(double x) { return gi_trig_is_far_f64(x); }

/* Less the nearest even multiple of pi/2, for the sine, and the nearest odd one, for the cosine,
 * what is left is a sine; the second bit of the multiple tells its sign. Adding 1.5 * 2^53 rounds
 * to even numbers. */
#define GI_TO_EVEN_F64 0x1.8p53
GI_FN double gi_flipped_f64(double y, double shifted) {
    return gi_f64_bits(gi_bits_f64(y) ^ (gi_bits_f64(shifted) << 63));
}
GI_FN double gi_sin_f64_fast(double x) {
    double shifted = GI_FMA(x, 0x1.45f306dc9c883p-1, GI_TO_EVEN_F64), over;
    double r = gi_trig_reduce_f64(x, shifted - GI_TO_EVEN_F64, &over);
    return gi_flipped_f64(gi_orsign_f64(gi_sin_of_rest_f64(r, over), r), shifted);
}
/* The first difference is not exact where |x| < pi/4: less what it lost. */
GI_FN double gi_cos_f64_fast(double x) {
    double shifted = GI_FMA(x, 0x1.45f306dc9c883p-1, -1.0) + GI_TO_EVEN_F64, over;
    double n = (shifted - GI_TO_EVEN_F64) + 1.0, first = n * 0x1.921fb54400000p+0;
    double r = gi_trig_reduce_f64(x, n, &over);
    over -= x - ((x - first) + first);
    return gi_flipped_f64(-gi_sin_of_rest_f64(r, over), shifted);
}
/* The tangent of what is left, or -1 over it, where the multiple of pi/2 is odd. */
GI_FN double gi_tan_f64_fast(double x) {
    double shifted = GI_FMA(x, 0x1.45f306dc9c883p-1, 0x1.8p52), over, low;
    double r = gi_trig_reduce_f64(x, shifted - 0x1.8p52, &over);
    double t = gi_tan_of_rest_f64(r, over, &low), inverse = -1.0 / t;
    double turned = GI_FMA(inverse, GI_FMA(inverse, low, gi_rest_f64(1.0, -inverse, t)), inverse);
    return (gi_bits_f64(shifted) & 1u) ? turned : gi_orsign_f64(t, r);
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
/* The root of z, up to 1/4; *low is what rounding it lost, by an inverse of the root from the bits
 * of z: a twentieth off, which is enough. */
GI_FN double gi_asin_root_f64(double z, double *low) {
    double root = sqrt(z), half_inverse = gi_f64_bits(0x5fd6eb50c7b537a9u - (gi_bits_f64(z) >> 1));
    *low = gi_rest_f64(z, root, root) * half_inverse;
    return root;
}
/* pi/2 - x, 0 <= x <= 1, and what the difference and pi/2 itself lost */
GI_FN double gi_pio2_minus_f64(double x, double *low) {
    double y = GI_PIO2_HI_F64 - x;
    *low = ((GI_PIO2_HI_F64 - y) - x) + GI_PIO2_LO_F64;
    return y;
}

/* asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)) from 1/2 up */
GI_FN double gi_asin_f64(double x) {
    double a = gi_abs_f64(x), low, y_low;
    int big = a >= 0.5;
    double z = big ? GI_FMA(a, -0.5, 0.5) : a * a, q = gi_asin_q_f64(z);
    double t = gi_asin_root_f64(z, &low), w = GI_FMA(q, t, low);
    double y = gi_pio2_minus_f64(2.0 * t, &y_low) - GI_FMA(2.0, w, -y_low);
    return gi_copysign_f64(big ? y : GI_FMA(q, a, a), x);
}

GI_FN double gi_acos_f64(double x) {
    double a = gi_abs_f64(x), low, y_low;
    int big = a >= 0.5;
    double z = big ? GI_FMA(a, -0.5, 0.5) : a * a, q = gi_asin_q_f64(z);
    double t = gi_asin_root_f64(z, &low), w = GI_FMA(q, t, low);
    double y = gi_pio2_minus_f64(t, &y_low);
    double wide = x < 0.0 ? y - (w - y_low) : t + w;
    double near = GI_PIO2_HI_F64 - (x - (GI_PIO2_LO_F64 - x * q));
    return big ? 2.0 * wide : near;
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
