// The sections in order: grids, what lasts beyond a section, the lives of registers within one.
#include "schedule/scheduler.h"

namespace gint {

void Scheduler::make_grids() {
    for (int a = 0; a < out.layout.rank; a++) {
        Grid &grid = out.layout.reduced[a] ? out.reduced : out.parallel;
        const int64_t step = a == out.layout.axis_a   ? out.layout.rows
                             : a == out.layout.axis_b ? out.layout.cols
                                                      : 1;
        grid.axis[grid.rank] = a;
        grid.step[grid.rank] = step;
        grid.count[grid.rank] = (out.layout.extent[a] + step - 1) / step;
        grid.total *= grid.count[grid.rank++];
    }
    const Layout &l = out.layout;
    const bool line = l.axis_b >= 0 && l.reduced[l.axis_b];
    const bool rows = l.axis_a >= 0 && l.reduced[l.axis_a];
    // Powers of two, so that chunks are whole branches of the tree that one worker would build.
    if (!line)
        while (out.tiles_per_group * 2 * (rows ? l.rows : 1) <= 16) out.tiles_per_group *= 2;
    out.tiles_per_chunk = 16;
    if (!l.folds_long_lines()) return;
    out.tiles_per_chunk = out.tiles_per_group;
    while (out.tiles_per_chunk * 2 * (rows ? l.rows : 1) <= CHUNK_LINES) out.tiles_per_chunk *= 2;
}

void Scheduler::place_lasting_registers() {
    for (size_t s = 0; s < p.sections.size(); s++)
        for (uint32_t i = 0; i < p.sections[s].count; i++) {
            const Instruction &in = p.code[p.sections[s].first + i];
            if (in.op == GI_OP_STORE) continue;
            const Value &v = facts.values[in.d];
            if (!is_reduction(in.op) && (!v.outlives || v.constant)) continue;
            const size_t size = type_size(p.register_types[in.d]);
            state[in.d].place = add_place(Place::FRAME, size, allocate(elements(v.shape) * size));
        }
    out.shared_bytes = out.frame_bytes;
}

void Scheduler::place_kept_rows() {
    if (scratch != NONE) out.places[scratch].at = allocate(out.places[scratch].at);
    int64_t row = elements(tile);
    row *= out.reduced.total;
    for (auto &[number, place] : kept) {
        (void)number;
        out.places[place].at = allocate(row << out.places[place].size_log2);
    }
}

void Scheduler::emit_section(const Section &s) {
    out.sections.emplace_back();
    plan = &out.sections.back();
    plan->kind = s.kind;
    section = &s;
    if (s.kind == SectionKind::REDUCE)
        for (uint32_t i = 0; i < s.count; i++)
            if (is_reduction(p.code[s.first + i].op)) add_accumulator(p.code[s.first + i]);
    // Temporaries of all sections share one area behind what has been allocated so far; the
    // accumulators of later sections go behind it.
    spare.clear();
    temporaries_end = out.frame_bytes;
    stored_early.assign(s.count, false);
    scan_section();
    uint32_t accumulator = 0;
    for (uint32_t i = 0; i < s.count; i++) {
        if (!facts.roles[s.first + i].needed) continue;
        const Instruction &in = p.code[s.first + i];
        if (is_reduction(in.op))
            emit_reduce(in, accumulator++);
        else
            emit(in, i);
        if (!open.active || open.last != i) release_dead(in, i);
    }
    close_chain();
    for (uint32_t i = 0; i < s.count; i++) forget(p.code[s.first + i]);
    out.frame_bytes = temporaries_end;
    count_work();
}

void Scheduler::scan_section() {
    loads.clear();
    stores.clear();
    first_register = ~0u;
    uint32_t last_register = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        const uint16_t d = p.code[section->first + i].d;
        if (d == NO_REGISTER) continue;
        first_register = std::min<uint32_t>(first_register, d);
        last_register = std::max<uint32_t>(last_register, d);
    }
    store_of.assign(first_register > last_register ? 0 : last_register - first_register + 1, -1);
    for (uint32_t i = 0; i < section->count; i++) {
        const uint32_t at = section->first + i;
        const Instruction &in = p.code[at];
        if (!facts.roles[at].needed || facts.roles[at].reads_kept) continue;
        const uint16_t reads[] = {in.a, in.b, in.c};
        for (int o = 0; o < operand_count(in); o++) {
            state[reads[o]].last_use = i;
            state[reads[o]].uses++;
        }
        if (in.op == GI_OP_LOAD) loads.push_back(i);
        if (in.op != GI_OP_STORE) continue;
        stores.push_back(i);
        const uint32_t r = in.a - first_register;
        if (r < store_of.size() && store_of[r] < 0) store_of[r] = int(i);
    }
}

// Expansions, and places of slots read in place, hold within one section only.
void Scheduler::forget(const Instruction &in) {
    const uint16_t registers[] = {in.d, in.a, in.b, in.c};
    for (uint16_t r : registers) {
        if (r == NO_REGISTER) continue;
        std::fill(std::begin(state[r].expanded), std::end(state[r].expanded), NONE);
        state[r].in_place = false;
        state[r].form = CHAIN_PACKED;
        state[r].uses = 0;
    }
}

void Scheduler::release_dead(const Instruction &in, uint32_t at) {
    if (facts.roles[section->first + at].reads_kept) return;
    const uint16_t reads[] = {in.a, in.b, in.c};
    for (int o = 0; o < operand_count(in); o++)
        if (state[reads[o]].last_use == at) release(reads[o]);
}

void Scheduler::release(uint16_t r) {
    State &s = state[r];
    if (s.owned) {
        give_back(s.place);
        s.owned = false;
    }
    for (uint16_t &place : s.expanded) {
        if (place != NONE) give_back(place);
        place = NONE;
    }
}

void Scheduler::count_work() {
    double cost = 0;
    for (const Step &step : plan->steps)
        if (step.shape == tile) cost += step.kind == Step::APPLY ? 0 : 2;
    for (uint32_t i = 0; i < section->count; i++) {
        const uint32_t at = section->first + i;
        if (!facts.roles[at].needed || facts.roles[at].reads_kept) continue;
        const Instruction &in = p.code[at];
        const uint16_t r = in.op == GI_OP_STORE ? in.a : in.d;
        if (in.op == GI_OP_STORE || is_reduction(in.op) || facts.values[r].shape == tile)
            cost += op_cost(in) + (in.op == GI_OP_LOAD || in.op == GI_OP_STORE);
    }
    plan->cost = cost;
    double points = 1;
    for (int a = 0; a < out.layout.rank; a++)
        if (section->kind != SectionKind::SCALAR || !out.layout.reduced[a])
            points *= double(out.layout.extent[a]);
    out.work += cost * points;
}

} // namespace gint
