// The comparisons of the table, of elements and of vector registers: all but equality, of which the
// opposite does.
#pragma once

#include "loops/loops.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// X(OPCODE, struct)
#define GI_COMPARISONS(X) X(NE, Ne) X(LT, Lt) X(LE, Le) X(GT, Gt) X(GE, Ge)

#define GI_COMPARISON(NAME, SIGN)                                                                  \
    struct NAME {                                                                                  \
        template <class T> [[gnu::always_inline]] static inline auto of(T a, T b) {                \
            return a SIGN b;                                                                       \
        }                                                                                          \
    };
GI_COMPARISON(Ne, !=)
GI_COMPARISON(Lt, <)
GI_COMPARISON(Le, <=)
GI_COMPARISON(Gt, >)
GI_COMPARISON(Ge, >=)
#undef GI_COMPARISON

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
