// Regions of memory that strided slots cover, and whether two share an element: the twin of
// gint/program/regions.py, in checked 128-bit arithmetic.
#pragma once

#include <cstdint>

#include "program/program.h"

namespace gint {

using Int128 = __int128;

// The elements of a slot at start + sum(position * step), in bytes from the storage's first.
struct Region {
    Int128 start;
    int64_t itemsize;
    int rank;
    int64_t extents[MAX_AXES];
    Int128 steps[MAX_AXES];
    Int128 low, high; // bytes touched; `high` is one past the last
};

// Moves `low` or `high` by what an axis reaches from its first position; no extent is 0.
template <class T> void extend(T &low, T &high, int64_t extent, T step) {
    const T reach = T(extent - 1) * step;
    (reach < 0 ? low : high) += reach;
}

// Sets low and high; false where one leaves 63 bits (then it leaves any storage).
bool measure(Region &r);

// Exact for nested strides; other layouts count as overlapping.
bool overlaps_itself(const Region &r);

// Whether the two, of storages at these addresses, surely share no byte.
bool disjoint(const Region &a, Int128 at_a, const Region &b, Int128 at_b);

} // namespace gint
