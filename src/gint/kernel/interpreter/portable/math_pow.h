/* pow in float32, through double, and in float64, through pairs of doubles. Coefficients:
 * tools/fit_polynomials.py. Special cases as in C99, annex F. */
#ifndef GI_MATH_POW_H
#define GI_MATH_POW_H

#include "math_log_f64.h"

#if GI_HAS_F64

/* log2(m 2^e) = e + s q(s^2), s = (m - 1) / (m + 1), m from sqrt(1/2) to sqrt(2) (POW_LOG2): 45
 * bits. For a >= 0, zero, infinity and NaN included. */
GI_FN double gi_pow_log2(float a) {
    int tiny = a < 0x1p-126f;
    gi_u32 u = gi_bits_f32(tiny ? a * 0x1p25f : a) - 0x3f3504f3u;
    gi_i32 e = ((gi_i32)u >> 23) - (tiny ? 25 : 0);
    double m = (double)gi_f32_bits((u & 0x007fffffu) + 0x3f3504f3u);
    double s = (m - 1.0) / (m + 1.0), z = s * s;
    double q = gi_poly6_f64(z, 0x1.71547652b8251p+1, 0x1.ec709dc53c599p-1, 0x1.2776c2934cca4p-1,
                            0x1.a61a2ebe010cap-2, 0x1.4795583c66275p-2, 0x1.21b0cb5d250c5p-2);
    q = GI_FMA(q, s, (double)e);
    float edge = a == 0.0f ? -GI_INF_F32 : a;
    int finite = (a > 0.0f) & (a < GI_INF_F32);
    return finite ? q : (double)edge;
}

/* 2^t = 2^n q(t - n) (POW_EXP2): 34 bits; conversion to float overflows and denormalises, rounding
 * once */
GI_FN float gi_pow_exp2(double t) {
    t = t > 130.0 ? 130.0 : t;
    t = t < -160.0 ? -160.0 : t;
    double shifted = t + 0x1.8p52;
    double r = t - (shifted - 0x1.8p52);
    double q = gi_poly8_f64(r, 0x1.ffffffffabb9ep-1, 0x1.62e42ff116297p-1, 0x1.ebfbe0a4bd14ap-3,
                            0x1.c6b08aaf28627p-5, 0x1.3b29dc42db9a4p-7, 0x1.5d8a7096eb3c4p-10,
                            0x1.446a1e1fe0552p-13, 0x1.fe176c29b6228p-17);
    return (float)gi_f64_bits(gi_bits_f64(q) + (gi_bits_f64(shifted) << 52));
}

GI_FN float gi_pow_f32(float x, float y) {
    float a = gi_abs_f32(x), y_half = y * 0.5f;
    int whole = GI_RINTF(y) == y, odd = whole & (GI_RINTF(y_half) != y_half);
    double t = (double)y * gi_pow_log2(a);
    t = ((a == 1.0f) & (gi_abs_f32(y) == GI_INF_F32)) ? 0.0 : t;
    float p = gi_pow_exp2(t);
    p = odd ? gi_mulsign_f32(p, x) : p;
    p = ((x < 0.0f) & (a < GI_INF_F32) & !whole) ? GI_NAN_F32 : p;
    return ((y == 0.0f) | (x == 1.0f)) ? 1.0f : p;
}

/* log2(a) as the sum of what is returned and *low, to 66 bits: a = 2^e m, log(m) = s (2 + z (2/3 +
 * z q(z))), s = (m - 1) / (m + 1), z = s^2 (POW_LOG_F64); every sum and product but those of q with
 * what rounding lost of it. For a > 0; 0 and infinity have infinite logarithms. */
GI_FN double gi_pow_log2_f64(double a, double *low) {
    double f, e = gi_log_split_f64(a, &f), sum = 2.0 + f, s_low;
    double s = gi_quotient_f64(f, 0.0, sum, (2.0 - sum) + f, &s_low);
    double z = s * s, z_low = GI_FMA(s + s, s_low, gi_lost_f64(s, s, z));
    double q = gi_poly9_f64(z, 0x1.999999999999ap-2, 0x1.249249249246fp-2, 0x1.c71c71c722853p-3,
                            0x1.745d1741763a7p-3, 0x1.3b13b314decb7p-3, 0x1.111093a054ec4p-3,
                            0x1.e20bade931302p-4, 0x1.aae8b8bdffc02p-4, 0x1.c333b4d3c0a61p-4);
    double c = 0x1.5555555555555p-1, v = GI_FMA(z, q, 0x1.5555555555555p-55);
    double p = c + v, p_low = (c - p) + v;
    double t = z * p, t_low = gi_lost_f64(z, p, t) + GI_FMA(z, p_low, z_low * p);
    double g = s * t, g_low = gi_lost_f64(s, t, g) + GI_FMA(s, t_low, s_low * t);
    double h = 2.0 * s + g, h_low = ((2.0 * s - h) + g) + (2.0 * s_low + g_low);
    double k = h * 0x1.71547652b82fep+0;
    double k_low = gi_lost_f64(h, 0x1.71547652b82fep+0, k) +
                   GI_FMA(h, 0x1.777d0ffda0d24p-56, h_low * 0x1.71547652b82fep+0);
    double y = e + k;
    gi_i64 finite = (a > 0.0) & (a < GI_INF_F64);
    *low = finite ? ((e - y) + k) + k_low : 0.0;
    return finite ? y : (a == 0.0 ? -GI_INF_F64 : a);
}

/* 2^(y log2 |x|): what is beyond 1100 is 0 or infinity */
GI_FN double gi_pow_f64(double x, double y) {
    double a = gi_abs_f64(x), y_half = y * 0.5, low;
    gi_i64 whole = GI_TRUNC(y) == y, odd = whole & (GI_TRUNC(y_half) != y_half);
    double l = gi_pow_log2_f64(a, &low), t = y * l;
    double t_low = gi_lost_f64(y, l, t) + y * low;
    t_low = gi_abs_f64(t) < 1100.0 ? t_low : 0.0;
    t = ((a == 1.0) & (gi_abs_f64(y) == GI_INF_F64)) ? 0.0 : t;
    t = gi_abs_f64(t) > 1100.0 ? gi_copysign_f64(1100.0, t) : t;
    double shifted = t + (0x1.8p52 + 2046.0), r = (t - (shifted - (0x1.8p52 + 2046.0))) + t_low;
    double p = gi_scale_f64(gi_exp_p_f64(r * 0x1.62e42fefa39efp-1) + 1.0, gi_bits_f64(shifted));
    p = odd ? gi_copysign_f64(p, x) : p;
    p = ((x < 0.0) & (a < GI_INF_F64) & !whole) ? GI_NAN_F64 : p;
    return ((y == 0.0) | (x == 1.0)) ? 1.0 : p;
}

#else

GI_FN float gi_pow_f32(float x, float y) { return pow(x, y); }

#endif
#endif
