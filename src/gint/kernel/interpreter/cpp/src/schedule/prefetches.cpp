#include "schedule/prefetches.h"

#include <algorithm>

namespace gint {

namespace {

// Is the slot large, read without gaps, and another part of it in the next block?
bool is_worth_it(const Inputs &inputs, const Schedule::Touched &touched, int axis, uint8_t shape) {
    const Slot &slot = inputs.program.slots[touched.slot];
    const Layout &l = inputs.layout;
    double bytes = double(touched.size);
    for (int a = 0; a < l.rank; a++)
        if (l.strides[touched.slot][a]) bytes *= double(l.extent[a]);
    return !slot.stored && slot.indexed.empty() && bytes >= MEMORY_BYTES && shape & COLS &&
           touched.strides[axis] != 0 && inputs.is_packed(touched.slot, shape);
}

// The last section that goes over the slot: by then the memory is idle. A map section does at
// least as well as those before it.
SectionSchedule *section_for(Schedule &out, uint16_t place) {
    for (size_t n = out.sections.size(); n-- > 0;) {
        SectionSchedule &s = out.sections[n];
        const bool reads = std::find(s.slots.begin(), s.slots.end(), place) != s.slots.end();
        if (!reads && s.kind != SectionKind::MAP) continue;
        if (!reads) s.slots.push_back(place);
        return &s;
    }
    return nullptr;
}

// What costs more per element than this keeps a core busy for longer than the CPU looks ahead.
constexpr double LIGHT_COST = 8;

// Is one slot read, once, and little computed of it? The CPU's own prefetching does no worse then,
// and rather better.
bool is_one_stream(const Inputs &inputs, const Schedule &out) {
    const auto read = [&](const Schedule::Touched &touched) {
        return !inputs.program.slots[touched.slot].stored;
    };
    const auto passes = [](const SectionSchedule &s) { return s.kind != SectionKind::SCALAR; };
    const auto is_heavy = [](const SectionSchedule &s) { return s.cost > LIGHT_COST; };
    if (std::any_of(out.sections.begin(), out.sections.end(), is_heavy)) return false;
    return std::count_if(out.touched.begin(), out.touched.end(), read) == 1 &&
           std::count_if(out.sections.begin(), out.sections.end(), passes) == 1;
}

} // namespace

void add_prefetches(const Inputs &inputs, Schedule &out) {
    if (out.parallel.rank == 0 || is_one_stream(inputs, out)) return;
    const int axis = out.parallel.axis[out.parallel.rank - 1];
    const int64_t step = out.parallel.step[out.parallel.rank - 1];
    for (const Schedule::Touched &touched : out.touched) {
        const uint8_t shape = inputs.slot_shape(touched.slot);
        if (!is_worth_it(inputs, touched, axis, shape)) continue;
        if (SectionSchedule *section = section_for(out, touched.place))
            section->prefetches.push_back({touched.place, shape, uint8_t(log2_size(touched.size)),
                                           touched.strides[axis] * step});
    }
    for (SectionSchedule &s : out.sections) {
        s.pauses = uint32_t(s.steps.size());
        for (const Chain &chain : s.chains)
            s.pauses += uint32_t(size_t(inputs.elements(inputs.tile)) >>
                                 inputs.loops.chain[chain.type].block_log2);
        s.pauses = std::max(s.pauses, 1u);
    }
}

} // namespace gint
