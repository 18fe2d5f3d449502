/* sin, cos, tan, asin, acos, atan, atan2 in float32. Coefficients: tools/fit_polynomials.py.
 *
 * gi_sin_f32, gi_cos_f32, gi_tan_f32 are right for every argument and need no branch, but fetch
 * from a table. The _fast forms are several times quicker and right where gi_trig_is_far(x) is 0
 * (|x| < 2^18, infinities, NaN): test a block of arguments, then take one loop or the other.
 */
#ifndef GI_MATH_TRIG_H
#define GI_MATH_TRIG_H

#include "math_base.h"

#define GI_TRIG_FAR 262144.0f

GI_FN int gi_trig_is_far(float x) {
    float a = gi_abs_f32(x);
    return (a >= GI_TRIG_FAR) & (a < GI_INF_F32);
}

/* 2/pi in binary after a word of zeros */
GI_TABLE gi_u32 gi_two_over_pi[9] = {0u,          0xa2f9836eu, 0x4e441529u,
                                     0xfc2757d1u, 0xf534ddc0u, 0xdb629599u,
                                     0x3c439041u, 0xfe5163abu, 0xdebbc561u};

/* Payne and Hanek (1983): the 96 bits of 2/pi that matter after the whole turns times the 24 bits
 * of x, in integers. Returns the quadrant, *r <- x - quadrant * pi/2, |r| <= pi/4. For finite |x|
 * >= 1. */
GI_FN gi_u32 gi_trig_reduce_far(float x, float *r) {
    gi_u32 bits = gi_bits_f32(x) & 0x7fffffffu;
    gi_u64 m = (bits & 0x007fffffu) | 0x00800000u;
    gi_u32 at =
        (bits >> 23) - 150u + 30u; /* x = m 2^(at - 30); first bit of the table that counts */
    gi_u32 word = (at >> 5) & 7u, left = at & 31u;
    word = word > 5u ? 5u : word;
    gi_u64 t0 = gi_two_over_pi[word], t1 = gi_two_over_pi[word + 1], t2 = gi_two_over_pi[word + 2];
    gi_u64 t3 = gi_two_over_pi[word + 3];
    gi_u64 w0 = (((t0 << 32) | t1) << left) >> 32;
    gi_u64 w1 = (((t1 << 32) | t2) << left) >> 32;
    gi_u64 w2 = (((t2 << 32) | t3) << left) >> 32;
    gi_u64 turns =
        ((m * w0) << 32) + m * w1 + ((m * w2) >> 32); /* x / (2 pi), as a fraction of 2^64 */
    gi_u64 quadrant = (turns + 0x2000000000000000u) >> 62;
    gi_i64 rest = (gi_i64)(turns - (quadrant << 62));
#if GI_HAS_F64
    float r_near = (float)((double)rest * 0x1.921fb54442d18p-62);
#else
    float r_near = (float)rest * 0x1.921fb6p-62f;
#endif
    gi_u32 q = (gi_u32)quadrant;
    *r = x < 0.0f ? -r_near : r_near;
    return x < 0.0f ? 0u - q : q;
}

/* The quadrant in the two low bits; *r <- x - quadrant * pi/2, rounded once, |r| < 0.82. NaN for
 * NaN and infinities. With a fused multiply-add in float32: pi/2 in 22, 24 and 24 bits. Below
 * GI_TRIG_FAR the first difference is exact, and what the second one is rounded by is known: it is
 * taken off with the rest. Signs are such that of -0 nothing is left but -0. Elsewhere pi/2 in 33
 * and 53 bits, so that the first product is exact. */
