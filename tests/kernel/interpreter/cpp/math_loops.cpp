// Loops over the elementary functions, for test_math.py to load with ctypes; and the C library's float64 functions
// where NumPy has none.
#include "elementary.h"

#define UNARY(NAME, T)                                                                  \
    extern "C" void loop_##NAME(long n, const T *__restrict a, T *__restrict d) {       \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME(a[i]);                            \
    }
#define BINARY(NAME, T)                                                                 \
    extern "C" void loop_##NAME(long n, const T *__restrict a, const T *__restrict b, T *__restrict d) { \
        for (long i = 0; i < n; i++) d[i] = gi_##NAME(a[i], b[i]);                      \
    }
#define REFERENCE(NAME)                                                                 \
    extern "C" void reference_##NAME(long n, const double *a, double *d) {              \
        for (long i = 0; i < n; i++) d[i] = NAME(a[i]);                                 \
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

REFERENCE(erf)
REFERENCE(erfc)
