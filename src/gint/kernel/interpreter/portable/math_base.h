/* What the elementary functions stand on: one spelling for C++, OpenCL C and CUDA C++.
 *
 * GI_FN            qualifiers of every function: internal linkage, so that translation units built
 * for different instruction sets never share a symbol, and always inlined, so that a loop around it
 * vectorises. GI_FMAF(a, b, c) a * b + c, in one rounding where that is one instruction (GI_FUSES),
 * in two elsewhere. The stated bounds hold both ways; bits differ between instruction sets with and
 * without it, never within one. GI_HAS_F64       1 where double exists. Selects are written `cond ?
 * a : b`; compile with -ffp-contract=off -fno-math-errno -fno-trapping-math, never with
 * -ffast-math: NaN, infinities, signed zeros and denormals are all meant.
 */
#ifndef GI_MATH_BASE_H
#define GI_MATH_BASE_H

#if defined(__OPENCL_VERSION__)

typedef uchar gi_u8;
typedef ushort gi_u16;
typedef int gi_i32;
typedef uint gi_u32;
typedef long gi_i64;
typedef ulong gi_u64;
#define GI_FN static inline
#define GI_TABLE __constant
#ifndef GI_HAS_F64
#if defined(cl_khr_fp64) || defined(__opencl_c_fp64)
#define GI_HAS_F64 1
#else
#define GI_HAS_F64 0
#endif
#endif
#if GI_HAS_F64
#define gi_bits_f64(x) as_ulong(x)
#define gi_f64_bits(x) as_double(x)
#endif
#define gi_bits_f32(x) as_uint(x)
#define gi_f32_bits(x) as_float(x)
#define GI_SQRTF(x) sqrt(x)
#define GI_RINTF(x) rint(x)
#define GI_FLOORF(x) floor(x)
#define GI_TRUNCF(x) trunc(x)
#define GI_FMODF(x, y) fmod(x, y)
#define GI_TRUNC(x) trunc(x)
/* GI_HAS_FMA: the device has CL_FP_FMA. PoCL has it and does not define FP_FAST_FMAF. */
#if defined(FP_FAST_FMAF) || GI_HAS_FMA
#define GI_FUSES 1
#define GI_FMAF(a, b, c) fma(a, b, c)
#else
#define GI_FUSES 0
#define GI_FMAF(a, b, c) ((a) * (b) + (c))
#endif
#define GI_FMA(a, b, c) fma(a, b, c)

#else /* C++ and CUDA C++ */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t gi_u8;
typedef uint16_t gi_u16;
typedef int32_t gi_i32;
typedef uint32_t gi_u32;
typedef int64_t gi_i64;
typedef uint64_t gi_u64;
#define GI_HAS_F64 1

#if defined(__CUDACC__)
#define GI_FN static __device__ __forceinline__
#define GI_TABLE static const __device__
#elif defined(_MSC_VER)
#define GI_FN static __forceinline
#define GI_TABLE static const
#else
#define GI_FN static inline __attribute__((always_inline, unused))
#define GI_TABLE static const
#endif