GI_FN gi_u32 gi_trig_reduce(float x, float *r) {
#if GI_FUSES
    float shifted = GI_FMAF(x, 0x1.45f306p-1f, GI_ROUNDER_F32);
    float n = shifted - GI_ROUNDER_F32;
    float high = GI_FMAF(n, -0x1.921fb4p+0f, x);
    float middle = n * 0x1.4442d2p-24f;
    float low = GI_FMAF(n, -0x1.ee59dap-50f, GI_FMAF(n, 0x1.4442d2p-24f, -middle));
    float near = high - middle;
    *r = near - (low - ((high - near) - middle));
    return gi_bits_f32(shifted);
#elif GI_HAS_F64
    float shifted = GI_FMAF(x, 0x1.45f306p-1f, GI_ROUNDER_F32);
    double n = (double)(shifted - GI_ROUNDER_F32);
    *r = (float)GI_FMA(n, -0x1.0b4611a626331p-34, GI_FMA(n, -0x1.921fb544p+0, (double)x));
    return gi_bits_f32(shifted);
#else
    float a = gi_abs_f32(x), r_far;
    gi_u32 q = gi_trig_reduce_far(x, &r_far);
    int is_small = a < 1.0f;
    int beyond = a > 0.78539816f;
    *r =
        is_small
            ? (beyond ? x - gi_copysign_f32(0x1.921fb6p+0f, x) + gi_copysign_f32(0x1.777a5cp-25f, x)
                      : x)
            : r_far;
    *r = a < GI_INF_F32 ? *r : GI_NAN_F32;
    return is_small ? (beyond ? (x < 0.0f ? 3u : 1u) : 0u) : q;
#endif
}

GI_FN gi_u32 gi_trig_reduce_any(float x, float *r) {
    float r_near, r_far;
    gi_u32 q = gi_trig_reduce(x, &r_near), p = gi_trig_reduce_far(x, &r_far);
    int is_far = gi_trig_is_far(x);
    *r = is_far ? r_far : r_near;
    return is_far ? p : q;
}

/* sin(r + quadrant * pi/2): r + r^3 q(r^2) or 1 - r^2/2 + r^4 q(r^2) (SIN, COS) */
GI_FN float gi_sin_quadrant(float r, gi_u32 quadrant) {
    float z = r * r;
    float s = gi_poly4_f32(z, -0x1.555556p-3f, 0x1.111160p-7f, -0x1.a04076p-13f, 0x1.7519a0p-19f);
    s = gi_orsign_f32(GI_FMAF(s * z, r, r), r);
    float c = gi_poly4_f32(z, 0x1.555556p-5f, -0x1.6c1744p-10f, 0x1.a0555cp-16f, -0x1.2eb9f0p-22f);
    c = GI_FMAF(c, z, -0.5f);
    c = GI_FMAF(c, z, 1.0f);
    return gi_f32_bits(gi_bits_f32((quadrant & 1u) ? c : s) ^ ((quadrant & 2u) << 30));
}

/* tan(r + quadrant * pi/2): t = r + r^3 q(r^2) (TAN), or -1/t */
GI_FN float gi_tan_quadrant(float r, gi_u32 quadrant) {
    float z = r * r;
    float t = gi_poly7_f32(z, 0x1.55556cp-2f, 0x1.110a74p-3f, 0x1.bb66b4p-5f, 0x1.572a0ap-6f,
                           0x1.7f431ep-7f, -0x1.01be7ap-10f, 0x1.40e074p-8f);
    t = GI_FMAF(t * z, r, r);
    int odd = quadrant & 1u;
    return (odd ? -1.0f : t) / (odd ? t : 1.0f);
}

