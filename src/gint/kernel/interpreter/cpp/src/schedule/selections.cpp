#include "schedule/selections.h"

namespace gint {

Selections::Selections(const Inputs &i, Liveness &l, Chains &c) : inputs(i), lives(l), chains(c) {}

bool Selections::has_loops(const Instruction &in) const {
    // x != x; a choice by equality is the other one by its opposite.
    const bool by_opposite = in.op == GI_OP_ISNAN || in.op == GI_OP_EQ;
    const uint16_t op = by_opposite ? uint16_t(GI_OP_NE) : in.op;
    return op >= GI_OP_NE && op <= GI_OP_GE && inputs.loops.select[op - GI_OP_NE][in.type][0];
}

bool Selections::put_off(const Instruction &in, uint32_t at) {
    if (inputs.tile == UNIFORM || !has_loops(in) || inputs.value(in.d).shape != inputs.tile ||
        inputs.value(in.d).outlives || lives.role(at).writes_kept)
        return false;
    const bool varies = inputs.value(in.a).shape == inputs.tile ||
                        (operand_count(in) == 2 && inputs.value(in.b).shape == inputs.tile);
    if (!varies || !leads_to_choices(in, at)) return false;
    put_off_at[in.d] = at;
    for (int o = 0; o < operand_count(in); o++)
        lives.keep_until(o ? in.b : in.a, lives.last_use(in.d));
    return true;
}

// Are choices all that reads it? To compare again for each costs less than a mask in memory. Before
// the last of them nothing is stored: it might be to where an operand lies.
bool Selections::leads_to_choices(const Instruction &in, uint32_t at) const {
    uint32_t choices = 0;
    for (uint32_t next = at + 1; next <= lives.last_use(in.d); next++) {
        const Instruction &i = lives.instruction(next);
        if (i.op == GI_OP_STORE) return false;
        choices += i.op == GI_OP_WHERE && i.a == in.d && i.type == in.type &&
                   inputs.value(i.d).shape == inputs.tile && lives.role(next).needed &&
                   !lives.role(next).reads_kept && !inputs.is_once(i.d);
    }
    return choices > 0 && choices == lives.uses(in.d);
}

bool Selections::choose(const Instruction &in, uint32_t at) {
    const auto found = put_off_at.find(in.a);
    if (in.op != GI_OP_WHERE || found == put_off_at.end()) return false;
    chains.take_choice(lives.instruction(found->second), in, at);
    if (lives.last_use(in.a) == at) put_off_at.erase(found);
    return true;
}

} // namespace gint
