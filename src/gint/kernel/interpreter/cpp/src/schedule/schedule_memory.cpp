#include "schedule/scheduler.h"

namespace gint {

namespace {
constexpr double STREAM_BYTES = 24 << 20;  // outputs from here on go past the caches
constexpr double PREFETCH_BYTES = 8 << 20; // inputs from here on come from memory, not from a cache
} // namespace

// A slot of the compute type without gaps is read in place: its load is no step at all. Bools are
// not: any byte may lie in memory, 0 or 1 in a register.
void Scheduler::emit_load(const Instruction &in, uint32_t at) {
    const Value &v = facts.values[in.d];
    const bool keeps = facts.roles[section->first + at].writes_kept;
    const bool packed = is_packed(out.layout, in.n, v.shape);
    if (v.shape == tile && !v.outlives && !keeps && move(in, at)) return;
    const uint16_t source = place_of_slot(in.n);
    const bool stays = !v.outlives && !keeps && !is_overwritten(in, at);
    State &s = state[in.d];
    if (is_storage_only(in.type) && stays && packed && v.shape == tile && tile != UNIFORM) {
        s.place = source;
        s.in_place = true;
        s.form = form_of(in.type);
        return;
    }
    if (is_storage_only(in.type) || in.type == GI_bool) {
        const ApplyFn convert = in.type == GI_bool ? k.cast[GI_bool][GI_u8] : k.widen[in.type];
        close_chain();
        uint16_t packed_source = source;
        if (!packed) {
            packed_source = temporary(v.shape, type_size(in.type));
            add_move(Step::GATHER, v.shape, in.n, packed_source, source);
        }
        const uint16_t d = result(in, at);
        plan->steps.push_back(make_apply(in.op, in.type, convert, v.shape, d, packed_source,
                                         packed_source, packed_source));
        if (!packed) give_back(packed_source);
        return;
    }
    if (stays && (packed || only_folded(in.d))) {
        s.place = source;
        s.in_place = true;
        s.row_stride = packed ? 0 : out.layout.strides[in.n][out.layout.axis_a];
        return;
    }
    close_chain();
    const uint16_t d = result(in, at);
    if (packed)
        add(Step::COPY, v.shape, type_size(in.type), d, source);
    else
        add_move(Step::GATHER, v.shape, in.n, d, source);
}

// What is loaded only to be stored goes straight from slot to slot: with its axes exchanged, or as
// bits that need no conversion there and back.
bool Scheduler::move(const Instruction &in, uint32_t at) {
    const int found = store_of[in.d - first_register];
    if (found < 0 || uint32_t(found) < at) return false;
    const Instruction &store = p.code[section->first + found];
    if (!is_moved_alone(in, store)) return false;
    if (!transpose(in.n, store.n) && !(is_storage_only(in.type) && copy(in.n, store.n)))
        return false;
    return stored_early[found] = true;
}

bool Scheduler::transpose(uint16_t source, uint16_t target) {
    if (tile != FULL) return false;
    const Layout &l = out.layout;
    const auto &from = l.strides[source], &to = l.strides[target];
    const bool along_b = from[l.axis_a] == 1 && to[l.axis_b] == 1;
    const bool along_a = from[l.axis_b] == 1 && to[l.axis_a] == 1;
    if (along_a == along_b) return false;
    close_chain();
    const size_t size = type_size(p.slots[source].type);
    const uint16_t d = place_of_slot(target);
    Step &step = add(Step::TRANSPOSE, FULL, size, d, place_of_slot(source));
    step.transpose = k.transpose[log2_size(size)];
    step.n = along_a;
    step.row_stride = to[along_b ? l.axis_a : l.axis_b];
    step.col_stride = from[along_b ? l.axis_b : l.axis_a];
    return true;
}

bool Scheduler::copy(uint16_t source, uint16_t target) {
    const bool from_packed = is_packed(out.layout, source, tile);
    const bool to_packed = is_packed(out.layout, target, tile);
    if (!from_packed && !to_packed) return false;
    close_chain();
    const uint16_t d = place_of_slot(target), a = place_of_slot(source);
    if (from_packed && to_packed)
        add(Step::COPY, tile, type_size(p.slots[source].type), d, a);
    else if (to_packed)
        add_move(Step::GATHER, tile, source, d, a);
    else
        add_move(Step::SCATTER, tile, target, d, a);
    return true;
}

// Is the load for this store alone, and does nothing else in the section touch what is stored?
bool Scheduler::is_moved_alone(const Instruction &load, const Instruction &store) const {
    if (load.type != store.type || load.type == GI_bool || state[load.d].uses != 1 ||
        is_streamed(store.n) || shape_of(out.layout, varies_of_slot(out.layout, store.n)) != tile)
        return false;
    const auto touches = [&](uint32_t i) {
        return groups[p.code[section->first + i].n] == groups[store.n];
    };
    return std::count_if(stores.begin(), stores.end(), touches) == 1 &&
           std::none_of(loads.begin(), loads.end(), touches);
}

// Does a store to the same elements come before the last use of what `load` reads?
bool Scheduler::is_overwritten(const Instruction &load, uint32_t at) const {
    for (uint32_t s : stores)
        if (s > at && s < state[load.d].last_use &&
            groups[p.code[section->first + s].n] == groups[load.n])
            return true;
    return false;
}

// A tile with gaps between its rows can be folded down its columns where it lies.
bool Scheduler::only_folded(uint16_t r) const {
    const Layout &l = out.layout;
    if (section->kind != SectionKind::REDUCE || l.axis_a < 0 || !l.reduced[l.axis_a] ||
        l.reduced[l.axis_b] || facts.values[r].shape != FULL)
        return false;
    bool folded = false, unit = false;
    for (uint32_t i = 0; i < section->count; i++) {
        const Instruction &in = p.code[section->first + i];
        if (!facts.roles[section->first + i].needed) continue;
        if (in.op == GI_OP_LOAD && in.d == r) unit = l.strides[in.n][l.axis_b] == 1;
        const uint16_t reads[] = {in.a, in.b, in.c};
        for (int o = 0; o < operand_count(in); o++) {
            if (reads[o] != r) continue;
            if (!is_reduction(in.op) || is_index_reduction(in.op)) return false;
            folded = true;
        }
    }
    return folded && unit;
}

// The store, later in this section, that the result of `in` can be written to at once; or -1. It
// must be safe to write that early: nothing in between reads or writes the same elements, and
// nothing read in place from them is used afterwards.
int Scheduler::direct_store(const Instruction &in, uint32_t at) const {
    const int store = store_of[in.d - first_register];
    if (store < 0) return -1;
    const uint16_t slot = p.code[section->first + store].n;
    const uint8_t shape = shape_of(out.layout, varies_of_slot(out.layout, slot));
    if (is_storage_only(p.slots[slot].type) || is_streamed(slot) ||
        shape != facts.values[in.d].shape || !is_packed(out.layout, slot, shape))
        return -1;
    int same = 0;
    for (uint32_t s : stores) same += groups[p.code[section->first + s].n] == groups[slot];
    if (same > 1) return -1;
    for (uint32_t l : loads) {
        const Instruction &load = p.code[section->first + l];
        if (groups[load.n] != groups[slot]) continue;
        if (l >= at && int(l) < store) return -1;
        if (l < at && state[load.d].in_place && state[load.d].last_use > at) return -1;
    }
    return store;
}

bool Scheduler::is_streamed(size_t slot) const {
    const Layout &l = out.layout;
    double bytes = double(type_size(p.slots[slot].type));
    for (int a = 0; a < l.rank; a++) bytes *= double(l.extent[a]);
    if (bytes < STREAM_BYTES) return false;
    for (size_t n = 0; n < p.slots.size(); n++)
        if (n != slot && groups[n] == groups[slot]) return false;
    return !p.slots[slot].reads;
}

// Slots read without gaps, in the last section that goes over them: by then the memory is idle.
void Scheduler::plan_prefetches() {
    if (out.parallel.rank == 0) return;
    const int axis = out.parallel.axis[out.parallel.rank - 1];
    const int64_t step = out.parallel.step[out.parallel.rank - 1];
    for (size_t k = 0; k < out.touched.size(); k++) {
        const uint16_t slot = out.touched[k].slot;
        const uint8_t shape = shape_of(out.layout, varies_of_slot(out.layout, slot));
        double bytes = double(type_size(p.slots[slot].type));
        for (int a = 0; a < out.layout.rank; a++)
            if (out.layout.strides[slot][a]) bytes *= double(out.layout.extent[a]);
        if (p.slots[slot].stored || bytes < PREFETCH_BYTES || !(shape & COLS) ||
            out.touched[k].strides[axis] == 0 || !is_packed(out.layout, slot, shape))
            continue;
        for (size_t n = out.sections.size(); n-- > 0;) {
            SectionPlan &s = out.sections[n];
            auto at = std::find(s.slots.begin(), s.slots.end(), slot_place[slot]);
            if (at == s.slots.end() && s.kind != SectionKind::MAP) continue;
            if (at == s.slots.end()) s.slots.push_back(slot_place[slot]);
            s.prefetches.push_back({slot_place[slot], shape, out.places[slot_place[slot]].size_log2,
                                    out.touched[k].strides[axis] * step});
            break;
        }
    }
    for (SectionPlan &s : out.sections) {
        s.pauses = uint32_t(s.steps.size());
        for (const ChainPlan &chain : s.chains)
            s.pauses += uint32_t(size_t(elements(tile)) >> k.chain[chain.type].block_log2);
        s.pauses = std::max(s.pauses, 1u);
    }
}

void Scheduler::emit_store(const Instruction &in, uint32_t at) {
    const uint8_t shape = shape_of(out.layout, varies_of_slot(out.layout, in.n));
    const bool packed = is_packed(out.layout, in.n, shape);
    const size_t size = type_size(in.type);
    const uint16_t d = place_of_slot(in.n);
    const uint8_t own = facts.values[in.a].shape;
    if (ends_chain(in, shape, packed) && is_storage_only(in.type))
        return finish_chain(d, false, form_of(in.type));
    if (ends_chain(in, shape, packed) && is_streamed(in.n)) {
        out.streams = true;
        return finish_chain(d, true);
    }
    close_chain();
    if (stored_early[at]) return;
    if (is_storage_only(in.type)) {
        const uint16_t a = operand(in.a, shape);
        const uint16_t narrow = packed ? d : temporary(shape, size);
        plan->steps.push_back(
            make_apply(in.op, in.type, k.narrow[in.type], shape, narrow, a, a, a));
        if (packed) return;
        add_move(Step::SCATTER, shape, in.n, d, narrow);
        give_back(narrow);
        return;
    }
    if (packed && own != shape && !is_streamed(in.n)) {
        expand(in.a, own, shape, size, d);
    } else if (packed) {
        const bool streamed = is_streamed(in.n);
        out.streams |= streamed;
        add(streamed ? Step::STREAM : Step::COPY, shape, size, d, operand(in.a, shape));
    } else {
        const bool lines =
            out.layout.axis_b >= 0 && out.layout.strides[in.n][out.layout.axis_b] == 1;
        const bool streamed = shape == FULL && lines && is_streamed(in.n);
        out.streams |= streamed;
        const uint16_t a = operand(in.a, shape);
        add_move(streamed ? Step::STREAM_ROWS : Step::SCATTER, shape, in.n, d, a);
    }
}

// Is what the store writes the open chain's result, and nobody else's?
bool Scheduler::ends_chain(const Instruction &store, uint8_t shape, bool packed) const {
    if (!open.active || !packed) return false;
    const uint32_t last = section->first + open.last;
    return p.code[last].d == store.a && facts.values[store.a].shape == shape &&
           state[store.a].uses == 1 && !facts.roles[last].writes_kept &&
           !facts.values[store.a].outlives;
}

void Scheduler::add_move(Step::Kind kind, uint8_t shape, size_t slot, uint16_t d, uint16_t a) {
    const size_t size = type_size(p.slots[slot].type);
    const Layout &l = out.layout;
    Step &step = add(kind, shape, size, d, a);
    step.move = (kind == Step::GATHER ? k.gather : k.scatter)[log2_size(size)];
    step.row_stride = shape == FULL ? l.strides[slot][l.axis_a] : 0;
    step.col_stride = shape & COLS   ? l.strides[slot][l.axis_b]
                      : shape & ROWS ? l.strides[slot][l.axis_a]
                                     : 0;
}

void Scheduler::add_accumulator(const Instruction &in) {
    const Layout &l = out.layout;
    const bool a_reduced = l.axis_a >= 0 && l.reduced[l.axis_a];
    const bool b_reduced = l.axis_b >= 0 && l.reduced[l.axis_b];
    Accumulator acc{};
    acc.has_index = is_index_reduction(in.op);
    acc.shape = facts.values[in.d].shape;
    acc.operand_shape = acc.shape | (a_reduced ? ROWS : 0) | (b_reduced ? COLS : 0);
    acc.by_rows = b_reduced || acc.operand_shape == ROWS;
    acc.result = state[in.d].place;
    acc.tiles_per_group = acc.by_rows ? 1 : out.tiles_per_group;
    acc.fold = k.reduce[in.op][in.type];
    acc.fold_index = k.reduce_index[in.op][in.type];
    const size_t size = type_size(compute_type(in.type));
    acc.size_log2 = uint8_t(log2_size(size));
    const size_t count = size_t(elements(acc.shape));
    size_t levels = 2;
    while (int64_t(1) << (levels - 2) <= out.reduced.total / acc.tiles_per_group) levels++;
    acc.level_bytes = whole_lines(count * size);
    acc.levels_at = allocate(acc.level_bytes * levels);
    acc.partial_at = allocate(acc.level_bytes);
    if (acc.has_index) {
        acc.index_level_bytes = whole_lines(count * 8);
        acc.index_levels_at = allocate(acc.index_level_bytes * levels);
        acc.index_partial_at = allocate(acc.index_level_bytes);
    }
    plan->accumulators.push_back(acc);
}

void Scheduler::emit_reduce(const Instruction &in, uint32_t accumulator) {
    if (fold_chain(in, accumulator)) return;
    close_chain();
    const uint8_t shape = plan->accumulators[accumulator].operand_shape;
    const uint16_t a = operand(in.a, shape);
    const uint16_t b = is_index_reduction(in.op) ? operand(in.b, shape) : a;
    Step &step = add(Step::REDUCE, shape, type_size(compute_type(in.type)), 0, a);
    step.b = b;
    step.n = uint16_t(accumulator);
    step.op = in.op, step.type = in.type;
    step.row_stride = facts.values[in.a].shape == shape ? state[in.a].row_stride : 0;
}

} // namespace gint
