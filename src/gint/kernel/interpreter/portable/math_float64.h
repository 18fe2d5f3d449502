/* Elementary functions in float64. exp, log, tanh and sigmoid are kernels of our own, which
 * vectorise; the others are the C library's. Coefficients: tools/fit_polynomials.py. */
#ifndef GI_MATH_FLOAT64_H
#define GI_MATH_FLOAT64_H

#include "math_base.h"

#if GI_HAS_F64

GI_FN double gi_pow2_biased_f64(gi_u64 n) { return gi_f64_bits(n << 52); }

/* As gi_exp_p and gi_exp_reduce of math_exp.h: exp(r) - 1 = r + r^2 q(r) (EXP_F64), and x = n ln 2
 * + r */
GI_FN double gi_exp_p_f64(double r) {
    double q = gi_poly10_f64(r, 0x1.0000000000001p-1, 0x1.5555555555558p-3, 0x1.5555555553b6cp-5,
                             0x1.111111110f5f6p-7, 0x1.6c16c1794dfcap-10, 0x1.a01a01b1045f6p-13,
                             0x1.a019b622772ccp-16, 0x1.71ddf3fcf9f84p-19, 0x1.2894f496f0744p-22,
                             0x1.af683bbb28b30p-26);
    return GI_FMA(r * r, q, r);
}
GI_FN gi_u64 gi_exp_reduce_f64(double x, double bias, double *r) {
    double shifted = GI_FMA(x, 0x1.71547652b82fep+0, 0x1.8p52 + bias);
    double n = shifted - (0x1.8p52 + bias);
    *r = GI_FMA(n, -0x1.3de6af278ece6p-42, GI_FMA(n, -0x1.62e42fefa3000p-1, x));
    return gi_bits_f64(shifted);
}
/* exp is 0 or infinity from 750 on */
GI_FN double gi_exp_clamp_f64(double x) {
    return gi_abs_f64(x) > 750.0 ? gi_copysign_f64(750.0, x) : x;
}

GI_FN double gi_exp_f64(double x) {
    double r;
    gi_u64 n = gi_exp_reduce_f64(gi_exp_clamp_f64(x), 2046.0, &r), k = n >> 1;
    return (gi_exp_p_f64(r) + 1.0) * gi_pow2_biased_f64(k) * gi_pow2_biased_f64(n - k);
}

/* See gi_sigmoid_f32. */
GI_FN double gi_sigmoid_f64(double x) {
    double r;
    gi_u64 n = gi_exp_reduce_f64(-gi_exp_clamp_f64(x), 2046.0, &r), k = n >> 1;
    double up = gi_pow2_biased_f64(n - k), down = gi_pow2_biased_f64(2046u - k);
    double low = up < down ? up : down, high = up < down ? down : up;
    return down / (GI_FMA(up, gi_exp_p_f64(r), low) + high);
}

/* t / (t + 2), t = exp(2|x|) - 1 */
GI_FN double gi_tanh_f64(double x) {
    double r, a = gi_abs_f64(x), b = a > 20.0 ? 20.0 : a;
    double s = gi_pow2_biased_f64(gi_exp_reduce_f64(b + b, 1023.0, &r));
    double t = GI_FMA(s, gi_exp_p_f64(r), s - 1.0);
    return gi_copysign_f64(t / (t + 2.0), x);
}

/* x = 2^e (1 + f); log(1 + f) = f - (h - s (h + s^2 q(s^2))), h = f^2/2, s = f / (2 + f) (LOG_F64),
 * the arrangement of K. C. Ng's log in fdlibm. The exponent becomes a double by way of the low bits
 * of 2^52. */
GI_FN double gi_log_f64(double x) {
    const gi_u64 sqrt_half = 0x3fe6a09e667f3bcdu;
    int tiny = x < 0x1p-1022;
    gi_u64 u = gi_bits_f64(tiny ? x * 0x1p54 : x) - sqrt_half + ((gi_u64)1023 << 52);
    double e =
        gi_f64_bits((u >> 52) | 0x4330000000000000u) - (tiny ? 0x1p52 + 1077.0 : 0x1p52 + 1023.0);
    double f = gi_f64_bits((u & 0x000fffffffffffffu) + sqrt_half) - 1.0;
    double s = f / (2.0 + f), z = s * s, h = 0.5 * f * f;
    double q = gi_poly7_f64(z, 0x1.5555555555558p-1, 0x1.9999999995216p-2, 0x1.2492492e049ffp-2,
                            0x1.c71c62cfb063cp-3, 0x1.7462ba418b2fdp-3, 0x1.39fdb7238ec3cp-3,
                            0x1.2b5fcf8046e0cp-3);
    double low = GI_FMA(s, GI_FMA(z, q, h), e * 0x1.3de6af278ece6p-42);
    double y = GI_FMA(e, 0x1.62e42fefa3000p-1, f - (h - low));
    y = x < (double)GI_INF_F32 ? y : x;
    y = x == 0.0 ? -(double)GI_INF_F32 : y;
    return x < 0.0 ? (double)GI_NAN_F32 : y;
}

GI_FN double gi_exp2_f64(double x) { return exp2(x); }
GI_FN double gi_expm1_f64(double x) { return expm1(x); }
GI_FN double gi_log2_f64(double x) { return log2(x); }
GI_FN double gi_log10_f64(double x) { return log10(x); }
GI_FN double gi_log1p_f64(double x) { return log1p(x); }
GI_FN double gi_sinh_f64(double x) { return sinh(x); }
GI_FN double gi_cosh_f64(double x) { return cosh(x); }
GI_FN double gi_asinh_f64(double x) { return asinh(x); }
GI_FN double gi_acosh_f64(double x) { return acosh(x); }
GI_FN double gi_atanh_f64(double x) { return atanh(x); }
GI_FN double gi_sin_f64(double x) { return sin(x); }
GI_FN double gi_cos_f64(double x) { return cos(x); }
GI_FN double gi_tan_f64(double x) { return tan(x); }
GI_FN double gi_asin_f64(double x) { return asin(x); }
GI_FN double gi_acos_f64(double x) { return acos(x); }
GI_FN double gi_atan_f64(double x) { return atan(x); }
GI_FN double gi_erf_f64(double x) { return erf(x); }
GI_FN double gi_erfc_f64(double x) { return erfc(x); }
GI_FN double gi_atan2_f64(double y, double x) { return atan2(y, x); }
GI_FN double gi_pow_f64(double x, double y) { return pow(x, y); }

#endif
#endif
