#include "schedule/registers.h"

#include <algorithm>

namespace gint {

Registers::Registers(const Inputs &i, const Liveness &l, Places &p, Steps &s)
    : inputs(i), lives(l), places(p), steps(s), state(i.program.register_types.size()) {}

void Registers::begin_section() { store_done.assign(lives.section().count, false); }

void Registers::end_section() {
    for (uint32_t i = 0; i < lives.section().count; i++) {
        const Instruction &in = lives.instruction(i);
        for (uint16_t r : {in.d, in.a, in.b, in.c}) {
            if (r == NO_REGISTER) continue;
            std::fill(std::begin(state[r].expanded), std::end(state[r].expanded), NO_PLACE);
            std::fill(std::begin(state[r].lasts), std::end(state[r].lasts), false);
            state[r].in_place = false;
            state[r].form = CHAIN_PACKED;
        }
    }
}

uint16_t Registers::operand(uint16_t r, uint8_t shape) {
    State &s = state[r];
    if (s.form != CHAIN_PACKED) widen(r);
    if (inputs.value(r).shape == shape) return s.place;
    if (s.expanded[shape] != NO_PLACE) return s.expanded[shape];
    const When when = when_expanded(r, shape);
    const size_t size = inputs.register_size(r);
    s.lasts[shape] = when != When::EACH_TILE;
    const uint16_t place =
        s.lasts[shape] ? places.fixed(shape, size) : places.temporary(shape, size);
    const When before = steps.set_when(when);
    expand(r, shape, place);
    steps.set_when(before);
    return s.expanded[shape] = place;
}

// A line that is there before a block's tiles is repeated before them: smaller tiles read the first
// of its copies. What is alike in all tiles may be a constant, which others computed once read.
When Registers::when_expanded(uint16_t r, uint8_t shape) const {
    if (inputs.is_alike(r)) return When::ONCE;
    const Section &section = lives.section();
    const auto number = &section - inputs.program.sections.data();
    const bool is_loaded = state[r].in_place && places[state[r].place].kind == Place::SLOT;
    const bool is_there = is_loaded || inputs.facts.home[r] != number;
    const bool has_tiles = section.kind != SectionKind::SCALAR;
    return has_tiles && is_there && shape == FULL && inputs.is_line_of_block(r) ? When::EACH_BLOCK
                                                                                : When::EACH_TILE;
}

void Registers::expand(uint16_t r, uint8_t shape, uint16_t place) {
    expand_from(state[r].place, inputs.value(r).shape, shape, inputs.register_size(r), place);
}

void Registers::expand_from(uint16_t from, uint8_t own, uint8_t shape, size_t size,
                            uint16_t place) {
    const Step::Kind kind = own == UNIFORM ? Step::FILL
                            : own == ROWS  ? Step::REPEAT_ROWS
                                           : Step::REPEAT_COLS;
    steps.add(kind, shape, size, place, from);
}

// Halves in place become floats of their own.
void Registers::widen(uint16_t r) {
    State &s = state[r];
    const uint8_t type = s.form == CHAIN_F16 ? GI_f16 : GI_bf16, shape = inputs.value(r).shape;
    const bool once = inputs.is_once(r);
    const When before = steps.set_when(once ? When::ONCE : When::EACH_TILE);
    const uint16_t place =
        once ? places.fixed(shape, sizeof(float)) : places.temporary(shape, sizeof(float));
    steps.apply({GI_OP_LOAD, type}, inputs.loops.widen[type], shape, place, s.place);
    steps.set_when(before);
    s.place = place;
    s.owned = !once;
    s.in_place = false;
    s.form = CHAIN_PACKED;
}

void Registers::read_in_place(uint16_t r, uint16_t slot_place, ChainForm form, int64_t row_stride) {
    State &s = state[r];
    s.place = slot_place;
    s.in_place = true;
    s.form = form;
    s.row_stride = row_stride;
}

void Registers::read_at(uint16_t r, uint16_t pointer, uint16_t temporary, ChainForm form) {
    read_in_place(r, pointer, form, 0);
    state[r].lent = temporary;
}

uint16_t Registers::kept_row(uint32_t at) {
    return places.kept_row(lives.role(at).number, inputs.register_size(lives.instruction(at).d));
}

uint16_t Registers::own(uint16_t r) {
    state[r].owned = true;
    return state[r].place = places.temporary(inputs.value(r).shape, inputs.register_size(r));
}

uint16_t Registers::result(const Instruction &in, uint32_t at) {
    State &s = state[in.d];
    const Value &v = inputs.value(in.d);
    if (v.outlives) return s.place;
    if (lives.role(at).writes_kept) return s.place = kept_row(at);
    const int store = direct_store(in, at);
    if (store >= 0) {
        mark_stored(uint32_t(store));
        return s.place = places.slot(lives.instruction(uint32_t(store)).n);
    }
    if (in.op != GI_OP_LOAD && in.op != GI_OP_INDEX && !is_gather(in.op)) lend_operands(in, at);
    if (inputs.is_once(in.d)) return s.place = places.fixed(v.shape, inputs.register_size(in.d));
    s.owned = true;
    return s.place = places.temporary(v.shape, inputs.register_size(in.d));
}

// The store, later in this section, that the result of `in` can be written to at once; or -1. It
// must be safe to write that early: nothing in between reads or writes the same elements, and
// nothing read in place from them is used afterwards.
int Registers::direct_store(const Instruction &in, uint32_t at) const {
    const int store = lives.first_store(in.d);
    if (store < 0) return -1;
    const uint16_t slot = lives.instruction(uint32_t(store)).n;
    const uint8_t shape = inputs.slot_shape(slot);
    if (is_storage_only(inputs.program.slots[slot].type) || inputs.is_streamed(slot) ||
        shape != inputs.value(in.d).shape || !inputs.is_packed(slot, shape) ||
        lives.stores_to(slot) > 1)
        return -1;
    for (uint32_t l : lives.loads()) {
        const uint16_t loaded = lives.instruction(l).d;
        if (!lives.shares_elements(l, slot)) continue;
        if (l >= at && int(l) < store) return -1;
        if (l < at && state[loaded].in_place && lives.last_use(loaded) > at) return -1;
    }
    return store;
}

// Operands that end here and have the result's shape and size may lend it their place.
void Registers::lend_operands(const Instruction &in, uint32_t at) {
    const uint16_t reads[] = {in.a, in.b, in.c};
    for (int o = 0; o < operand_count(in); o++) {
        const uint16_t r = reads[o];
        if (lives.last_use(r) == at && state[r].owned &&
            inputs.value(r).shape == inputs.value(in.d).shape &&
            inputs.register_size(r) == inputs.register_size(in.d)) {
            places.give_back(state[r].place);
            state[r].owned = false;
        }
    }
}

void Registers::release(uint16_t r) {
    State &s = state[r];
    if (s.owned) {
        places.give_back(s.place);
        s.owned = false;
    }
    if (s.lent != NO_PLACE) places.give_back(std::exchange(s.lent, NO_PLACE));
    for (uint8_t shape = 0; shape < 4; shape++) {
        const uint16_t place = std::exchange(s.expanded[shape], NO_PLACE);
        if (place != NO_PLACE && !s.lasts[shape]) places.give_back(place);
    }
}

void Registers::release_dead(uint32_t at) {
    if (lives.role(at).reads_kept) return;
    const Instruction &in = lives.instruction(at);
    const uint16_t reads[] = {in.a, in.b, in.c};
    for (int o = 0; o < operand_count(in); o++)
        if (lives.last_use(reads[o]) == at) release(reads[o]);
}

} // namespace gint
