/* exp, exp2, expm1, sigmoid, tanh, sinh, cosh in float64. Coefficients: tools/fit_polynomials.py.
 */
#ifndef GI_MATH_EXP_F64_H
#define GI_MATH_EXP_F64_H

#include "math_base.h"

#if GI_HAS_F64

/* ln 2 in two pieces, the first with 12 trailing zero bits */
#define GI_LN2_HI_F64 0x1.62e42fefa3000p-1
#define GI_LN2_LO_F64 0x1.3de6af278ece6p-42

GI_FN double gi_pow2_biased_f64(gi_u64 n) { return gi_f64_bits(n << 52); }
/* p * 2^(n - bias): n from 0 to 2 * 1023 more than the bias; see gi_scale */
GI_FN double gi_scale_f64(double p, gi_u64 n) {
    gi_u64 k = n >> 1;
    return p * gi_pow2_biased_f64(k) * gi_pow2_biased_f64(n - k);
}

/* As gi_exp_p and gi_exp_reduce of math_exp.h: exp(r) - 1 = r + r^2 q(r) (EXP_F64), and x = n ln 2
 * + r */
GI_FN double gi_exp_q_f64(double r) {
    return gi_poly10_f64(r, 0x1.0000000000001p-1, 0x1.5555555555558p-3, 0x1.5555555553b6cp-5,
                         0x1.111111110f5f6p-7, 0x1.6c16c1794dfcap-10, 0x1.a01a01b1045f6p-13,
                         0x1.a019b622772ccp-16, 0x1.71ddf3fcf9f84p-19, 0x1.2894f496f0744p-22,
                         0x1.af683bbb28b30p-26);
}
GI_FN double gi_exp_p_f64(double r) { return GI_FMA(r * r, gi_exp_q_f64(r), r); }
GI_FN gi_u64 gi_exp_reduce_f64(double x, double bias, double *r) {
    double shifted = GI_FMA(x, 0x1.71547652b82fep+0, 0x1.8p52 + bias);
    double n = shifted - (0x1.8p52 + bias);
    *r = GI_FMA(n, -GI_LN2_LO_F64, GI_FMA(n, -GI_LN2_HI_F64, x));
    return gi_bits_f64(shifted);
}
/* exp is 0 or infinity from 750 on */
GI_FN double gi_exp_clamp_f64(double x) {
    return gi_abs_f64(x) > 750.0 ? gi_copysign_f64(750.0, x) : x;
}

GI_FN double gi_exp_f64(double x) {
    double r;
    gi_u64 n = gi_exp_reduce_f64(gi_exp_clamp_f64(x), 2046.0, &r);
    return gi_scale_f64(gi_exp_p_f64(r) + 1.0, n);
}

/* 2^x = 2^n exp((x - n) ln 2), n = rint(x); 0 or infinity from 1080 on */
GI_FN double gi_exp2_f64(double x) {
    double t = gi_abs_f64(x) > 1080.0 ? gi_copysign_f64(1080.0, x) : x;
    double shifted = t + (0x1.8p52 + 2046.0), r = t - (shifted - (0x1.8p52 + 2046.0));
    return gi_scale_f64(gi_exp_p_f64(r * 0x1.62e42fefa39efp-1) + 1.0, gi_bits_f64(shifted));
}

/* 2 (s r + s - 1/2 + s r^2 q), s = 2^(n-1); what r lost is carried along */
GI_FN double gi_expm1_f64(double x) {
    double t = x > 709.9 ? 709.9 : x;
    t = t < -50.0 ? -50.0 : t;
    double shifted = GI_FMA(t, 0x1.71547652b82fep+0, 0x1.8p52 + 1022.0);
    double n = shifted - (0x1.8p52 + 1022.0), s = gi_pow2_biased_f64(gi_bits_f64(shifted));
    double a = GI_FMA(n, -GI_LN2_HI_F64, t), r = GI_FMA(n, -GI_LN2_LO_F64, a);
    double lost = GI_FMA(n, -GI_LN2_LO_F64, a - r);
    double tail = GI_FMA(r * r, gi_exp_q_f64(r), lost);
    double y = GI_FMA(s, tail, GI_FMA(s, r, s - 0.5)) * 2.0;
    return gi_abs_f64(x) < 0x1p-54 ? x : y;
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

/* exp(a) / 2 for a >= 0, and what its rounding lost: s + s (exp(r) - 1), s = 2^(n-1). In two
 * factors, since s alone overflows before the result does. */
GI_FN double gi_half_exp_f64(double a, double *lost) {
    double r, b = a > 750.0 ? 750.0 : a;
    gi_u64 n = gi_exp_reduce_f64(b, 2045.0, &r), k = n >> 1;
    double high = gi_pow2_biased_f64(n - k), s = gi_pow2_biased_f64(k), p = gi_exp_p_f64(r);
    double h = GI_FMA(s, p, s), rest = GI_FMA(s, p, s - h);
    *lost = a < 700.0 ? rest * high : 0.0;
    return h * high;
}

/* x + x^3 q(x^2) up to 1 (SINH_F64); h - 1/(4h) with h = exp(|x|)/2 beyond */
GI_FN double gi_sinh_f64(double x) {
    double a = gi_abs_f64(x), z = x * x, lost;
    double q = gi_poly8_f64(z, 0x1.5555555555555p-3, 0x1.1111111111111p-7, 0x1.a01a01a019fc1p-13,
                            0x1.71de3a5573f74p-19, 0x1.ae6456741beb0p-26, 0x1.61246af9f6560p-33,
                            0x1.ae756ebbbe601p-41, 0x1.9a79382a75cdfp-49);
    double small = GI_FMA(q * z, x, x);
    double h = gi_half_exp_f64(a, &lost);
    double large = h - (0.25 / h - lost);
    return a < 1.0 ? small : gi_copysign_f64(large, x);
}

GI_FN double gi_cosh_f64(double x) {
    double lost, h = gi_half_exp_f64(gi_abs_f64(x), &lost);
    return h + (0.25 / h + lost);
}

#endif
#endif
