// What the loops of scatters offer to the rest of the interpreter.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "isa.inc"

namespace gint {

// How a value is combined with the one that the destination holds.
enum class Fold : uint8_t { set, add, multiply, largest, smallest, COUNT };

// Which positions are fit: 0 <= position < extent, and from -extent on where they wrap.
struct PositionRule {
    int64_t extent;
    bool wraps;
};

// A row of positions: `count` numbers, `stride` elements apart, each worth `step` elements of the
// destination.
struct PositionRow {
    const void *data;
    int64_t stride, step;
    size_t count;
    PositionRule rule;
};

// What elements of a destination and a source are met by.
struct Elements {
    void *destination;
    const void *source;
    int64_t destination_stride, source_stride;
};

// How many lines of such elements and their positions there are, and how far apart.
struct Lines {
    int64_t count, destination, source, positions;
};

struct ScatterTable {
    // places[j] += step * position j, for positions of 4 and of 8 bytes. False where one is not
    // fit: the places are of no use then.
    bool (*add_positions[2])(const PositionRow &, int64_t *places);
    // One after the other: destination[places[j]] <- fold(it, source[sources[j]]), by type.
    void (*points[size_t(Fold::COUNT)][GI_TYPE_COUNT])(size_t count, const int64_t *places,
                                                       const int64_t *sources, const Elements &);
    // destination[j * stride + step * position j] <- fold(it, source[j * stride]), for positions of
    // 8 bytes, line after line, until one is not fit: false.
    bool (*direct[size_t(Fold::COUNT)][GI_TYPE_COUNT])(const PositionRow &, const Elements &,
                                                       const Lines &);
    // Of each point `lines` elements, which lie by the strides apart:
    // destination[places[j] + stride * line] <- fold(it, source[sources[j] + stride * line]).
    void (*lines[size_t(Fold::COUNT)][GI_TYPE_COUNT])(size_t count, const int64_t *places,
                                                      const int64_t *sources, size_t lines,
                                                      const Elements &);
    // The same of rows: the destination's stride is 1, the source's 0 or 1, and there are many.
    void (*rows[size_t(Fold::COUNT)][GI_TYPE_COUNT])(size_t count, const int64_t *places,
                                                     const int64_t *sources, size_t length,
                                                     const Elements &);
};

} // namespace gint
