/* log, log2, log10, log1p, asinh, acosh, atanh in float32. Coefficients: tools/fit_polynomials.py.
 */
#ifndef GI_MATH_LOG_H
#define GI_MATH_LOG_H

#include "math_exp.h"

#define GI_SQRT_HALF_BITS 0x3f3504f3u
/* log10(2) with 9 trailing zero bits, and the rest */
#define GI_LOG10_2_HI 0x1.344000p-2f
#define GI_LOG10_2_LO 0x1.3509f8p-18f
#define GI_LOG10_E 0x1.bcb7b2p-2f
#define GI_LOG2_E_LO 0x1.4ae0c0p-26f

/* log(1 + f) - f = -f^2/2 + f^3 q(f), 1 + f from sqrt(1/2) to sqrt(2) (LOG); `low` is added before
 * the last rounding */
GI_FN float gi_log_tail(float f, float low) {
    float z = f * f;
    float q = gi_poly9_f32(f, 0x1.555548p-2f, -0x1.000006p-2f, 0x1.99a476p-3f, -0x1.555c44p-3f,
                           0x1.233ba4p-3f, -0x1.fc28dap-4f, 0x1.e6bfecp-4f, -0x1.de0114p-4f,
                           0x1.147262p-4f);
    return GI_FMAF(-0.5f, z, GI_FMAF(f * z, q, low));
}

/* x = 2^e (1 + f); returns e, *f is exact. For positive finite x, denormal or not. */
GI_FN gi_i32 gi_log_split(float x, float *f) {
    int tiny = x < 0x1p-126f;
    gi_u32 u = gi_bits_f32(tiny ? x * 0x1p25f : x) - GI_SQRT_HALF_BITS;
    *f = gi_f32_bits((u & 0x007fffffu) + GI_SQRT_HALF_BITS) - 1.0f;
    return ((gi_i32)u >> 23) - (tiny ? 25 : 0);
}

/* y where 0 < x < inf; -inf at 0, NaN below, x itself for inf and NaN */
GI_FN float gi_log_edges(float x, float y) {
    y = x < GI_INF_F32 ? y : x;
    y = x == 0.0f ? -GI_INF_F32 : y;
    return x < 0.0f ? GI_NAN_F32 : y;
}

GI_FN float gi_log_f32(float x) {
    float f, e = (float)gi_log_split(x, &f);
    return gi_log_edges(x, GI_FMAF(e, GI_LN2_HI, f + gi_log_tail(f, e * GI_LN2_LO)));
}

GI_FN float gi_log2_f32(float x) {
    float f, e = (float)gi_log_split(x, &f);
    float t = f + gi_log_tail(f, 0.0f);
    return gi_log_edges(x, GI_FMAF(t, GI_LOG2E, GI_FMAF(t, GI_LOG2_E_LO, e)));
}

GI_FN float gi_log10_f32(float x) {
    float f, e = (float)gi_log_split(x, &f);
    float t = f + gi_log_tail(f, 0.0f);
    return gi_log_edges(x, GI_FMAF(e, GI_LOG10_2_HI, GI_FMAF(t, GI_LOG10_E, e * GI_LOG10_2_LO)));
}

/* u = 1 + x loses c; with 1 + x = 2^e (m + c 2^-e) only the fraction has to be put right. e = 0
 * needs no u at all. */
GI_FN float gi_log1p_f32(float x) {
    float u = 1.0f + x;
    float c = x >= 1.0f ? 1.0f - (u - x) : x - (u - 1.0f);
    gi_u32 b = gi_bits_f32(u) - GI_SQRT_HALF_BITS;
    gi_i32 e = (gi_i32)b >> 23, down = e > 100 ? 27 : 127 - e;
    float m = gi_f32_bits((b & 0x007fffffu) + GI_SQRT_HALF_BITS) - 1.0f;
    float f = e == 0 ? x : GI_FMAF(c, gi_pow2_biased_f32((gi_u32)down), m);
    float y = GI_FMAF((float)e, GI_LN2_HI, f + gi_log_tail(f, (float)e * GI_LN2_LO));
    y = x < GI_INF_F32 ? y : x;
    y = x == -1.0f ? -GI_INF_F32 : y;
    y = x < -1.0f ? GI_NAN_F32 : y;
    return gi_abs_f32(x) < 0x1p-26f ? x : y;
}

/* log1p(a + a^2 / (1 + sqrt(a^2 + 1))); log(a) + log(2) where a^2 could overflow */
GI_FN float gi_asinh_f32(float x) {
    float a = gi_abs_f32(x);
    int huge = a > 0x1p30f;
    float z = a * a;
    float l = gi_log1p_f32(huge ? a : a + z / (1.0f + GI_SQRTF(z + 1.0f)));
    return gi_mulsign_f32(l + (huge ? 0x1.62e430p-1f : 0.0f), x);
}

/* log1p(t + sqrt(t (t + 2))), t = x - 1 */
GI_FN float gi_acosh_f32(float x) {
    float t = x - 1.0f;
    int huge = x > 0x1p30f;
    float l = gi_log1p_f32(huge ? x : t + GI_SQRTF(t * (t + 2.0f)));
    float y = l + (huge ? 0x1.62e430p-1f : 0.0f);
    return x < 1.0f ? GI_NAN_F32 : y;
}

GI_FN float gi_atanh_f32(float x) {
    float a = gi_abs_f32(x);
    return gi_mulsign_f32(0.5f * gi_log1p_f32((a + a) / (1.0f - a)), x);
}

/* log(exp(a) + exp(b)): the larger one, and log1p of what the smaller one is times it. Infinities
 * are what they are, NaN comes out of either. */
GI_FN float gi_logaddexp_f32(float a, float b) {
    float high = a < b ? b : a, low = a < b ? a : b;
    float y = high + gi_log1p_f32(gi_exp_f32(low - high));
    int is_whole = (gi_abs_f32(high) == GI_INF_F32) & (low == low);
    return is_whole ? high : y;
}

#endif
