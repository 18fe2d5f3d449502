// Writing where positions say, on several threads.
//
// What is written lies in a space of axes. Along a *free* axis the destination advances by a
// stride, so points that differ there never meet; along the others its place comes from positions
// alone. Points that meet are combined in the order of the space, for any number of threads: each
// owns a range of a free axis, or of the destination.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "scatter/scatter_table.h"

namespace gint {

constexpr size_t MOST_POSITIONS = 8; // tensors of them

// Strides in elements, of the destination (0: not a free axis), the source and the positions.
struct ScatterAxis {
    int64_t extent, destination, source;
    std::array<int64_t, MOST_POSITIONS> positions;
};

struct ScatterPositions {
    const void *data;
    bool is_wide; // of 8 bytes, not of 4
    int64_t step; // elements of the destination from one position to the next
    PositionRule rule;
};

struct Scatter {
    uint8_t type;
    Fold fold;
    std::vector<ScatterAxis> axes; // the outermost first
    std::vector<ScatterPositions> positions;
    void *destination;
    const void *source;
    int64_t elements; // of the destination, from its first to its last
    // Copied into the destination first; null where that is `is_cleared` first, or used as it is.
    const void *initial;
    bool is_cleared;
    // Points with this one position, or one that is not fit, are left out, where `leaves_out`.
    bool leaves_out;
    int64_t left_out;
};

// False where a position is not fit; the destination then holds anything. Up to `threads` threads
// (0: OpenMP's own number); the result does not depend on it.
bool scatter(const Scatter &, int threads);

} // namespace gint
