// Where along a line of a tile linear positions are inside their axis.
#pragma once

#include "loops/loops.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// Of the elements j from *low to *high those at which 0 <= first + j * step < extent.
[[maybe_unused]] inline void clip(int64_t first, int64_t step, int64_t extent, int64_t *low,
                                  int64_t *high) {
    int64_t from = 0, to = *high;
    if (step == 0) {
        if (first < 0 || first >= extent) to = 0;
    } else {
        // Counted from the end that is lower.
        const int64_t up = step < 0 ? -step : step, start = step < 0 ? extent - 1 - first : first;
        from = start < 0 ? (up == 1 ? -start : (-start + up - 1) / up) : 0;
        const int64_t room = extent - start; // positions up to the other end
        to = room <= 0 ? 0 : up == 1 ? room : (room + up - 1) / up;
    }
    *low = from > *low ? from : *low;
    *high = to < *high ? to : *high;
    if (*low > *high) *low = *high;
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
