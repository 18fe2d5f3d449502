/* erf and erfc in float64. Coefficients: tools/fit_polynomials.py. */
#ifndef GI_MATH_ERF_F64_H
#define GI_MATH_ERF_F64_H

#include "math_exp_f64.h"

#if GI_HAS_F64

/* erf(x) = x + x q(x^2 - 0.5625), |x| <= 1.0625 (ERF_F64): about the middle, where less cancels */
GI_FN double gi_erf_q_f64(double x) {
    return gi_poly14_f64(GI_FMA(x, x, -0.5625), -0x1.a848b883ecd62p-5, -0x1.15de911cce442p-2,
                         0x1.378cc2f08f06dp-4, -0x1.1da9335ac543cp-6, 0x1.b1c55aa6bb38ep-9,
                         -0x1.173cbaefe6e32p-11, 0x1.373b0704f255dp-14, -0x1.316cc06ca0f6ap-17,
                         0x1.0b89350143302p-20, -0x1.a70f1d7818b95p-24, 0x1.30bad40bb3ae6p-27,
                         -0x1.93124bedefd48p-31, 0x1.ef50365b83f93p-35, -0x1.18066d4a9bbecp-38);
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

/* 1 - q(a - 3.0625)^2 beyond 1.0625 (ERF_FAR_F64): that difference is exact, or hardly counts */
GI_FN double gi_erf_f64(double x) {
    double a = gi_abs_f64(x), u = (a > 5.95 ? 5.95 : a) - 3.0625;
    double q = gi_poly28_f64(u, 0x1.f8f2f1e141085p-9, -0x1.95717efa687cap-7, 0x1.2749ecd5830fbp-6,
                             -0x1.f72336a0969f1p-7, 0x1.07978e7ebf7fdp-7, -0x1.294649155b852p-9,
                             -0x1.2751afb656c11p-15, 0x1.4230ede2f022ap-12, -0x1.d65b543b57869p-14,
                             0x1.8cc5a43ff8aaep-18, 0x1.26def7eff55efp-17, -0x1.8ba619270a8e7p-19,
                             0x1.b1ce54b4c570cp-25, 0x1.b9a129ba65560p-23, -0x1.9fc0cd97444d3p-25,
                             -0x1.cd19a7c51d680p-29, 0x1.ea906f87d8badp-29, -0x1.f0b9d90d082e5p-32,
                             -0x1.00ba6a72d06f8p-33, 0x1.71e29daae6736p-35, -0x1.1a2476b9e4eb0p-41,
                             -0x1.0a1ac7264068dp-39, 0x1.13f2ff4c1453ep-42, 0x1.af4aea3ff638bp-45,
                             -0x1.ac0d0151e937ap-47, -0x1.cddd39471c78bp-52, 0x1.0f249be0da4bdp-52,
                             -0x1.592e25e8a746dp-57);
    double far = gi_copysign_f64(GI_FMA(-q, q, 1.0), x);
    return a < 1.0625 ? GI_FMA(gi_erf_q_f64(x), x, x) : far;
}

/* 1 - erf(x) where that does not cancel */
GI_FN double gi_erfc_f64(double x) {
    double a = gi_abs_f64(x), far = gi_erfc_core_f64(a);
    far = x < 0.0 ? 2.0 - far : far;
    return a < 0.46875 ? 1.0 - GI_FMA(gi_erf_q_f64(x), x, x) : far;
}

#endif
#endif
