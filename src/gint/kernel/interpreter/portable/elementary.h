/* Elementary functions of the native interpreters: one include. See math_base.h for the rules. */
#ifndef GI_MATH_H
#define GI_MATH_H

#include "math_base.h"
#include "math_erf.h"
#include "math_exp.h"
#include "math_float.h"
#include "math_float64.h"
#include "math_log.h"
#include "math_pow.h"
#include "math_trig.h"

#endif
