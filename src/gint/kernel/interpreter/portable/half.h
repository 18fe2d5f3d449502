/* float16 and bfloat16 to float32 and back, in integers and float32 alone: no branch, no special
 * instruction. Rounding is to nearest even, overflow gives infinity, denormals count, NaN stays NaN
 * (quiet, sign and leading payload bits kept). Halves are handled as their 16 bits. */
#ifndef GI_HALF_H
#define GI_HALF_H

#include "math_base.h"

GI_FN float gi_bf16_to_f32(gi_u16 h) { return gi_f32_bits((gi_u32)h << 16); }

GI_FN gi_u16 gi_f32_to_bf16(float x) {
    gi_u32 u = gi_bits_f32(x);
    gi_u32 nearest = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    return (gi_u16)(x != x ? (u >> 16) | 0x40u : nearest);
}

/* Shifted into place the exponent is 112 too small, which a product mends for normals and denormals
 * alike. */
GI_FN float gi_f16_to_f32(gi_u16 h) {
    gi_u32 u = (h & 0x7fffu) << 13, sign = (gi_u32)(h & 0x8000u) << 16;
    gi_u32 finite = gi_bits_f32(gi_f32_bits(u) * 0x1p112f);
    return gi_f32_bits(sign | (u >= 0x0f800000u ? u | 0x7f800000u : finite));
}

/* Normals: round the 13 bits away and move the exponent. Below 2^-14 the step is 2^-24 throughout:
 * adding 1/2, whose own step that is, leaves the digits in the low bits. */
GI_FN gi_u16 gi_f32_to_f16(float x) {
    gi_u32 u = gi_bits_f32(x), a = u & 0x7fffffffu;
    gi_u32 normal = (a + 0x0fffu + ((a >> 13) & 1u) - 0x38000000u) >> 13;
    gi_u32 tiny = gi_bits_f32(gi_f32_bits(a) + 0.5f) - 0x3f000000u;
    gi_u32 h = a < 0x38800000u ? tiny : normal;
    h = a >= 0x477ff000u ? 0x7c00u : h;
    h = a > 0x7f800000u ? 0x7e00u | ((a >> 13) & 0x3ffu) : h;
    return (gi_u16)(h | ((u >> 16) & 0x8000u));
}

#endif