GI_FN gi_u32 gi_bits_f32(float x) {
    gi_u32 u;
    memcpy(&u, &x, sizeof u);
    return u;
}
GI_FN float gi_f32_bits(gi_u32 u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}
GI_FN gi_u64 gi_bits_f64(double x) {
    gi_u64 u;
    memcpy(&u, &x, sizeof u);
    return u;
}
GI_FN double gi_f64_bits(gi_u64 u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

#if defined(__GNUC__) && !defined(__CUDACC__)
#define GI_SQRTF(x) __builtin_sqrtf(x)
#define GI_RINTF(x) __builtin_rintf(x)
#define GI_FLOORF(x) __builtin_floorf(x)
#define GI_TRUNCF(x) __builtin_truncf(x)
#define GI_FMODF(x, y) __builtin_fmodf(x, y)
#define GI_TRUNC(x) __builtin_trunc(x)
#else
#define GI_SQRTF(x) sqrtf(x)
#define GI_RINTF(x) rintf(x)
#define GI_FLOORF(x) floorf(x)
#define GI_TRUNCF(x) truncf(x)
#define GI_FMODF(x, y) fmodf(x, y)
#define GI_TRUNC(x) trunc(x)
#endif

#if defined(__CUDA_ARCH__) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define GI_FUSES 1
#if defined(__GNUC__) && !defined(__CUDACC__)
#define GI_FMAF(a, b, c) __builtin_fmaf(a, b, c)
#define GI_FMA(a, b, c) __builtin_fma(a, b, c)
#else
#define GI_FMAF(a, b, c) fmaf(a, b, c)
#define GI_FMA(a, b, c) fma(a, b, c)
#endif
#else
#define GI_FUSES 0
#define GI_FMAF(a, b, c) ((a) * (b) + (c))
#define GI_FMA(a, b, c) ((a) * (b) + (c))
#endif

#endif

#define GI_INF_F32 gi_f32_bits(0x7f800000u)
#define GI_NAN_F32 gi_f32_bits(0x7fc00000u)
#if GI_HAS_F64
#define GI_INF_F64 gi_f64_bits(0x7ff0000000000000u)
#define GI_NAN_F64 gi_f64_bits(0x7ff8000000000000u)
#endif

GI_FN float gi_abs_f32(float x) { return gi_f32_bits(gi_bits_f32(x) & 0x7fffffffu); }
/* |x| with the sign of s */
GI_FN float gi_copysign_f32(float x, float s) {
    return gi_f32_bits((gi_bits_f32(x) & 0x7fffffffu) | (gi_bits_f32(s) & 0x80000000u));
}
GI_FN int gi_signs_differ_f32(float x, float y) {
    return (int)((gi_bits_f32(x) ^ gi_bits_f32(y)) >> 31);
}
/* x, negated where s is negative: for odd functions of a value that is not negative itself */
GI_FN float gi_mulsign_f32(float x, float s) {
    return gi_f32_bits(gi_bits_f32(x) ^ (gi_bits_f32(s) & 0x80000000u));
}
/* x with the sign of s set as well: for odd functions that lost the sign of a zero */
GI_FN float gi_orsign_f32(float x, float s) {
    return gi_f32_bits(gi_bits_f32(x) | (gi_bits_f32(s) & 0x80000000u));
}
#if GI_HAS_F64
GI_FN double gi_abs_f64(double x) { return gi_f64_bits(gi_bits_f64(x) & 0x7fffffffffffffffu); }
GI_FN double gi_copysign_f64(double x, double s) {
    return gi_f64_bits((gi_bits_f64(x) & 0x7fffffffffffffffu) |
                       (gi_bits_f64(s) & 0x8000000000000000u));
}
GI_FN double gi_orsign_f64(double x, double s) {
    return gi_f64_bits(gi_bits_f64(x) | (gi_bits_f64(s) & 0x8000000000000000u));
}
GI_FN gi_i64 gi_signs_differ_f64(double x, double y) {
    return (gi_i64)((gi_bits_f64(x) ^ gi_bits_f64(y)) >> 63);
}
/* What the product p = a * b lost when it was rounded. Without an instruction for it the factors
 * are halved into products that are exact (Dekker, 1971). */
GI_FN double gi_lost_f64(double a, double b, double p) {
#if GI_FUSES || defined(__OPENCL_VERSION__)
    return GI_FMA(a, b, -p);
#else
    double a_high = gi_f64_bits(gi_bits_f64(a) & 0xfffffffff8000000u), a_low = a - a_high;
    double b_high = gi_f64_bits(gi_bits_f64(b) & 0xfffffffff8000000u), b_low = b - b_high;
    return ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low;
#endif
}
/* c - a * b, exact where a * b is nearly c */
GI_FN double gi_rest_f64(double c, double a, double b) {
#if GI_FUSES || defined(__OPENCL_VERSION__)
    return GI_FMA(-a, b, c);
#else
    double p = a * b;
    return (c - p) - gi_lost_f64(a, b, p);
#endif
}
/* (a + a_low) / (b + b_low) as the sum of what is returned and *low */
GI_FN double gi_quotient_f64(double a, double a_low, double b, double b_low, double *low) {
    double inverse = 1.0 / b, q = a * inverse;
    *low = (gi_rest_f64(a, q, b) + GI_FMA(-q, b_low, a_low)) * inverse;
    return q;
}
#endif
/* 2^n, n from -126 to 127, given n + 127 in the low 9 bits */
GI_FN float gi_pow2_biased_f32(gi_u32 n) { return gi_f32_bits(n << 23); }

/* Functions that are written once for a float and, in C++, for a vector register of floats
 * (cpp/src/loops/wide.h): gi_f is either, and what would be an operator of one of them has a name
 * here. Comparisons with NaN are false. */
#if defined(__cplusplus)
#define GI_GENERIC template <class gi_f> GI_FN
#else
#define GI_GENERIC GI_FN
typedef float gi_f;
#endif
GI_FN float gi_muladd(float a, float b, float c) { return GI_FMAF(a, b, c); }
/* a where x < edge, else b */
GI_FN float gi_below(float x, float edge, float a, float b) { return x < edge ? a : b; }
/* x, or the edge where x is beyond it; NaN stays */
GI_FN float gi_at_most(float edge, float x) { return edge < x ? edge : x; }
GI_FN float gi_at_least(float edge, float x) { return edge > x ? edge : x; }
/* 2^n, n from -126 to 127, given n + 127 in the low bits of x */
GI_FN float gi_pow2_of(float x) { return gi_pow2_biased_f32(gi_bits_f32(x)); }
/* p * 2^n in one rounding, n from -252 to 254, p about 1, given n + 254 in the low bits of
 * `shifted` (see GI_ROUNDER_F32). In two factors: only the last product meets a denormal or
 * overflows. */
GI_FN float gi_scale(float p, float shifted) {
    gi_u32 n = gi_bits_f32(shifted), k = n >> 1;
    return p * gi_pow2_biased_f32(k) * gi_pow2_biased_f32(n - k);
}

/* Adding 1.5 * 2^23 + bias leaves rint(x) + bias, for |x| < 2^21, in the low bits of the sum, and
 * shifting those into the exponent drops the rest: with bias 127 that is 2^rint(x) at once. */
#define GI_ROUNDER_F32 12582912.0f

/* c0 + c1 x + c2 x^2 ... by Estrin's scheme: as many operations as Horner's, a chain half as long.
 * The chain is what costs: these loops are bound by latency. */
GI_FN float gi_poly4_f32(float x, float c0, float c1, float c2, float c3) {
    float z = x * x;
    return GI_FMAF(GI_FMAF(c3, x, c2), z, GI_FMAF(c1, x, c0));
}
GI_FN float gi_poly5_f32(float x, float c0, float c1, float c2, float c3, float c4) {
    float z = x * x;
    return GI_FMAF(GI_FMAF(c4, z, GI_FMAF(c3, x, c2)), z, GI_FMAF(c1, x, c0));
}
GI_FN float gi_poly6_f32(float x, float c0, float c1, float c2, float c3, float c4, float c5) {
    float z = x * x;
    return GI_FMAF(GI_FMAF(GI_FMAF(c5, x, c4), z, GI_FMAF(c3, x, c2)), z, GI_FMAF(c1, x, c0));
}
GI_FN float gi_poly7_f32(float x, float c0, float c1, float c2, float c3, float c4, float c5,
                         float c6) {
    float z = x * x, w = z * z;
    float high = GI_FMAF(c6, z, GI_FMAF(c5, x, c4));
    return GI_FMAF(high, w, GI_FMAF(GI_FMAF(c3, x, c2), z, GI_FMAF(c1, x, c0)));
}
GI_FN float gi_poly9_f32(float x, float c0, float c1, float c2, float c3, float c4, float c5,
                         float c6, float c7, float c8) {
    float z = x * x, w = z * z;
    float high = GI_FMAF(GI_FMAF(c7, x, c6), z, GI_FMAF(c5, x, c4));
    high = GI_FMAF(c8, w, high);
    return GI_FMAF(high, w, GI_FMAF(GI_FMAF(c3, x, c2), z, GI_FMAF(c1, x, c0)));
}
GI_FN float gi_poly10_f32(float x, float c0, float c1, float c2, float c3, float c4, float c5,
                          float c6, float c7, float c8, float c9) {
    float z = x * x, w = z * z;
    float high = GI_FMAF(GI_FMAF(c7, x, c6), z, GI_FMAF(c5, x, c4));
    high = GI_FMAF(GI_FMAF(c9, x, c8), w, high);
    return GI_FMAF(high, w, GI_FMAF(GI_FMAF(c3, x, c2), z, GI_FMAF(c1, x, c0)));
}
#if GI_HAS_F64
GI_FN double gi_poly6_f64(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5) {
    double z = x * x;
    return GI_FMA(GI_FMA(GI_FMA(c5, x, c4), z, GI_FMA(c3, x, c2)), z, GI_FMA(c1, x, c0));
}
GI_FN double gi_poly7_f64(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5, double c6) {
    double z = x * x, w = z * z;
    double high = GI_FMA(c6, z, GI_FMA(c5, x, c4));
    return GI_FMA(high, w, GI_FMA(GI_FMA(c3, x, c2), z, GI_FMA(c1, x, c0)));
}
GI_FN double gi_poly8_f64(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5, double c6, double c7) {
    double z = x * x, w = z * z;
    double high = GI_FMA(GI_FMA(c7, x, c6), z, GI_FMA(c5, x, c4));
    return GI_FMA(high, w, GI_FMA(GI_FMA(c3, x, c2), z, GI_FMA(c1, x, c0)));
}
GI_FN double gi_poly12_f64(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11) {
    double w = x * x * (x * x);
    double high = GI_FMA(GI_FMA(c11, x, c10), x * x, GI_FMA(c9, x, c8));
    return GI_FMA(high, w * w, gi_poly8_f64(x, c0, c1, c2, c3, c4, c5, c6, c7));
}
GI_FN double gi_poly14_f64(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11, double c12, double c13) {
    double w = x * x * (x * x), high = gi_poly6_f64(x, c8, c9, c10, c11, c12, c13);
    return GI_FMA(high, w * w, gi_poly8_f64(x, c0, c1, c2, c3, c4, c5, c6, c7));
}
GI_FN double gi_poly24_f64(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11, double c12, double c13, double c14, double c15, double c16,
                           double c17, double c18, double c19, double c20, double c21, double c22,
                           double c23) {
    double w = x * x * (x * x), v = w * w;
    double high = gi_poly8_f64(x, c16, c17, c18, c19, c20, c21, c22, c23);
    high = GI_FMA(high, v, gi_poly8_f64(x, c8, c9, c10, c11, c12, c13, c14, c15));
    return GI_FMA(high, v, gi_poly8_f64(x, c0, c1, c2, c3, c4, c5, c6, c7));
}
GI_FN double gi_poly9_f64(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5, double c6, double c7, double c8) {
    double w = x * x * (x * x);
    return GI_FMA(c8, w * w, gi_poly8_f64(x, c0, c1, c2, c3, c4, c5, c6, c7));
}
GI_FN double gi_poly10_f64(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9) {
    double z = x * x, w = z * z;
    double high = GI_FMA(GI_FMA(c7, x, c6), z, GI_FMA(c5, x, c4));
    high = GI_FMA(GI_FMA(c9, x, c8), w, high);
    return GI_FMA(high, w, GI_FMA(GI_FMA(c3, x, c2), z, GI_FMA(c1, x, c0)));
}
GI_FN double gi_poly28_f64(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11, double c12, double c13, double c14, double c15, double c16,
                           double c17, double c18, double c19, double c20, double c21, double c22,
                           double c23, double c24, double c25, double c26, double c27) {
    double w = x * x * (x * x), v = w * w;
    double high = gi_poly12_f64(x, c16, c17, c18, c19, c20, c21, c22, c23, c24, c25, c26, c27);
    high = GI_FMA(high, v, gi_poly8_f64(x, c8, c9, c10, c11, c12, c13, c14, c15));
    return GI_FMA(high, v, gi_poly8_f64(x, c0, c1, c2, c3, c4, c5, c6, c7));
}
#endif

#endif
