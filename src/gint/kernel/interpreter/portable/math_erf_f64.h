/* erf and erfc in float64. Coefficients: tools/fit_polynomials.py. */
#ifndef GI_MATH_ERF_F64_H
#define GI_MATH_ERF_F64_H

#include "math_exp_f64.h"

#if GI_HAS_F64

/* erf(x) = x + x q(x^2), |x| <= 1 (ERF_F64) */
GI_FN double gi_erf_q_f64(double x) {
    return gi_poly14_f64(x * x, 0x1.06eba8214db69p-3, -0x1.812746b0379e7p-2, 0x1.ce2f21a042bddp-4,
                         -0x1.b82ce3128899bp-6, 0x1.565bcd0e64ac1p-8, -0x1.c02db3fed9195p-11,
                         0x1.f9a326bfbbd0cp-14, -0x1.f4d255e1b4378p-17, 0x1.b9e64d0e8ec28p-20,
                         -0x1.5f6d6b9b23cefp-23, 0x1.fc411b4caff56p-27, -0x1.4e55e07ec23c9p-30,
                         0x1.7ecc64b8fb642p-34, -0x1.2929fc9b71a11p-38);
}

/* As gi_erfc_f32, for a from 1: exp(-a^2) q(t) / (1 + 2a), t = (a - 2) / (a + 2) (ERFC_F64) */
GI_FN double gi_erfc_core_f64(double a) {
    double b = a > 28.0 ? 28.0 : a;
    double t = (b - 2.0) / (b + 2.0);
    double q = gi_poly24_f64(t, 0x1.46e80e2277953p+0, -0x1.7bf5ec1700631p-4, -0x1.5407bebf32445p-3,
                             0x1.4ffa1e14e2745p-3, -0x1.bc2b956198711p-5, -0x1.0742340467c00p-7,
                             0x1.1dd2ec9062dc1p-7, 0x1.4d461d1027fc6p-10, -0x1.7de52096d43dep-10,
                             -0x1.dc6929e5843ddp-12, 0x1.b0c83391be7b0p-13, 0x1.3cc018df06a9cp-13,
                             -0x1.92cb4c9b70b8fp-20, -0x1.3191c9f2c14a2p-15, -0x1.c71305fe26c6cp-17,
                             0x1.00d3c21f7df0ep-18, 0x1.6b30108bf8f05p-18, 0x1.9772bf9402c99p-21,
                             -0x1.c21c9112f9d36p-23, 0x1.6dcdf15f3fa11p-22, -0x1.8e6c24c2851d7p-19,
                             0x1.4ef18265e0927p-19, -0x1.815e473c124bdp-21, 0x1.d00ba345d16fep-25);
    double high = gi_f64_bits(gi_bits_f64(b) & 0xfffffffff8000000u), low = b - high;
    double square = b * b;
    double lost = ((high * high - square) + 2.0 * high * low) + low * low;
    double r;
    gi_u64 n = gi_exp_reduce_f64(-square, 2046.0, &r);
    double w = q / (1.0 + 2.0 * b);
    return gi_scale_f64(GI_FMA(w, gi_exp_p_f64(r - lost), w), n);
}

GI_FN double gi_erf_f64(double x) {
    double a = gi_abs_f64(x);
    double far = gi_copysign_f64(1.0 - gi_erfc_core_f64(a), x);
    return a < 1.0 ? GI_FMA(gi_erf_q_f64(x), x, x) : far;
}

/* From the parts above it would be off by 5 units. */
GI_FN double gi_erfc_f64(double x) { return erfc(x); }

#endif
#endif
