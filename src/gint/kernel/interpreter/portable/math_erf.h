/* erf and erfc in float32. Coefficients: tools/fit_polynomials.py. */
#ifndef GI_MATH_ERF_H
#define GI_MATH_ERF_H

#include "math_exp.h"

/* erf(x) = x + x q(x^2), |x| <= 1 (ERF) */
GI_FN float gi_erf_core(float x) {
    float z = x * x;
    float q = gi_poly7_f32(z, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2ce6p-4f, -0x1.b7f71ap-6f,
                           0x1.53f226p-8f, -0x1.a35188p-11f, 0x1.4772d2p-14f);
    return GI_FMAF(q, x, x);
}

/* 1 - 2^q, q = log2(erfc(a)) = a c(a) (ERF_LOG), as -(2^q - 1), which keeps small results; from 4
 * on that is 1 */
GI_GENERIC gi_f gi_erf_f32(gi_f x) {
    gi_f a = gi_at_most(4.0f, gi_abs_f32(x));
    gi_f q = gi_muladd(a, 0x1.a9d52ap-17f, -0x1.589614p-13f);
    q = gi_muladd(q, a, 0x1.d5915ep-11f);
    q = gi_muladd(q, a, -0x1.378d46p-9f);
    q = gi_muladd(q, a, 0x1.b26992p-13f);
    q = gi_muladd(q, a, 0x1.c4e736p-6f);
    q = gi_muladd(q, a, -0x1.2fad20p-3f);
    q = gi_muladd(q, a, -0x1.d63ebep-1f);
    q = gi_muladd(q, a, -0x1.a0be84p+0f) * a;
    gi_f r, s = gi_pow2_of(gi_exp2_reduce(q, 127.0f, &r));
    return gi_mulsign_f32((1.0f - s) - s * gi_exp2_p(r), x);
}

/* erfc(a) = exp(-a^2) q(t) / (1 + 2a), t = (a - 2) / (a + 2) (ERFC); the rounding error of a^2 is
 * carried along */
GI_FN float gi_erfc_f32(float x) {
    float a = gi_abs_f32(x), b = a > 10.5f ? 10.5f : a;
    float t = (b - 2.0f) / (b + 2.0f);
    float q = gi_poly10_f32(t, 0x1.46e80ep+0f, -0x1.7bf5e6p-4f, -0x1.5407cep-3f, 0x1.4ff936p-3f,
                            -0x1.bc1dp-5f, -0x1.06838ap-7f, 0x1.1bceecp-7f, 0x1.311518p-10f,
                            -0x1.4b12d6p-10f, -0x1.01ebbp-12f);
    float high = gi_f32_bits(gi_bits_f32(b) & 0xfffff000u), low = b - high;
    float square = b * b;
    float lost = ((high * high - square) + 2.0f * high * low) + low * low;
    float r;
    float shifted = gi_exp_reduce(-square, 254.0f, &r);
    r = r - lost;
    float w = q / (1.0f + 2.0f * b);
    float y = gi_scale(GI_FMAF(w, gi_exp_p(r), w), shifted);
    y = x < 0.0f ? 2.0f - y : y;
    return a < 0.5f ? 1.0f - gi_erf_core(x) : y;
}

#endif
