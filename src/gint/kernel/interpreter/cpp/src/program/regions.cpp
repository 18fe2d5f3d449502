#include "program/regions.h"

#include <algorithm>

namespace gint {

namespace {

constexpr Int128 LARGEST = INT64_MAX;

Int128 absolute(Int128 x) { return x < 0 ? -x : x; }

struct Window {
    Int128 low, span;
};

// The range covered once multiples of `step` are taken away.
Window window(const Region &r, Int128 base, Int128 step) {
    Int128 low = base + r.start, high = low + r.itemsize;
    for (int k = 0; k < r.rank; k++) {
        if (r.extents[k] <= 1 || r.steps[k] % step == 0) continue;
        extend(low, high, r.extents[k], r.steps[k]);
    }
    return {low, high - low};
}

bool disjoint_modulo(const Region &a, Int128 at_a, const Region &b, Int128 at_b, Int128 step) {
    const Window wa = window(a, at_a, step), wb = window(b, at_b, step);
    Int128 gap = (wb.low - wa.low) % step;
    if (gap < 0) gap += step;
    return wa.span <= gap && gap + wb.span <= step;
}

} // namespace

bool measure(Region &r) {
    r.low = r.high = r.start;
    for (int k = 0; k < r.rank; k++) // extents of at most MAX_POINTS: no product leaves 128 bits
        extend(r.low, r.high, r.extents[k], r.steps[k]);
    r.high += r.itemsize;
    return r.low >= -LARGEST && r.high <= LARGEST;
}

bool overlaps_itself(const Region &r) {
    int order[MAX_AXES], count = 0;
    for (int k = 0; k < r.rank; k++)
        if (r.extents[k] > 1) order[count++] = k;
    std::sort(order, order + count,
              [&](int x, int y) { return absolute(r.steps[x]) < absolute(r.steps[y]); });
    Int128 span = r.itemsize;
    for (int k = 0; k < count; k++) {
        const Int128 step = absolute(r.steps[order[k]]);
        if (step < span) return true;
        span += step * (r.extents[order[k]] - 1);
    }
    return false;
}

bool disjoint(const Region &a, Int128 at_a, const Region &b, Int128 at_b) {
    if (at_a + a.high <= at_b + b.low || at_b + b.high <= at_a + a.low) return true;
    for (const Region *r : {&a, &b})
        for (int k = 0; k < r->rank; k++)
            if (r->extents[k] > 1 && r->steps[k] != 0 &&
                disjoint_modulo(a, at_a, b, at_b, absolute(r->steps[k])))
                return true;
    return false;
}

} // namespace gint
