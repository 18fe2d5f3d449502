#include "program/program.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace gint {

size_t type_size(uint8_t type) {
    switch (type) {
#define X(TYPE, C, ...)                                                                            \
    case GI_##TYPE:                                                                                \
        return sizeof(C);
        GI_STORAGE(X)
#undef X
    }
    return 0;
}

uint8_t compute_type(uint8_t type) {
    switch (type) {
#define X(TYPE, C, COMPUTE, COMPUTE_C)                                                             \
    case GI_##TYPE:                                                                                \
        return GI_##COMPUTE;
        GI_STORAGE(X)
#undef X
    }
    return type;
}

namespace {

constexpr size_t MANY_AXES = 3;

struct OpcodeFacts {
    uint8_t operands, cost;
    bool reduction, index_reduction, scan, fails;
    ChainOp links[3]; // whose accumulator is the first operand, the second, both
};

constexpr OpcodeFacts FACTS[] = {
#define X(OP, NAME, OPERANDS, COST, REDUCTION, INDEX, SCAN, FAILS, FIRST, SECOND, BOTH)            \
    {OPERANDS, COST, REDUCTION, INDEX, SCAN, FAILS, {FIRST, SECOND, BOTH}},
    GI_OPCODES(X)
#undef X
};

// Of every instruction, is it a gather at positions that nobody computes? See layout/positions.h.
std::vector<bool> windows_of(const Program &p) {
    std::vector<bool> windows(p.code.size()), linear(p.register_types.size());
    for (size_t at = 0; at < p.code.size(); at++) {
        const Instruction &in = p.code[at];
        const uint16_t reads[] = {in.a, in.b, in.c};
        bool all = true;
        for (int k = 0; k < operand_count(in); k++) all = all && linear[reads[k]];
        windows[at] = all && fills_outside(in.op);
        if (in.d == NO_REGISTER) continue;
        const bool sums = in.op == GI_OP_ADD || in.op == GI_OP_SUB || in.op == GI_OP_MUL;
        const bool known = in.op == GI_OP_CONST || in.op == GI_OP_EXTENT || in.op == GI_OP_INDEX;
        linear[in.d] = in.type == GI_i64 && (known || (sums && all));
    }
    return windows;
}

// Of every register the axes it varies over.
std::vector<AxisSet> varies_of(const Program &p) {
    std::vector<AxisSet> varies(p.register_types.size());
    for (const Instruction &in : p.code) {
        if (in.d == NO_REGISTER) continue;
        const uint16_t reads[] = {in.a, in.b, in.c};
        AxisSet axes = in.op == GI_OP_INDEX ? AxisSet(1) << in.n : 0;
        for (int k = 0; k < operand_count(in); k++) axes |= varies[reads[k]];
        if (in.op == GI_OP_LOAD || is_gather(in.op))
            for (uint8_t axis : p.slots[in.n].axes) axes |= AxisSet(1) << axis;
        varies[in.d] = is_reduction(in.op) ? axes & ~p.reduced_set : axes;
    }
    return varies;
}

// Of the instructions of a section, does anything ask for what it computes?
std::vector<bool> needed_of(const Program &p, const Section &s, const std::vector<bool> &windows) {
    std::vector<bool> needed(s.count), read(p.register_types.size());
    for (uint32_t i = s.count; i-- > 0;) {
        const Instruction &in = p.code[s.first + i];
        const bool root = in.d == NO_REGISTER || is_reduction(in.op);
        needed[i] = root || s.kind == SectionKind::SCALAR || read[in.d];
        const uint16_t reads[] = {in.a, in.b, in.c};
        for (int k = 0; k < operand_count(in) && needed[i] && !windows[s.first + i]; k++)
            read[reads[k]] = true;
    }
    return needed;
}

// What a section holds at once, in bytes per element.
struct Held {
    uint32_t all;     // every value, and the slots
    uint32_t between; // values that do not go straight into the next instruction: what chains leave
};

// What varies over one axis of several is a line of a tile.
uint32_t bytes_of(uint8_t type, AxisSet varies, const Program &p) {
    const bool is_line = !(varies & (varies - 1)) && p.reduced.size() >= MANY_AXES;
    return std::max<uint32_t>(uint32_t(type_size(type)) / (is_line ? 4 : 1), 1);
}

Held busiest(const Program &p, const Section &section, const std::vector<bool> &windows,
             const std::vector<AxisSet> &varies) {
    const std::vector<bool> needed = needed_of(p, section, windows);
    std::vector<uint32_t> last(p.register_types.size(), 0), uses(p.register_types.size(), 0);
    for (uint32_t i = 0; i < section.count; i++) {
        const Instruction &in = p.code[section.first + i];
        const uint16_t reads[] = {in.a, in.b, in.c};
        for (int k = 0; k < operand_count(in) && needed[i] && !windows[section.first + i]; k++)
            if (last[reads[k]] != i || !uses[reads[k]]) last[reads[k]] = i, uses[reads[k]]++;
    }
    uint32_t slots = 0;
    Held live{}, most{};
    std::vector<Held> dies(section.count, Held{});
    for (uint32_t i = 0; i < section.count; i++) {
        const Instruction &in = p.code[section.first + i];
        if (in.op == GI_OP_LOAD || in.op == GI_OP_STORE || is_gather(in.op))
            slots += type_size(in.type);
        if (!needed[i]) continue;
        const bool uniform = in.op == GI_OP_CONST || in.op == GI_OP_PARAM || in.op == GI_OP_EXTENT;
        const bool in_place = in.op == GI_OP_LOAD && !is_storage_only(in.type);
        if (in.d != NO_REGISTER && !uniform && !in_place && !is_reduction(in.op)) {
            const uint32_t size = bytes_of(p.register_types[in.d], varies[in.d], p);
            const bool passes_on = uses[in.d] == 1 && last[in.d] == i + 1;
            Held &end = dies[std::max(last[in.d], i)];
            live.all += size, end.all += size;
            if (!passes_on) live.between += size, end.between += size;
        }
        most.all = std::max(most.all, live.all);
        most.between = std::max(most.between, live.between);
        live.all -= dies[i].all, live.between -= dies[i].between;
    }
    return {most.all + slots, most.between};
}

} // namespace

