// Loops over the elementary functions, for test_math.py to load with ctypes.
#include "elementary.h"
#include "loops/half_rows.h"
#include "loops/integer.h"

#define UNARY(NAME, T)                                                                             \
    extern "C" void loop_##NAME(long n, const T *__restrict a, T *__restrict d) {                  \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME(a[i]);                                       \
    }
#define BINARY(NAME, T)                                                                            \
    extern "C" void loop_##NAME(long n, const T *__restrict a, const T *__restrict b,              \
                                T *__restrict d) {                                                 \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME(a[i], b[i]);                                 \
    }
UNARY(exp_f32, float)
UNARY(exp2_f32, float)
UNARY(expm1_f32, float)
UNARY(sigmoid_f32, float)
UNARY(tanh_f32, float)
UNARY(sinh_f32, float)
UNARY(cosh_f32, float)
UNARY(log_f32, float)
UNARY(log2_f32, float)
UNARY(log10_f32, float)
UNARY(log1p_f32, float)
UNARY(asinh_f32, float)
UNARY(acosh_f32, float)
UNARY(atanh_f32, float)
UNARY(sin_f32, float)
UNARY(cos_f32, float)
UNARY(tan_f32, float)
UNARY(sin_f32_fast, float)
UNARY(cos_f32_fast, float)
UNARY(tan_f32_fast, float)
UNARY(asin_f32, float)
UNARY(acos_f32, float)
UNARY(atan_f32, float)
UNARY(erf_f32, float)
UNARY(erfc_f32, float)
UNARY(sqrt_f32, float)
UNARY(rsqrt_f32, float)
UNARY(reciprocal_f32, float)
UNARY(round_f32, float)
UNARY(sign_f32, float)

BINARY(atan2_f32, float)
BINARY(pow_f32, float)
BINARY(maximum_f32, float)
BINARY(minimum_f32, float)
BINARY(fmax_f32, float)
BINARY(fmin_f32, float)
BINARY(fmod_f32, float)
BINARY(remainder_f32, float)
BINARY(floor_div_f32, float)
BINARY(trunc_div_f32, float)
BINARY(fmod_f32_fast, float)
BINARY(remainder_f32_fast, float)
BINARY(floor_div_f32_fast, float)
BINARY(fmod_f32_is_far, float)
BINARY(fmod_f64_is_far, double)

UNARY(exp_f64, double)
UNARY(log_f64, double)
UNARY(tanh_f64, double)
UNARY(sigmoid_f64, double)
UNARY(exp2_f64, double)
UNARY(expm1_f64, double)
UNARY(sinh_f64, double)
UNARY(cosh_f64, double)
UNARY(log2_f64, double)
UNARY(log10_f64, double)
UNARY(log1p_f64, double)
UNARY(asinh_f64, double)
UNARY(acosh_f64, double)
UNARY(atanh_f64, double)
UNARY(asin_f64, double)
UNARY(acos_f64, double)
UNARY(atan_f64, double)
UNARY(erf_f64, double)
UNARY(erfc_f64, double)
UNARY(sin_f64, double)
UNARY(tan_f64, double)
UNARY(cos_f64, double)
UNARY(sin_f64_fast, double)
UNARY(cos_f64_fast, double)
UNARY(tan_f64_fast, double)

BINARY(atan2_f64, double)
BINARY(pow_f64, double)
BINARY(hypot_f64, double)

BINARY(maximum_f64, double)
BINARY(minimum_f64, double)
BINARY(fmax_f64, double)
BINARY(fmin_f64, double)
BINARY(fmod_f64, double)
BINARY(remainder_f64, double)
BINARY(floor_div_f64, double)
BINARY(fmod_f64_fast, double)
BINARY(remainder_f64_fast, double)
BINARY(floor_div_f64_fast, double)
BINARY(trunc_div_f64, double)

#define CONVERT(NAME, FROM, TO)                                                                    \
    extern "C" void loop_##NAME(long n, const FROM *__restrict a, TO *__restrict d) {              \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME(a[i]);                                       \
    }
CONVERT(f16_to_f32, uint16_t, float)
CONVERT(bf16_to_f32, uint16_t, float)
CONVERT(f32_to_f16, float, uint16_t)
CONVERT(f32_to_bf16, float, uint16_t)
#define ROWS(NAME, FROM, TO)                                                                       \
    extern "C" void loop_##NAME(long n, const FROM *a, TO *d) { gi_##NAME(n, a, d); }
ROWS(f16_to_f32_rows, uint16_t, float)
ROWS(f32_to_f16_rows, float, uint16_t)

#define INTEGER(NAME, SUFFIX, T)                                                                   \
    extern "C" void loop_##NAME##_##SUFFIX(long n, const T *__restrict a, const T *__restrict b,   \
                                           T *__restrict d) {                                      \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME<T>(a[i], b[i]);                              \
    }
#define DIVISION(NAME, SUFFIX, T)                                                                  \
    extern "C" int loop_##NAME##_##SUFFIX(long n, const T *__restrict a, const T *__restrict b,    \
                                          T *__restrict d) {                                       \
        int error = 0;                                                                             \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME<T>(a[i], b[i], error);                       \
        return error;                                                                              \
    }
#define INTEGER1(NAME, SUFFIX, T)                                                                  \
    extern "C" void loop_##NAME##_##SUFFIX(long n, const T *__restrict a, T *__restrict d) {       \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME<T>(a[i]);                                    \
    }
#define INTEGERS(SUFFIX, T)                                                                        \
    INTEGER(add, SUFFIX, T)                                                                        \
    INTEGER(sub, SUFFIX, T)                                                                        \
    INTEGER(mul, SUFFIX, T)                                                                        \
    INTEGER(shl, SUFFIX, T)                                                                        \
    INTEGER(shr, SUFFIX, T)                                                                        \
    INTEGER(ipow, SUFFIX, T)                                                                       \
    INTEGER1(neg, SUFFIX, T)                                                                       \
    INTEGER1(abs, SUFFIX, T)                                                                       \
    INTEGER1(sign, SUFFIX, T)                                                                      \
    DIVISION(trunc_div, SUFFIX, T)                                                                 \
    DIVISION(floor_div, SUFFIX, T)                                                                 \
    DIVISION(fmod, SUFFIX, T)                                                                      \
    DIVISION(remainder, SUFFIX, T)
INTEGERS(i8, int8_t)
INTEGERS(i16, int16_t)
INTEGERS(i32, int32_t)
INTEGERS(i64, int64_t)
INTEGERS(u8, uint8_t)

// By doubles, for integers of at most 51 bits.
#define SHORT_DIVISION(NAME)                                                                       \
    extern "C" int loop_##NAME##_short_i64(long n, const int64_t *__restrict a,                    \
                                           const int64_t *__restrict b, int64_t *__restrict d) {   \
        int error = 0;                                                                             \
        for (long i = 0; i < n; i++)                                                               \
            d[i] = gi_##NAME<int64_t, gi_short_quotient<int64_t>>(a[i], b[i], error);              \
        return error;                                                                              \
    }
SHORT_DIVISION(trunc_div)
SHORT_DIVISION(floor_div)
SHORT_DIVISION(fmod)
SHORT_DIVISION(remainder)
