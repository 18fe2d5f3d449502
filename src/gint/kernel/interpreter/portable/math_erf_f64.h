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

/* As gi_erfc_f32, for a from 0.44: exp(-a^2) q(t) / (1 + 2a), t = (a - 2) / (a + 2) (ERFC_F64).
 * The first coefficient, the quotient and the square are carried in two pieces, and what the
 * exponent lost as a factor 1 + rest. */
GI_FN double gi_erfc_core_f64(double a) {
    double b = a > 28.0 ? 28.0 : a;
    double t = (b - 2.0) / (b + 2.0), c = 0x1.46e80e2277953p+0;
    double v = gi_poly24_f64(t, 0x1.9d66d1cf6a250p-54, -0x1.7bf5ec1700631p-4, -0x1.5407bebf3240ap-3,
                             0x1.4ffa1e14e2782p-3, -0x1.bc2b95619da86p-5, -0x1.0742340478aefp-7,
                             0x1.1dd2ec9363c62p-7, 0x1.4d461d22411cbp-10, -0x1.7de52286a06d0p-10,
                             -0x1.dc692ec9fba51p-12, 0x1.b0c909be7cecfp-13, 0x1.3cc04691bf592p-13,
                             -0x1.96dfbcd4bfd58p-20, -0x1.317ff0fe375dep-15, -0x1.c3ecde5f885eap-17,
                             0x1.ee57f27867ec9p-19, 0x1.5a431209f7b63p-18, 0x1.aca1fb9288b36p-20,
                             -0x1.408370c39e940p-21, -0x1.12b2b6e88b926p-20, -0x1.633005c0ba23cp-22,
                             0x1.7d1680725bed4p-22, 0x1.4349a6503e5acp-23, -0x1.845d4d5afc3cdp-24);
    double q = c + v, under = 1.0 + 2.0 * b, low;
    double under_low = b < 0.5 ? (1.0 - under) + 2.0 * b : (2.0 * b - under) + 1.0;
    double w = gi_quotient_f64(q, (c - q) + v, under, under_low, &low);
    double square = b * b, lost = gi_lost_f64(b, b, square);
    double shifted = GI_FMA(-square, 0x1.71547652b82fep+0, 0x1.8p52 + 2046.0);
    double n = shifted - (0x1.8p52 + 2046.0), whole = GI_FMA(n, -GI_LN2_HI_F64, -square);
    double r = GI_FMA(n, -GI_LN2_LO_F64, whole);
    double p = gi_exp_p_f64(r), rest = GI_FMA(n, -GI_LN2_LO_F64, whole - r) - lost;
    rest = GI_FMA(w, rest, low);
    return gi_scale_f64(w + GI_FMA(w, p, GI_FMA(rest, p, rest)), gi_bits_f64(shifted));
}

GI_FN double gi_erf_f64(double x) {
    double a = gi_abs_f64(x);
    double far = gi_copysign_f64(1.0 - gi_erfc_core_f64(a), x);
    return a < 1.0 ? GI_FMA(gi_erf_q_f64(x), x, x) : far;
}

/* 1 - erf(x) where that does not cancel */
GI_FN double gi_erfc_f64(double x) {
    double a = gi_abs_f64(x), far = gi_erfc_core_f64(a);
    far = x < 0.0 ? 2.0 - far : far;
    return a < 0.46875 ? 1.0 - GI_FMA(gi_erf_q_f64(x), x, x) : far;
}

#endif
#endif
