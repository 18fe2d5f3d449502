/* exp, exp2, expm1, sigmoid, tanh, sinh, cosh in float32. Coefficients: tools/fit_polynomials.py.
 */
#ifndef GI_MATH_EXP_H
#define GI_MATH_EXP_H

#include "math_base.h"

/* ln 2 in two pieces: the first has 9 trailing zero bits, so that n * GI_LN2_HI is exact for |n| <
 * 2^9. */
#define GI_LN2_HI 0x1.62e400p-1f
#define GI_LN2_LO 0x1.7f7d1cp-20f
#define GI_LOG2E 0x1.715476p+0f

/* exp(r) = 1 + r + r^2 q(r), |r| <= ln(2)/2 (EXP) */
GI_FN float gi_exp_q(float r) {
    return gi_poly5_f32(r, 0x1.fffffep-2f, 0x1.5554aep-3f, 0x1.5556f0p-5f, 0x1.122a70p-7f,
                        0x1.6ba480p-10f);
}

/* exp(r) - 1 */
GI_FN float gi_exp_p(float r) { return GI_FMAF(r * r, gi_exp_q(r), r); }

/* n = rint(x / ln 2); *r <- x - n ln 2; returns n + bias in the low bits (see GI_ROUNDER_F32). For
 * |x| < 2^20; NaN gives a NaN r and any n. */
GI_FN gi_u32 gi_exp_reduce(float x, float bias, float *r) {
    float shifted = GI_FMAF(x, GI_LOG2E, GI_ROUNDER_F32 + bias);
    float n = shifted - (GI_ROUNDER_F32 + bias);
    *r = GI_FMAF(n, -GI_LN2_LO, GI_FMAF(n, -GI_LN2_HI, x));
    return gi_bits_f32(shifted);
}

/* p * 2^n, given n + 254 in the low bits, n from -252 to 254, p about 1. In two factors: only the
 * last product meets a denormal or overflows, so there is one rounding. */
GI_FN float gi_scale_f32(float p, gi_u32 n) {
    gi_u32 k = n >> 1;
    return p * gi_pow2_biased_f32(k) * gi_pow2_biased_f32(n - k);
}

/* x, or 106 with its sign where |x| is more: exp is 0 and infinity there. NaN stays. */
GI_FN float gi_exp_clamp(float x) {
    return gi_abs_f32(x) > 106.0f ? gi_copysign_f32(106.0f, x) : x;
}

GI_FN float gi_exp_f32(float x) {
    float r;
    gi_u32 n = gi_exp_reduce(gi_exp_clamp(x), 254.0f, &r);
    return gi_scale_f32(gi_exp_p(r) + 1.0f, n);
}

/* exp(x) / 2, which overflows later */
GI_FN float gi_half_exp(float x) {
    float r;
    gi_u32 n = gi_exp_reduce(gi_exp_clamp(x), 253.0f, &r);
    return gi_scale_f32(gi_exp_p(r) + 1.0f, n);
}

/* 2^x = 2^n (1 + r q(r)), r = x - n (EXP2): returns the bracket; *n holds n + bias in the low bits.
 * For |x| < 2^20. */
GI_FN float gi_exp2_reduced(float x, float bias, gi_u32 *n) {
    float shifted = x + (GI_ROUNDER_F32 + bias);
    float r = x - (shifted - (GI_ROUNDER_F32 + bias));
    float q = gi_poly6_f32(r, 0x1.62e430p-1f, 0x1.ebfbdcp-3f, 0x1.c6af7ap-5f, 0x1.3b2de0p-7f,
                           0x1.5f09a4p-10f, 0x1.416d0cp-13f);
    *n = gi_bits_f32(shifted);
    return GI_FMAF(q, r, 1.0f);
}

GI_FN float gi_exp2_f32(float x) {
    gi_u32 n;
    float p = gi_exp2_reduced(gi_abs_f32(x) > 152.0f ? gi_copysign_f32(152.0f, x) : x, 254.0f, &n);
    return gi_scale_f32(p, n);
}

/* 2 (s p + s - 1/2) with s = 2^(n-1), p = exp(r) - 1: never overflows before the result does */
GI_FN float gi_expm1_f32(float x) {
    float r, c = x > 88.8f ? 88.8f : x;
    c = c < -20.0f ? -20.0f : c;
    float s = gi_pow2_biased_f32(gi_exp_reduce(c, 126.0f, &r));
    float y = GI_FMAF(s, gi_exp_p(r), s - 0.5f) * 2.0f;
    return gi_abs_f32(x) < 0x1p-26f ? x : y;
}

/* 1 / (1 + E), E = exp(-x) = 2^n (1 + p). With k = n/2 rounded down both are scaled by 2^-k, so
 * that small results keep their digits; and E is never rounded: p joins the smaller of the two
 * powers, then the larger one. */
GI_FN float gi_sigmoid_f32(float x) {
    float r;
    gi_u32 n = gi_exp_reduce(-gi_exp_clamp(x), 254.0f, &r), k = n >> 1; /* k + 127 */
    float up = gi_pow2_biased_f32(n - k), down = gi_pow2_biased_f32(254u - k);
    float low = up < down ? up : down, high = up < down ? down : up;
    return down / (GI_FMAF(up, gi_exp_p(r), low) + high);
}

/* x + x^3 q(x^2) up to 0.62 (TANH); 1 - 2 / (exp(2|x|) + 1) beyond */
GI_FN float gi_tanh_f32(float x) {
    float a = gi_abs_f32(x), z = x * x;
    float q = gi_poly5_f32(z, -0x1.555532p-2f, 0x1.1106f6p-3f, -0x1.b835a4p-5f, 0x1.51f8cep-6f,
                           -0x1.750ce4p-8f);
    float small = GI_FMAF(q * z, a, a);
    float r, b = a > 10.0f ? 10.0f : a;
    float s = gi_pow2_biased_f32(gi_exp_reduce(b + b, 127.0f, &r));
    float large = 1.0f - 2.0f / GI_FMAF(s, gi_exp_p(r), s + 1.0f);
    return gi_mulsign_f32(a < 0.62f ? small : large, x);
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
