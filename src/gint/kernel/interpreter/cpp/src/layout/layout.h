// How a launch walks its iteration space: which axes there really are, in which order, and the
// shape of a tile. Knows extents and strides. Does not know instructions' meanings or memory.
#pragma once

#include <array>

#include "program/binding.h"

namespace gint {

// Lines that workers who share a reduction of columns take at a time; a power of two.
constexpr int64_t CHUNK_LINES = 64;

constexpr double MEMORY_BYTES = 24 << 20; // slots from here on come from memory

constexpr int64_t LONG_LINE = 256; // from here on a tile is one line: rows cost nothing

// Axes of the program with extent 1 are dropped, adjacent ones whose strides agree in every slot
// are merged, and both kinds are ordered by memory: outermost first.
struct Layout {
    int rank = 0;
    int64_t extent[MAX_AXES] = {};
    bool reduced[MAX_AXES] = {};
    int from_program[MAX_AXES] = {}; // axis of the program -> axis here; -1: of extent 1
    std::vector<std::array<int64_t, MAX_AXES>> strides; // per slot, in elements; 0: does not vary

    // A tile is `rows` x `cols` along these axes, or a line where axis_a is -1.
    int axis_a = -1, axis_b = -1;
    int64_t rows = 1, cols = 1;

    int64_t points() const;
    // Are whole lines, or tiles of them, folded down their columns?
    bool folds_long_lines() const;
    bool is_transposing = false; // some slot runs fastest along axis_a
};

// The extents must not contain 0 among the parallel axes; a reduced axis may have it.
Layout make_layout(const Program &program, const Binding &binding);

} // namespace gint