GI_FN int gi_sin_f32_is_far(float x) { return gi_trig_is_far(x); }
GI_FN int gi_cos_f32_is_far(float x) { return gi_trig_is_far(x); }
GI_FN int gi_tan_f32_is_far(float x) { return gi_trig_is_far(x); }
GI_FN float gi_sin_f32_fast(float x) {
    float r;
    gi_u32 q = gi_trig_reduce(x, &r);
    return gi_sin_quadrant(r, q);
}
GI_FN float gi_cos_f32_fast(float x) {
    float r;
    gi_u32 q = gi_trig_reduce(x, &r);
    return gi_sin_quadrant(r, q + 1u);
}
GI_FN float gi_tan_f32_fast(float x) {
    float r;
    gi_u32 q = gi_trig_reduce(x, &r);
    return gi_tan_quadrant(r, q);
}
GI_FN float gi_sin_f32(float x) {
    float r;
    gi_u32 q = gi_trig_reduce_any(x, &r);
    return gi_sin_quadrant(r, q);
}
GI_FN float gi_cos_f32(float x) {
    float r;
    gi_u32 q = gi_trig_reduce_any(x, &r);
    return gi_sin_quadrant(r, q + 1u);
}
GI_FN float gi_tan_f32(float x) {
    float r;
    gi_u32 q = gi_trig_reduce_any(x, &r);
    return gi_tan_quadrant(r, q);
}

#define GI_PIO2_HI 0x1.921fb6p+0f
#define GI_PIO2_LO -0x1.777a5cp-25f

/* t + t z q(z): asin(t) for z = t^2 <= 1/4 (ASIN) */
GI_FN float gi_asin_core(float t, float z) {
    float q = gi_poly5_f32(z, 0x1.5555c8p-3f, 0x1.330204p-4f, 0x1.747bb8p-5f, 0x1.8c3e54p-6f,
                           0x1.595c58p-5f);
    return GI_FMAF(q * z, t, t);
}

/* asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)) from 1/2 up */
GI_FN float gi_asin_f32(float x) {
    float a = gi_abs_f32(x);
    int big = a >= 0.5f;
    float z = big ? 0.5f * (1.0f - a) : a * a;
    float p = gi_asin_core(big ? GI_SQRTF(z) : a, z);
    return gi_mulsign_f32(big ? GI_PIO2_HI - (2.0f * p - GI_PIO2_LO) : p, x);
}

GI_FN float gi_acos_f32(float x) {
    float a = gi_abs_f32(x);
    int big = a >= 0.5f;
    float z = big ? 0.5f * (1.0f - a) : a * a;
    float p = gi_asin_core(big ? GI_SQRTF(z) : a, z);
    float wide = 2.0f * (x < 0.0f ? GI_PIO2_HI - (p - GI_PIO2_LO) : p);
    return big ? wide : GI_PIO2_HI - (gi_mulsign_f32(p, x) - GI_PIO2_LO);
}

/* atan(t) = t + t^3 q(t^2), t from 0 to 1 (ATAN) */
GI_FN float gi_atan_core(float t) {
    float z = t * t;
    float q = gi_poly9_f32(z, -0x1.55553ep-2f, 0x1.9991e4p-3f, -0x1.242086p-3f, 0x1.c08c4cp-4f,
                           -0x1.58090cp-4f, 0x1.da29acp-5f, -0x1.fd7cfap-6f, 0x1.64234cp-7f,
                           -0x1.d356d0p-10f);
    return GI_FMAF(q * z, t, t);
}

GI_FN float gi_atan_f32(float x) {
    float a = gi_abs_f32(x);
    int steep = a > 1.0f;
    float p = gi_atan_core((steep ? 1.0f : a) / (steep ? a : 1.0f));
    return gi_mulsign_f32(steep ? GI_PIO2_HI - (p - GI_PIO2_LO) : p, x);
}

GI_FN float gi_atan2_f32(float y, float x) {
    float a = gi_abs_f32(y), b = gi_abs_f32(x);
    int steep = a > b, left = (int)(gi_bits_f32(x) >> 31);
    float small = steep ? b : a, large = steep ? a : b;
    float t = small / large;
    t = small == large ? 1.0f : t;
    t = large == 0.0f ? small : t; /* 0, or NaN */
    float p = gi_atan_core(t);
    float quarters = steep ? 1.0f : (left ? 2.0f : 0.0f);
    p = (steep ^ left) ? -p : p;
    return gi_mulsign_f32(GI_FMAF(quarters, GI_PIO2_HI, GI_FMAF(quarters, GI_PIO2_LO, p)), y);
}

#endif
