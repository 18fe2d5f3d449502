#include "schedule/moves.h"

#include <algorithm>

namespace gint {

Moves::Moves(const Inputs &i, const Liveness &l, Places &p, Registers &r, Steps &s, Chains &c)
    : inputs(i), lives(l), places(p), registers(r), steps(s), chains(c) {}

void Moves::load(const Instruction &in, uint32_t at) {
    const Value &v = inputs.value(in.d);
    const bool local = !v.outlives && !lives.role(at).writes_kept;
    if (v.shape == inputs.tile && local && pass_on(in, at)) return;
    const uint16_t source = places.slot(in.n);
    if (local && !lives.is_overwritten(in, at) && read_in_place(in, source)) return;
    chains.close();
    if (is_storage_only(in.type) || in.type == GI_bool) return convert(in, at, source);
    const uint16_t d = registers.result(in, at);
    if (inputs.is_packed(in.n, v.shape))
        steps.add(Step::COPY, v.shape, type_size(in.type), d, source);
    else
        add(Step::GATHER, v.shape, in.n, d, source);
}

// A slot of the compute type without gaps is read in place: its load is no step at all. So are
// halves, by chains, and lines with gaps between them that are only folded down their columns.
// Bools are for loops alone: any byte may lie in memory, 0 or 1 in a register.
bool Moves::read_in_place(const Instruction &in, uint16_t source) {
    const uint8_t shape = inputs.value(in.d).shape;
    const bool packed = inputs.is_packed(in.n, shape);
    const bool halves = is_storage_only(in.type);
    const bool whole = shape == inputs.tile && shape != UNIFORM;
    if (in.type == GI_bool && !(whole && packed && lives.is_only_computed_with(in.d))) return false;
    if (halves && !whole) return false;
    if (!packed && !lives.is_only_folded(in.d)) return false;
    const int64_t stride = packed ? 0 : inputs.layout.strides[in.n][inputs.layout.axis_a];
    registers.read_in_place(in.d, source, halves ? form_of(in.type) : CHAIN_PACKED, stride);
    return true;
}

void Moves::convert(const Instruction &in, uint32_t at, uint16_t source) {
    const LoopTable &k = inputs.loops;
    const ApplyFn loop = in.type == GI_bool ? k.cast[GI_bool][GI_u8] : k.widen[in.type];
    const uint8_t shape = inputs.value(in.d).shape;
    if (inputs.is_packed(in.n, shape))
        return steps.apply(operation(in), loop, shape, registers.result(in, at), source);
    const uint16_t gathered = places.temporary(shape, type_size(in.type));
    add(Step::GATHER, shape, in.n, gathered, source);
    steps.apply(operation(in), loop, shape, registers.result(in, at), gathered);
    places.give_back(gathered);
}

// What is loaded only to be stored goes straight from slot to slot: with its axes exchanged, or as
// bits that need no conversion there and back.
bool Moves::pass_on(const Instruction &in, uint32_t at) {
    const int found = lives.first_store(in.d);
    if (found < 0 || uint32_t(found) < at) return false;
    const Instruction &store = lives.instruction(uint32_t(found));
    if (!is_passed_on_alone(in, store)) return false;
    if (!transpose(in.n, store.n) && !(is_storage_only(in.type) && copy(in.n, store.n)))
        return false;
    registers.mark_stored(uint32_t(found));
    return true;
}

bool Moves::is_passed_on_alone(const Instruction &read, const Instruction &store) const {
    const auto touches = [&](uint32_t at) { return lives.shares_elements(at, store.n); };
    return read.type == store.type && read.type != GI_bool && lives.uses(read.d) == 1 &&
           !inputs.is_streamed(store.n) && inputs.slot_shape(store.n) == inputs.tile &&
           lives.stores_to(store.n) == 1 &&
           std::none_of(lives.loads().begin(), lives.loads().end(), touches);
}

bool Moves::transpose(uint16_t source, uint16_t target) {
    if (inputs.tile != FULL) return false;
    const Layout &l = inputs.layout;
    const auto &from = l.strides[source], &to = l.strides[target];
    const bool along_b = from[l.axis_a] == 1 && to[l.axis_b] == 1;
    const bool along_a = from[l.axis_b] == 1 && to[l.axis_a] == 1;
    if (along_a == along_b) return false;
    chains.close();
    const size_t size = inputs.slot_size(source);
    const uint16_t d = places.slot(target);
    Step &step = steps.add(Step::TRANSPOSE, FULL, size, d, places.slot(source));
    step.transpose = inputs.loops.transpose[log2_size(size)];
    step.n = along_a;
    step.row_stride = to[along_b ? l.axis_a : l.axis_b];
    step.col_stride = from[along_b ? l.axis_b : l.axis_a];
    return true;
}

bool Moves::copy(uint16_t source, uint16_t target) {
    const uint8_t tile = inputs.tile;
    const bool from_packed = inputs.is_packed(source, tile);
    const bool to_packed = inputs.is_packed(target, tile);
    if (!from_packed && !to_packed) return false;
    chains.close();
    const uint16_t d = places.slot(target), a = places.slot(source);
    if (from_packed && to_packed)
        steps.add(Step::COPY, tile, inputs.slot_size(source), d, a);
    else if (to_packed)
        add(Step::GATHER, tile, source, d, a);
    else
        add(Step::SCATTER, tile, target, d, a);
    return true;
}

void Moves::store(const Instruction &in, uint32_t at) {
    const uint8_t shape = inputs.slot_shape(in.n);
    const bool packed = inputs.is_packed(in.n, shape);
    const uint16_t d = places.slot(in.n);
    if (packed && chains.is_all_of(in, shape) && end_chain(in, d)) return;
    chains.close();
    if (registers.is_stored(at)) return;
    if (is_storage_only(in.type)) return narrow(in, shape, packed, d);
    if (packed) return store_packed(in, shape, d);
    store_strided(in, shape, d);
}

// The chain itself narrows its result, or writes it past the caches. A store that needs neither is
// left to Registers::result.
bool Moves::end_chain(const Instruction &in, uint16_t d) {
    if (is_storage_only(in.type)) {
        chains.store(d, false, form_of(in.type));
        return true;
    }
    if (!inputs.is_streamed(in.n)) return false;
    streams_used = true;
    chains.store(d, true, CHAIN_PACKED);
    return true;
}

void Moves::narrow(const Instruction &in, uint8_t shape, bool packed, uint16_t d) {
    const ApplyFn loop = inputs.loops.narrow[in.type];
    const uint8_t own = inputs.value(in.a).shape;
    if (packed && own != shape) { // what is the same in many places is narrowed once
        const uint16_t narrow = places.temporary(own, type_size(in.type));
        steps.apply(operation(in), loop, own, narrow, registers.operand(in.a, own));
        registers.expand_from(narrow, own, shape, type_size(in.type), d);
        return places.give_back(narrow);
    }
    const uint16_t a = registers.operand(in.a, shape);
    if (packed) return steps.apply(operation(in), loop, shape, d, a);
    const uint16_t narrow = places.temporary(shape, type_size(in.type));
    steps.apply(operation(in), loop, shape, narrow, a);
    add(Step::SCATTER, shape, in.n, d, narrow);
    places.give_back(narrow);
}

void Moves::store_packed(const Instruction &in, uint8_t shape, uint16_t d) {
    const bool streams = inputs.is_streamed(in.n);
    if (inputs.value(in.a).shape != shape && !streams) return registers.expand(in.a, shape, d);
    streams_used |= streams;
    const uint16_t a = registers.operand(in.a, shape);
    steps.add(streams ? Step::STREAM : Step::COPY, shape, type_size(in.type), d, a);
}

void Moves::store_strided(const Instruction &in, uint8_t shape, uint16_t d) {
    const Layout &l = inputs.layout;
    const bool lines = l.axis_b >= 0 && l.strides[in.n][l.axis_b] == 1;
    const bool streams = shape == FULL && lines && inputs.is_streamed(in.n);
    streams_used |= streams;
    const uint16_t a = registers.operand(in.a, shape);
    add(streams ? Step::STREAM_ROWS : Step::SCATTER, shape, in.n, d, a);
}

void Moves::add(Step::Kind kind, uint8_t shape, uint16_t slot, uint16_t d, uint16_t a) {
    const Layout &l = inputs.layout;
    const size_t size = inputs.slot_size(slot);
    Step &step = steps.add(kind, shape, size, d, a);
    const auto &loops = kind == Step::GATHER ? inputs.loops.gather : inputs.loops.scatter;
    step.move = loops[log2_size(size)];
    step.row_stride = shape == FULL ? l.strides[slot][l.axis_a] : 0;
    step.col_stride = shape & COLS   ? l.strides[slot][l.axis_b]
                      : shape & ROWS ? l.strides[slot][l.axis_a]
                                     : 0;
}

} // namespace gint
