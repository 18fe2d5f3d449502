#include "schedule/liveness.h"

#include <algorithm>

namespace gint {

Liveness::Liveness(const Inputs &i) : inputs(i), lives(i.program.register_types.size()) {}

void Liveness::enter(const Section &section) {
    subject = &section;
    load_positions.clear();
    store_positions.clear();
    for (uint32_t i = 0; i < section.count; i++) {
        const Instruction &in = instruction(i);
        for (uint16_t r : {in.d, in.a, in.b, in.c})
            if (r != NO_REGISTER) lives[r] = {};
    }
    for (uint32_t i = 0; i < section.count; i++) {
        const Instruction &in = instruction(i);
        if (!role(i).needed || role(i).reads_kept) continue;
        const uint16_t reads[] = {in.a, in.b, in.c};
        for (int o = 0; o < operand_count(in); o++) {
            lives[reads[o]].last_use = i;
            lives[reads[o]].uses++;
        }
        if (in.op == GI_OP_LOAD) load_positions.push_back(i);
        if (in.op != GI_OP_STORE) continue;
        store_positions.push_back(i);
        if (lives[in.a].first_store < 0) lives[in.a].first_store = int(i);
    }
}

bool Liveness::is_only_folded(uint16_t r) const {
    const Layout &l = inputs.layout;
    if (subject->kind != SectionKind::REDUCE || l.axis_a < 0 ||
        l.reduced[l.axis_a] == l.reduced[l.axis_b] || inputs.value(r).shape != FULL)
        return false;
    bool folded = false, unit = false, halves = false;
    for (uint32_t i = 0; i < subject->count; i++) {
        const Instruction &in = instruction(i);
        if (!role(i).needed) continue;
        if (in.op == GI_OP_LOAD && in.d == r) {
            unit = l.strides[in.n][l.axis_b] == 1;
            halves = is_storage_only(in.type);
        }
        const uint16_t reads[] = {in.a, in.b, in.c};
        for (int o = 0; o < operand_count(in); o++) {
            if (reads[o] != r) continue;
            if (!is_reduction(in.op)) return false;
            if (is_index_reduction(in.op) &&
                (halves || !inputs.facts.indices.count(subject->first + i)))
                return false;
            folded = true;
        }
    }
    return folded && unit;
}

bool Liveness::is_only_computed_with(uint16_t r) const {
    for (uint32_t i = 0; i < subject->count; i++) {
        const Instruction &in = instruction(i);
        const uint16_t reads[] = {in.a, in.b, in.c};
        const bool read =
            std::find(reads, reads + operand_count(in), r) != reads + operand_count(in);
        const bool other =
            in.op == GI_OP_STORE || is_gather(in.op) || is_reduction(in.op) || is_scan(in.op);
        if (read && other && role(i).needed) return false;
    }
    return true;
}

int Liveness::stores_to(uint16_t slot) const {
    return int(std::count_if(store_positions.begin(), store_positions.end(),
                             [&](uint32_t at) { return shares_elements(at, slot); }));
}

bool Liveness::is_overwritten(const Instruction &load, uint32_t at) const {
    return std::any_of(store_positions.begin(), store_positions.end(), [&](uint32_t store) {
        return store > at && store < last_use(load.d) && shares_elements(store, load.n);
    });
}

} // namespace gint
