/* Elementary functions of the native interpreters, one include: gi_NAME_f32(x), gi_NAME_f64(x).
 *
 * Every function is branch-free, so that a plain loop over it vectorises (gcc 12, -O3; the
 * exceptions are named in math_trig.h, math_trig_f64.h and math_float.h):
 *
 *     for (long i = 0; i < n; i++) d[i] = gi_exp_f32(a[i]);
 *
 * Where there is a _fast form, it is right where NAME_is_far is 0, and the plain form is for the
 * few arguments that are far (cpp/src/loops/near.h):
 *
 *     int any_far = 0;
 *     for (long i = 0; i < n; i++) {
 *         d[i] = gi_sin_f32_fast(a[i]);
 *         any_far |= gi_sin_f32_is_far(a[i]);
 *     }
 *     if (any_far) ... // those that are far, by gi_sin_f32
 *
 * Results do not depend on a value's place in the loop. Errors: docs/accuracy.md. What the compiler
 * must be told: math_base.h. */
#ifndef GI_ELEMENTARY_H
#define GI_ELEMENTARY_H

#include "math_base.h"
#include "math_erf.h"
#include "math_erf_f64.h"
#include "math_exp.h"
#include "math_exp_f64.h"
#include "math_float.h"
#include "math_log.h"
#include "math_log_f64.h"
#include "math_pow.h"
#include "math_trig.h"
#include "math_trig_f64.h"

#endif
