// float16 conversions of whole rows, through F16C where the unit is built with it, or NEON: what
// gcc 12 does not find by itself. The same results as the scalar forms of half.h. (bfloat16 needs
// none of this: its loops vectorise.)
#pragma once

#include "half.h"
#include "loops/intrinsics.h"

GI_FN void gi_f16_to_f32_rows(long n, const uint16_t *__restrict a, float *__restrict d) {
    long i = 0;
#if defined(__F16C__)
    for (; i + 8 <= n; i += 8) {
        __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i *>(a + i));
        _mm256_storeu_ps(d + i, _mm256_cvtph_ps(halves));
    }
#elif defined(__aarch64__)
    for (; i + 4 <= n; i += 4)
        vst1q_f32(d + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(a + i))));
#endif
    for (; i < n; i++) d[i] = gi_f16_to_f32(a[i]);
}

GI_FN void gi_f32_to_f16_rows(long n, const float *__restrict a, uint16_t *__restrict d) {
    long i = 0;
#if defined(__F16C__)
    for (; i + 8 <= n; i += 8) {
        __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(a + i), 0x08 /* to nearest */);
        _mm_storeu_si128(reinterpret_cast<__m128i *>(d + i), halves);
    }
#elif defined(__aarch64__)
    for (; i + 4 <= n; i += 4)
        vst1_u16(d + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(a + i))));
#endif
    for (; i < n; i++) d[i] = gi_f32_to_f16(a[i]);
}
