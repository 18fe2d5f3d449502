// The memory and the numbers of one launch, and the proof that a launch stays inside them: the same
// rules as gint/program/verifier.py.
#pragma once

#include <cstdint>
#include <vector>

#include "program/regions.h"

namespace gint {

struct SlotBinding {
    int64_t storage_bytes, offset;
    int64_t strides[MAX_AXES]; // per axis of the slot, in elements
};

struct Binding {
    std::vector<int64_t> extents;
    std::vector<uint64_t> params; // bits of an i64 or f64
    std::vector<SlotBinding> slots;
};

// Where every slot lies relative to its storage, checked against the storage's size.
struct Regions {
    std::vector<Region> of;    // per slot
    std::vector<bool> touched; // used, and no extent is 0
};

// False where a slot leaves its storage, an output overlaps itself, or an extent is negative.
bool verify_regions(const Program &program, const Binding &binding, Regions &out);

// False where addresses are not aligned or a written slot overlaps another one other than element
// by element. `groups[n]` becomes the lowest slot that n shares its elements with, or n.
bool verify_overlaps(const Program &program, const Regions &regions, const uint64_t *pointers,
                     std::vector<uint16_t> &groups);

} // namespace gint
