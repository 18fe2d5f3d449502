#include "program/binding.h"

#include <algorithm>
#include <numeric>

namespace gint {

// Has every point of the iteration space the same element in both, once they start at one address?
static bool same_elements(const Slot &slot, const Region &r, const Slot &other_slot,
                          const Region &other) {
    if (r.itemsize != other.itemsize) return false;
    Int128 steps[MAX_AXES] = {}, other_steps[MAX_AXES] = {};
    bool moves[MAX_AXES] = {}, other_moves[MAX_AXES] = {};
    for (int k = 0; k < r.rank; k++)
        if (r.extents[k] > 1) steps[slot.axes[k]] = r.steps[k], moves[slot.axes[k]] = true;
    for (int k = 0; k < other.rank; k++)
        if (other.extents[k] > 1)
            other_steps[other_slot.axes[k]] = other.steps[k],
            other_moves[other_slot.axes[k]] = true;
    return std::equal(moves, moves + MAX_AXES, other_moves) &&
           std::equal(steps, steps + MAX_AXES, other_steps);
}

bool verify_regions(const Program &program, const Binding &binding, Regions &out) {
    if (binding.extents.size() != program.reduced.size() ||
        binding.params.size() != program.params.size() ||
        binding.slots.size() != program.slots.size())
        return false;
    Int128 points = 1;
    for (size_t a = 0; a < binding.extents.size(); a++) {
        const int64_t extent = binding.extents[a];
        if (extent < 0 || extent > MAX_POINTS) return false;
        if (program.indexed >> a & 1) continue;
        points *= std::max<int64_t>(extent, 1);
        if (points > MAX_POINTS) return false;
    }
    out.of.assign(program.slots.size(), {});
    out.touched.assign(program.slots.size(), false);
    for (size_t n = 0; n < program.slots.size(); n++) {
        const Slot &slot = program.slots[n];
        const SlotBinding &bound = binding.slots[n];
        Region &r = out.of[n];
        r.itemsize = int64_t(type_size(slot.type));
        r.start = Int128(bound.offset) * r.itemsize;
        r.rank = int(slot.axes.size());
        bool empty = false;
        for (int k = 0; k < r.rank; k++) {
            r.extents[k] = binding.extents[slot.axes[k]];
            r.steps[k] = Int128(bound.strides[k]) * r.itemsize;
            empty |= r.extents[k] == 0;
        }
        if (empty || !slot.used) continue;
        if (!measure(r) || r.low < 0 || r.high > bound.storage_bytes) return false;
        if (slot.writes && overlaps_itself(r)) return false;
        out.touched[n] = true;
    }
    return true;
}

bool verify_overlaps(const Program &program, const Regions &regions, const uint64_t *pointers,
                     std::vector<uint16_t> &groups) {
    const size_t count = program.slots.size();
    groups.resize(count);
    std::iota(groups.begin(), groups.end(), uint16_t(0));
    for (size_t n = 0; n < count; n++) {
        if (!regions.touched[n]) continue;
        if (pointers[n] == 0 || pointers[n] % uint64_t(regions.of[n].itemsize)) return false;
    }
    for (size_t n = 0; n < count; n++) {
        if (!regions.touched[n] || !program.slots[n].writes) continue;
        const Region &r = regions.of[n];
        for (size_t m = 0; m < count; m++) {
            if (m == n || !regions.touched[m] || (program.slots[m].writes && m < n)) continue;
            const Region &other = regions.of[m];
            if (disjoint(r, pointers[n], other, pointers[m])) continue;
            const bool same = Int128(pointers[n]) + r.start == Int128(pointers[m]) + other.start &&
                              same_elements(program.slots[n], r, program.slots[m], other);
            if (!same || program.slots[m].writes || !program.slots[m].indexed.empty()) return false;
            groups[m] = groups[n];
        }
    }
    return true;
}

} // namespace gint
