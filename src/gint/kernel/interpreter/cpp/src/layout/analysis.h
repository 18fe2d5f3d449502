// What a schedule needs to know of a program under one layout: which values vary over what, which
// are the same in several sections and worth keeping, which are not needed at all.
#pragma once

#include <map>

#include "layout/layout.h"

namespace gint {

struct Value {             // of one register
    AxisSet varies = 0;    // axes of the layout
    uint8_t shape = 0;     // Shape within a tile
    bool constant = false; // depends on parameters and extents alone
    bool at_point = false; // of a constant: on a position too, which an extent of 1 leaves at 0
    bool outlives = false; // read by a later section
};

// A constant and a multiple of the position along every axis.
struct Linear {
    int64_t constant;
    int64_t per_axis[MAX_AXES]; // of the layout
};

// Where a gather reads whose positions are such numbers: nobody computes them.
struct WindowPositions {
    Linear along[GI_MAX_INDICES];
};

struct Role { // of one instruction
    bool needed = false;
    bool writes_kept = false, reads_kept = false; // the worker's copy of a whole row
    uint32_t number = 0;                          // equal numbers: equal values
};

struct Analysis {
    std::vector<Value> values; // per register
    std::vector<Role> roles;   // per instruction
    std::vector<int> home;     // per register: the section that defines it
    // By instruction, what need not be computed: the indices of an argmax or argmin, which in every
    // tile increase in the order in which its elements are folded; and comparisons that hold where
    // a number is negative.
    std::map<uint32_t, Linear> indices, signs;
    std::map<uint32_t, WindowPositions> windows;
};

Analysis analyse(const Program &program, const Binding &binding, const Layout &layout,
                 const std::vector<uint16_t> &groups);

// Does `slot` lie without gaps in a tile of this shape?
bool is_packed(const Layout &layout, size_t slot, uint8_t shape);
// The part of a tile that something varying over these axes has.
uint8_t shape_of(const Layout &layout, AxisSet varies);
AxisSet varies_of_slot(const Layout &layout, size_t slot);

} // namespace gint
