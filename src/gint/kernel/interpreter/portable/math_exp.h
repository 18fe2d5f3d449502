/* exp, exp2, expm1, sigmoid, tanh, sinh, cosh in float32. Coefficients: tools/fit_polynomials.py.
 */
#ifndef GI_MATH_EXP_H
#define GI_MATH_EXP_H

#include "math_base.h"

/* ln 2 in two pieces: the first has 9 trailing zero bits, so that n * GI_LN2_HI is exact for |n| <
 * 2^9. */
#define GI_LN2_HI 0x1.62e400p-1f
#define GI_LN2_LO 0x1.7f7d1cp-20f
#define GI_LN2 0x1.62e430p-1f
#define GI_LOG2E 0x1.715476p+0f

/* n = rint(x / ln 2); *r <- x - n ln 2; returns 1.5 * 2^23 + n + bias (see GI_ROUNDER_F32). For
 * |x| < 2^20; NaN gives a NaN r and any n. */
GI_GENERIC gi_f gi_exp_reduce(gi_f x, float bias, gi_f *r) {
    gi_f shifted = gi_muladd(x, GI_LOG2E, GI_ROUNDER_F32 + bias);
    gi_f n = shifted - (GI_ROUNDER_F32 + bias);
    *r = gi_muladd(n, -GI_LN2_LO, gi_muladd(n, -GI_LN2_HI, x));
    return shifted;
}

/* exp(r) = 1 + r + r^2 q(r), |r| <= ln(2)/2 (EXP). By Horner's scheme, as all that is written for
 * vectors: the fewest operations; the loops keep several vectors on the way, so that a long chain
 * costs nothing. */
GI_GENERIC gi_f gi_exp_q(gi_f r) {
    gi_f q = gi_muladd(r, 0x1.6ba480p-10f, 0x1.122a70p-7f);
    q = gi_muladd(q, r, 0x1.5556f0p-5f);
    q = gi_muladd(q, r, 0x1.5554aep-3f);
    return gi_muladd(q, r, 0x1.fffffep-2f);
}

/* exp(r) and exp(r) - 1 */
GI_GENERIC gi_f gi_exp_of_rest(gi_f r) {
    return gi_muladd(gi_muladd(gi_exp_q(r), r, 1.0f), r, 1.0f);
}
GI_GENERIC gi_f gi_exp_p(gi_f r) { return gi_muladd(gi_exp_q(r) * r, r, r); }

/* exp is 0 and infinity beyond */
GI_GENERIC gi_f gi_exp_clamp(gi_f x) { return gi_at_most(106.0f, gi_at_least(-106.0f, x)); }

GI_GENERIC gi_f gi_exp_f32(gi_f x) {
    gi_f r, shifted = gi_exp_reduce(gi_exp_clamp(x), 254.0f, &r);
    return gi_scale(gi_exp_of_rest(r), shifted);
}

/* exp(x) / 2, which overflows later */
GI_GENERIC gi_f gi_half_exp(gi_f x) {
    gi_f r, shifted = gi_exp_reduce(gi_exp_clamp(x), 253.0f, &r);
    return gi_scale(gi_exp_of_rest(r), shifted);
}

/* As gi_exp_reduce for 2^x: n = rint(x), *r <- x - n. */
GI_GENERIC gi_f gi_exp2_reduce(gi_f x, float bias, gi_f *r) {
    gi_f shifted = x + (GI_ROUNDER_F32 + bias);
    *r = x - (shifted - (GI_ROUNDER_F32 + bias));
    return shifted;
}

/* (2^r - 1) / r, |r| <= 1/2 (EXP2) */
GI_GENERIC gi_f gi_exp2_slope(gi_f r) {
    gi_f q = gi_muladd(r, 0x1.416d0cp-13f, 0x1.5f09a4p-10f);
    q = gi_muladd(q, r, 0x1.3b2de0p-7f);
    q = gi_muladd(q, r, 0x1.c6af7ap-5f);
    q = gi_muladd(q, r, 0x1.ebfbdcp-3f);
    return gi_muladd(q, r, 0x1.62e430p-1f);
}

/* 2^r - 1 */
GI_GENERIC gi_f gi_exp2_p(gi_f r) { return gi_exp2_slope(r) * r; }

GI_GENERIC gi_f gi_exp2_f32(gi_f x) {
    gi_f r;
    gi_f shifted = gi_exp2_reduce(gi_at_most(152.0f, gi_at_least(-152.0f, x)), 254.0f, &r);
    return gi_scale(gi_muladd(gi_exp2_slope(r), r, 1.0f), shifted);
}

/* 2 (s p + s - 1/2) with s = 2^(n-1), p = exp(r) - 1: never overflows before the result does */
GI_GENERIC gi_f gi_expm1_f32(gi_f x) {
    gi_f r, shifted = gi_exp_reduce(gi_at_least(-20.0f, gi_at_most(88.8f, x)), 126.0f, &r);
    gi_f s = gi_pow2_of(shifted);
    gi_f y = gi_muladd(s, gi_exp_p(r), s - 0.5f) * 2.0f;
    return gi_below(gi_abs_f32(x), 0x1p-26f, x, y);
}

/* 1 / (1 + exp(-x)) with exp(-x) = (1 + p) / t, t = 2^n: t / (t + 1 + p). Small results keep their
 * digits, and exp is never rounded: p joins t + 1. */
GI_GENERIC gi_f gi_sigmoid_f32(gi_f x) {
    gi_f r, one = 1.0f;
    gi_f shifted = gi_exp_reduce(gi_at_most(88.0f, gi_at_least(-106.0f, x)), 254.0f, &r);
    gi_f t = gi_scale(one, shifted);
    return t / ((t + 1.0f) + gi_exp_p(-r));
}

/* p / (p + 2), p = exp(2|x|) - 1 = s (1 + q) - 1. The low part of ln 2 is not needed: where n > 0
 * the result hardly depends on r. */
GI_GENERIC gi_f gi_tanh_f32(gi_f x) {
    gi_f a = gi_at_most(10.0f, gi_abs_f32(x));
    gi_f shifted = gi_muladd(a, 2.0f * GI_LOG2E, GI_ROUNDER_F32 + 127.0f);
    gi_f r = gi_muladd(shifted - (GI_ROUNDER_F32 + 127.0f), -GI_LN2, a + a);
    gi_f s = gi_pow2_of(shifted);
    gi_f p = gi_muladd(s, gi_exp_p(r), s - 1.0f);
    return gi_mulsign_f32(p / (p + 2.0f), x);
}

/* x + x^3 q(x^2) up to 1 (SINH); h - 1/(4h) with h = exp(|x|)/2 beyond */
GI_FN float gi_sinh_f32(float x) {
    float a = gi_abs_f32(x), z = x * x;
    float q = gi_poly4_f32(z, 0x1.555556p-3f, 0x1.1110e0p-7f, 0x1.a022bcp-13f, 0x1.756c1ep-19f);
    float small = GI_FMAF(q * z, x, x);
    float h = gi_half_exp(a);
    float large = gi_mulsign_f32(h - 0.25f / h, x);
    return a < 1.0f ? small : large;
}

GI_FN float gi_cosh_f32(float x) {
    float h = gi_half_exp(gi_abs_f32(x));
    return h + 0.25f / h;
}

#endif
