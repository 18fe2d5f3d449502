// Values: where operands and results lie, constants, loops of single instructions.
#include "schedule/scheduler.h"

namespace gint {

// A register's place in `shape`, expanded once where it varies over less.
uint16_t Scheduler::operand(uint16_t r, uint8_t shape) {
    const uint8_t own = facts.values[r].shape;
    State &s = state[r];
    if (s.form != CHAIN_PACKED) widen(r);
    if (own == shape) return s.place;
    if (s.expanded[shape] != NONE) return s.expanded[shape];
    const size_t size = type_size(p.register_types[r]);
    const uint16_t place = temporary(shape, size);
    expand(r, own, shape, size, place);
    return s.expanded[shape] = place;
}

// Halves in place become floats of their own.
void Scheduler::widen(uint16_t r) {
    State &s = state[r];
    const uint8_t type = s.form == CHAIN_F16 ? GI_f16 : GI_bf16;
    const uint16_t source = s.place, place = temporary(facts.values[r].shape, sizeof(float));
    plan->steps.push_back(make_apply(GI_OP_LOAD, type, k.widen[type], facts.values[r].shape, place,
                                     source, source, source));
    s.place = place;
    s.owned = true;
    s.in_place = false;
    s.form = CHAIN_PACKED;
}

void Scheduler::expand(uint16_t r, uint8_t own, uint8_t shape, size_t size, uint16_t place) {
    const Step::Kind kind = own == UNIFORM ? Step::FILL
                            : own == ROWS  ? Step::REPEAT_ROWS
                                           : Step::REPEAT_COLS;
    add(kind, shape, size, place, state[r].place);
}

void Scheduler::emit(const Instruction &in, uint32_t at) {
    const Role &role = facts.roles[section->first + at];
    if (in.op == GI_OP_STORE) return emit_store(in, at);
    if (facts.values[in.d].constant) return emit_constant(in);
    if (role.reads_kept) {
        state[in.d].place = kept_place(in, role);
        return;
    }
    if (in.op == GI_OP_LOAD) return emit_load(in, at);
    if (in.op == GI_OP_INDEX) {
        close_chain();
        const uint8_t shape = facts.values[in.d].shape;
        Step &step = add(Step::IOTA, shape, 8, result(in, at), 0);
        step.n = uint16_t(out.layout.from_program[in.n]);
        return;
    }
    if (in.op != GI_OP_CAST && chain(in, at)) return;
    close_chain();
    emit_apply(in, at);
}

uint16_t Scheduler::kept_place(const Instruction &in, const Role &role) {
    auto [entry, fresh] = kept.try_emplace(role.number, NONE);
    if (fresh) entry->second = add_place(Place::KEPT, type_size(p.register_types[in.d]), 0);
    auto &list = plan->kept;
    if (std::find(list.begin(), list.end(), entry->second) == list.end())
        list.push_back(entry->second);
    return entry->second;
}

// Where the result of an instruction goes: a place that outlives the section, the kept row, the
// output itself, or a temporary; the first of these that applies.
uint16_t Scheduler::result(const Instruction &in, uint32_t at) {
    State &s = state[in.d];
    const Value &v = facts.values[in.d];
    const Role &role = facts.roles[section->first + at];
    if (v.outlives) return s.place;
    if (role.writes_kept) return s.place = kept_place(in, role);
    const int store = direct_store(in, at);
    if (store >= 0) {
        stored_early[store] = true;
        return s.place = place_of_slot(p.code[section->first + store].n);
    }
    const size_t size = type_size(p.register_types[in.d]);
    if (in.op != GI_OP_LOAD && in.op != GI_OP_INDEX) reuse_operands(in, at, v.shape, size);
    s.owned = true;
    return s.place = temporary(v.shape, size);
}

// Operands that end here and have the result's shape and size may lend it their place.
void Scheduler::reuse_operands(const Instruction &in, uint32_t at, uint8_t shape, size_t size) {
    const uint16_t reads[] = {in.a, in.b, in.c};
    for (int o = 0; o < operand_count(in); o++) {
        const uint16_t r = reads[o];
        if (state[r].last_use == at && state[r].owned && facts.values[r].shape == shape &&
            type_size(p.register_types[r]) == size) {
            give_back(state[r].place);
            state[r].owned = false;
        }
    }
}

// Constants: computed once per launch, into a pool all workers read.
void Scheduler::emit_constant(const Instruction &in) {
    const uint8_t type = p.register_types[in.d];
    uint64_t bits = 0;
    State &s = state[in.d];
    if (in.op == GI_OP_CONST) {
        bits = immediate(in);
    } else if (in.op == GI_OP_EXTENT) {
        bits = uint64_t(binding.extents[in.n]);
    }
    s.place = constant_place(&bits, type);
    if (in.op == GI_OP_PARAM) {
        out.param_at.emplace_back(in.n, out.places[s.place].at);
    } else if (operand_count(in) > 0) {
        const uint16_t b = operand_count(in) > 1 ? in.b : in.a;
        const uint16_t c = operand_count(in) > 2 ? in.c : in.a;
        out.prologue.push_back(make_apply(in.op, in.type, function(in, 0), UNIFORM, s.place,
                                          state[in.a].place, state[b].place, state[c].place));
    }
}

uint64_t Scheduler::immediate(const Instruction &in) {
    uint64_t bits = uint64_t(in.imm);
    double value;
    std::memcpy(&value, &in.imm, 8);
    if (in.type == GI_f32) {
        const float narrow = float(value);
        bits = 0;
        std::memcpy(&bits, &narrow, 4);
    } else if (in.type == GI_bool) {
        bits = in.imm != 0;
    }
    return bits; // little-endian: narrow integers are the first bytes
}

ApplyFn Scheduler::function(const Instruction &in, unsigned scalars) const {
    if (in.op == GI_OP_CAST) {
        const uint8_t from = p.register_types[in.a];
        return scalars ? nullptr : k.cast[in.type][from];
    }
    return k.apply[in.op][in.type][scalars];
}

void Scheduler::emit_apply(const Instruction &in, uint32_t at) {
    const uint8_t shape = facts.values[in.d].shape;
    const int count = operand_count(in);
    const uint16_t reads[] = {in.a, in.b, in.c};
    unsigned scalars = 0;
    for (int o = 0; o < count; o++)
        if (shape != UNIFORM && facts.values[reads[o]].shape == UNIFORM) scalars |= 1u << o;
    // Rare variants are not built: then a scalar is expanded, the first one that helps.
    unsigned variant = scalars;
    while (!function(in, variant)) variant = (variant - 1) & scalars;
    uint16_t places[3] = {0, 0, 0};
    for (int o = 0; o < count; o++)
        places[o] = variant >> o & 1 ? state[reads[o]].place : operand(reads[o], shape);
    for (int o = count; o < 3; o++) places[o] = places[0];
    const uint16_t d = result(in, at);
    plan->steps.push_back(make_apply(in.op, in.type, function(in, variant), shape, d, places[0],
                                     places[1], places[2]));
}

} // namespace gint
