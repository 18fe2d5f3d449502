#include "schedule/accumulators.h"

namespace gint {

Accumulators::Accumulators(const Inputs &i, Liveness &l, Places &p, Registers &r, Steps &s,
                           Chains &c)
    : inputs(i), lives(l), places(p), registers(r), steps(s), chains(c) {}

void Accumulators::begin_section(const Section &section) {
    next = 0;
    counted.clear();
    if (section.kind != SectionKind::REDUCE) return;
    for (uint32_t i = 0; i < section.count; i++) {
        const Instruction &in = inputs.program.code[section.first + i];
        if (!is_reduction(in.op)) continue;
        add(in);
        const auto found = inputs.facts.indices.find(section.first + i);
        if (found == inputs.facts.indices.end()) continue;
        accumulators.back().finds_index = true;
        accumulators.back().indices = found->second;
    }
}

void Accumulators::add(const Instruction &in) {
    const Layout &l = inputs.layout;
    const bool a_reduced = l.axis_a >= 0 && l.reduced[l.axis_a];
    const bool b_reduced = l.axis_b >= 0 && l.reduced[l.axis_b];
    Accumulator acc{};
    acc.has_index = is_index_reduction(in.op);
    acc.shape = inputs.value(in.d).shape;
    acc.operand_shape = acc.shape | (a_reduced ? ROWS : 0) | (b_reduced ? COLS : 0);
    acc.by_rows = b_reduced || acc.operand_shape == ROWS;
    acc.result = registers.place(in.d);
    acc.tiles_per_group = acc.by_rows ? 1 : inputs.grids.tiles_per_group;
    acc.fold = inputs.loops.reduce[in.op][in.type];
    acc.fold_index = inputs.loops.reduce_index[in.op][in.type];
    const size_t size = type_size(compute_type(in.type));
    acc.size_log2 = uint8_t(log2_size(size));
    const size_t count = size_t(inputs.elements(acc.shape));
    size_t levels = 2;
    while (int64_t(1) << (levels - 2) <= inputs.grids.reduced.total / acc.tiles_per_group) levels++;
    acc.level_bytes = whole_lines(count * size);
    acc.levels_at = places.allocate(acc.level_bytes * levels);
    acc.partial_at = places.allocate(acc.level_bytes);
    if (acc.has_index) {
        acc.index_level_bytes = whole_lines(count * 8);
        acc.index_levels_at = places.allocate(acc.index_level_bytes * levels);
        acc.index_partial_at = places.allocate(acc.index_level_bytes);
    }
    accumulators.push_back(acc);
}

// Halves are folded where they lie.
ChainForm Accumulators::form_folded(const Instruction &in, uint8_t shape) const {
    const bool takes_halves = !is_index_reduction(in.op) && inputs.value(in.a).shape == shape;
    return takes_halves ? registers.form(in.a) : CHAIN_PACKED;
}

bool Accumulators::put_off(const Instruction &in, uint32_t at) {
    if (in.op != GI_OP_CAST || inputs.program.register_types[in.a] != GI_bool ||
        inputs.value(in.a).shape != inputs.tile || lives.uses(in.d) != 1 ||
        inputs.value(in.d).outlives || lives.role(at).writes_kept)
        return false;
    const uint32_t end = lives.last_use(in.d);
    const Instruction &by = lives.instruction(end);
    if (!is_reduction(by.op) || !inputs.loops.reduce[by.op][by.type].count) return false;
    size_t number = next; // of the reduction
    for (uint32_t i = at; i < end; i++) {
        if (lives.instruction(i).op == GI_OP_STORE) return false; // to where the bools lie, maybe
        number += is_reduction(lives.instruction(i).op);
    }
    const Accumulator &acc = accumulators[number];
    if (!acc.by_rows || acc.operand_shape != inputs.tile || !(inputs.tile & COLS)) return false;
    counted[in.d] = in.a;
    lives.keep_until(in.a, end);
    return true;
}

void Accumulators::count(const Instruction &in, uint32_t at, uint16_t number) {
    chains.close();
    const uint16_t bools = counted.at(in.a), a = registers.place(bools);
    Step &step = steps.add(Step::REDUCE, inputs.tile, 1, 0, a, operation(in));
    step.b = a;
    step.n = number;
    step.fold_rows = accumulators[number].fold.count;
    if (lives.last_use(bools) == at) registers.release(bools);
}

void Accumulators::reduce(const Instruction &in, uint32_t at) {
    const uint16_t number = next++;
    if (counted.count(in.a)) return count(in, at, number);
    if (chains.fold(in, accumulators[number], number)) return;
    chains.close();
    const Accumulator &acc = accumulators[number];
    const uint8_t shape = acc.operand_shape;
    const ChainForm form = form_folded(in, shape);
    const uint16_t a = form ? registers.place(in.a) : registers.operand(in.a, shape);
    const bool indices = is_index_reduction(in.op) && !acc.finds_index;
    const uint16_t b = indices ? registers.operand(in.b, shape) : a;
    Step &step =
        steps.add(Step::REDUCE, shape, type_size(compute_type(in.type)), 0, a, operation(in));
    step.b = b;
    step.n = number;
    if (acc.by_rows)
        step.fold_rows = acc.fold.rows[form];
    else
        step.fold_cols = acc.fold.cols[form];
    step.row_stride = inputs.value(in.a).shape == shape ? registers.row_stride(in.a) : 0;
}

} // namespace gint
