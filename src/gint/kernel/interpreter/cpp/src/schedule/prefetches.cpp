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

// Smaller launches find all they read in the second cache.
constexpr double NEAR_BYTES = 4 << 20;
// Of memory that goes on: later it would come too late, and what several operands ask for further
// ahead does not stay in the first cache.
constexpr int64_t AHEAD_BYTES = 4096;

double bytes_read(const Inputs &inputs, const Schedule &out) {
    double bytes = 0;
    for (const Schedule::Touched &touched : out.touched)
        if (!inputs.program.slots[touched.slot].stored) bytes += inputs.bytes(touched.slot);
    return bytes;
}

// How far ahead of the operand lies what is read next, or 0 where that is not known.
int64_t bytes_ahead(const Inputs &inputs, const Schedule &out, const Schedule::Touched &touched) {
    const Layout &l = inputs.layout;
    const int64_t tile = inputs.elements(inputs.tile) * touched.size;
    for (const Grid *grid : {&out.reduced, &out.parallel})
        for (int k = grid->rank - 1; k >= 0; k--) {
            if (grid->count[k] == 1) continue;
            const int64_t next = touched.strides[grid->axis[k]] * grid->step[k];
            return next == tile && l.rank ? AHEAD_BYTES : next;
        }
    return 0;
}

// The operands of chains that no step before has read.
void add_streams(const Inputs &inputs, Schedule &out) {
    if (bytes_read(inputs, out) < NEAR_BYTES) return;
    std::vector<bool> met(out.places.size());
    for (SectionSchedule &section : out.sections)
        for (const Step &step : section.steps) {
            if (step.kind != Step::CHAIN && step.kind != Step::CHAIN_FOLD) {
                for (uint16_t p : {step.a, step.b, step.c}) met[p] = true;
                continue;
            }
            Chain &chain = section.chains[step.n];
            const auto ask = [&](uint16_t p, ChainForm form) {
                const Place &place = out.places[p];
                if (met[p] || place.kind != Place::SLOT || form == CHAIN_SCALAR) return;
                met[p] = true;
                const Schedule::Touched &touched = out.touched[place.at];
                const int64_t apart = bytes_ahead(inputs, out, touched);
                if (apart && inputs.bytes(touched.slot) >= NEAR_BYTES / 4 &&
                    chain.ahead.size() < MOST_AHEAD)
                    chain.ahead.push_back({p, form, apart});
            };
            ask(chain.start, chain.start_form);
            for (const Chain::Link &link : chain.links)
                if (link.op != CHAIN_KEEP && link.op != CHAIN_CHOOSE) ask(link.operand, link.form);
            for (const Chain::Choice &choice : chain.choices)
                for (unsigned o = 0; o < CHOICE_OPERANDS; o++)
                    if (choice.place[o] != NO_PLACE) ask(choice.place[o], choice.form[o]);
            const bool is_blocks =
                chain.run == inputs.loops.chain[chain.type].run[chain.start_form];
            if (chain.whole || !is_blocks) chain.ahead.clear();
        }
}

} // namespace

void add_prefetches(const Inputs &inputs, Schedule &out) {
    add_streams(inputs, out);
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
