// Loops over the C library's functions of long double, which are exact to a float64.
#include <cmath>

#define WIDE(NAME)                                                                                 \
    extern "C" void loop_##NAME##_wide(long n, const long double *a, long double *d) {             \
        for (long i = 0; i < n; i++) d[i] = NAME##l(a[i]);                                         \
    }
WIDE(erf)
WIDE(erfc)
