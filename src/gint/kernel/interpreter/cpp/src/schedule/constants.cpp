#include "schedule/constants.h"

#include <cstring>

namespace gint {

uint64_t immediate(const Instruction &in) {
    if (in.type == GI_bool) return in.imm != 0;
    uint64_t bits = uint64_t(in.imm);
    if (in.type == GI_f32) {
        double value;
        std::memcpy(&value, &in.imm, 8);
        const float narrow = float(value);
        bits = 0;
        std::memcpy(&bits, &narrow, 4);
    }
    return bits; // narrow integers are the first bytes
}

Constants::Constants(const Inputs &i, Places &p, Registers &r)
    : inputs(i), places(p), registers(r) {}

uint64_t Constants::bits_of(const Instruction &in) const {
    if (in.op == GI_OP_CONST) return immediate(in);
    if (in.op == GI_OP_EXTENT) return uint64_t(inputs.binding.extents[in.n]);
    return 0; // filled in later
}

void Constants::add(const Instruction &in, bool has_points) {
    const uint16_t d = places.constant(bits_of(in), inputs.program.register_types[in.d]);
    registers.put(in.d, d);
    if (in.op == GI_OP_PARAM) params.emplace_back(in.n, places[d].at);
    const int count = operand_count(in);
    if (count == 0 || (inputs.value(in.d).at_point && !has_points)) return;
    const uint16_t a = registers.place(in.a);
    const uint16_t b = count > 1 ? registers.place(in.b) : a;
    const uint16_t c = count > 2 ? registers.place(in.c) : a;
    prologue.push_back(apply_step(operation(in), inputs.loop(in, 0), UNIFORM, d, a, b, c));
}

void Constants::finish(Schedule &out) {
    out.prologue = std::move(prologue);
    out.param_at = std::move(params);
}

} // namespace gint
