#include "schedule/together.h"

namespace gint {

namespace {

// By then what a tile costs is nothing beside its elements. What it costs is what a worker knows of
// the schedule, which each tile drives out of the first cache.
constexpr int64_t MOST_AT_ONCE = 64;

bool lies_in_memory(const Schedule &schedule, uint16_t place) {
    const Place::Kind kind = schedule.places[place].kind;
    return kind == Place::SLOT || kind == Place::CONSTANT;
}

bool lies_in_memory(const Schedule &schedule, const Chain &chain) {
    bool all = lies_in_memory(schedule, chain.start);
    for (const Chain::Link &link : chain.links)
        if (link.op == CHAIN_KEEP)
            return false;
        else if (link.op != CHAIN_CHOOSE)
            all &= lies_in_memory(schedule, link.operand);
    for (const Chain::Choice &choice : chain.choices)
        for (uint16_t place : choice.place)
            all &= place == NO_PLACE || lies_in_memory(schedule, place);
    return all;
}

// Does the section's one step go from memory to memory?
bool lies_in_memory(const Schedule &schedule, const SectionSchedule &section) {
    const Step &step = section.steps[0];
    if (!lies_in_memory(schedule, step.d)) return false;
    if (step.kind == Step::CHAIN) return lies_in_memory(schedule, section.chains[step.n]);
    if (step.kind != Step::APPLY && step.kind != Step::SELECT) return false;
    bool all = step.kind == Step::APPLY || lies_in_memory(schedule, step.n);
    for (uint16_t place : {step.a, step.b, step.c}) all &= lies_in_memory(schedule, place);
    return all;
}

} // namespace

int64_t tiles_at_once(const Inputs &inputs, const Schedule &schedule) {
    const Layout &l = inputs.layout;
    if (l.rank != 1 || l.reduced[0]) return 1;
    const SectionSchedule *only = nullptr;
    for (const SectionSchedule &section : schedule.sections) {
        if (section.steps.empty() && section.once.empty()) continue;
        if (only || section.kind != SectionKind::MAP) return 1;
        only = &section;
    }
    if (!only || only->steps.size() != 1 || !only->once.empty() || !only->prefetches.empty())
        return 1;
    const bool whole = only->steps[0].shape == inputs.tile && lies_in_memory(schedule, *only);
    return whole ? MOST_AT_ONCE : 1;
}

} // namespace gint
