/* pow in float32, through double; in float64 it is the C library's. Coefficients:
 * tools/fit_polynomials.py. Special cases as in C99, annex F. */
#ifndef GI_MATH_POW_H
#define GI_MATH_POW_H

#include "math_base.h"

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

GI_FN double gi_pow_f64(double x, double y) { return pow(x, y); }

#else

GI_FN float gi_pow_f32(float x, float y) { return pow(x, y); }

#endif
#endif