int operand_count(const Instruction &i) { return FACTS[i.op].operands; }
bool is_gather(uint16_t op) { return op >= GI_OP_GATHER && op <= GI_OP_GATHER_OR3; }
bool fills_outside(uint16_t op) { return op >= GI_OP_GATHER_OR && op <= GI_OP_GATHER_OR3; }
bool is_reduction(uint16_t op) { return FACTS[op].reduction; }
bool is_scan(uint16_t op) { return FACTS[op].scan; }
bool is_index_reduction(uint16_t op) { return FACTS[op].index_reduction; }

unsigned op_cost(const Instruction &i) {
    const unsigned size = type_size(i.type);
    const unsigned cost = FACTS[i.op].cost * (size + 3) / 4;
    const bool libm = i.type == GI_f64 && FACTS[i.op].cost > 5;
    return libm ? cost * 8 : cost;
}

ChainOp chain_op(const Instruction &i, int acc) {
    if (i.type != GI_f32 && i.type != GI_f64) return CHAIN_OPS;
    const bool both = operand_count(i) == 2 && i.a == i.b;
    return FACTS[i.op].links[both ? 2 : acc];
}

void Program::finish() {
    auto require = [](bool holds) {
        if (!holds) throw std::invalid_argument("The program was not verified.");
    };
    require(reduced.size() <= MAX_AXES && !sections.empty());
    for (size_t a = 0; a < reduced.size(); a++) reduced_set |= AxisSet(reduced[a]) << a;
    for (Slot &slot : slots) {
        slot.used = slot.stored = false;
        require(slot.type < GI_TYPE_COUNT);
        for (size_t k = 0; k < slot.axes.size(); k++) {
            require(slot.axes[k] < reduced.size());
            if (indexed >> slot.axes[k] & 1) slot.indexed.push_back(uint8_t(k));
        }
        require(slot.indexed.size() <= GI_MAX_INDICES && (slot.indexed.empty() || !slot.writes));
    }
    std::vector<bool> divides(register_types.size()); // a constant, and not zero
    for (const Instruction &i : code) {
        require(i.op < GI_OPCODE_COUNT && i.type < GI_TYPE_COUNT);
        const uint16_t reads[] = {i.a, i.b, i.c};
        for (int k = 0; k < operand_count(i); k++) require(reads[k] < register_types.size());
        require(i.op == GI_OP_STORE || i.d < register_types.size());
        if (i.op == GI_OP_LOAD || i.op == GI_OP_STORE || is_gather(i.op)) {
            require(i.n < slots.size() && slots[i.n].type == i.type);
            require(slots[i.n].indexed.size() == (is_gather(i.op) ? operand_count(i) : 0u));
            for (int k = 0; is_gather(i.op) && k < operand_count(i); k++)
                require(register_types[reads[k]] == GI_i64);
            slots[i.n].used = true;
            slots[i.n].stored |= i.op == GI_OP_STORE;
        }
        if (i.op == GI_OP_PARAM) require(i.n < params.size());
        if (i.op == GI_OP_EXTENT || i.op == GI_OP_INDEX) require(i.n < reduced.size());
        if (i.op == GI_OP_INDEX) positions_read |= AxisSet(1) << i.n;
        require(!(positions_read & indexed));
        has_scan |= is_scan(i.op);
        bool fails = FACTS[i.op].fails;
        if (is_gather(i.op))
            fails = !fills_outside(i.op);
        else if (fails)
            fails = i.type != GI_f32 && i.type != GI_f64 && !divides[i.b];
        may_fail.push_back(fails);
        if (i.op == GI_OP_CONST && i.imm != 0) divides[i.d] = true;
    }
    const std::vector<bool> windows = windows_of(*this);
    const std::vector<AxisSet> varies = varies_of(*this);
    require(!has_scan || std::has_single_bit(reduced_set));
    uint32_t first = 0;
    for (Section &section : sections) {
        section.first = first;
        first += section.count;
        require(first <= code.size());
        has_reduction |= section.kind == SectionKind::REDUCE;
        const Held held = busiest(*this, section, windows, varies);
        bytes_per_element = std::max(bytes_per_element, held.all);
        bytes_between = std::max(bytes_between, held.between);
    }
}

} // namespace gint
