#include "schedule/scans.h"

namespace gint {

Scans::Scans(const Inputs &i, Places &p, Registers &r, Steps &s, Chains &c)
    : inputs(i), places(p), registers(r), steps(s), chains(c) {}

void Scans::begin_section(const Section &section) {
    carried.assign(section.count, 0);
    for (uint32_t i = 0; i < section.count; i++) {
        const Instruction &in = inputs.program.code[section.first + i];
        if (!is_scan(in.op)) continue;
        const uint8_t across = inputs.value(in.d).shape & uint8_t(~along());
        // What is carried may be wider than the value.
        carried[i] = places.allocate(size_t(inputs.elements(across)) * sizeof(double));
    }
}

void Scans::add(const Instruction &in, uint32_t at) {
    chains.close();
    const uint8_t shape = inputs.value(in.d).shape;
    const uint16_t a = registers.operand(in.a, shape);
    const uint16_t d = registers.result(in, at);
    Step &step = steps.add(Step::SCAN, shape, inputs.register_size(in.d), d, a, operation(in));
    step.n = uint16_t(scans.size());
    const bool in_row = along() == COLS || shape == along();
    scans.push_back({inputs.loops.scan[in.op][in.type],
                     in_row            ? Scan::ROW
                     : along() == ROWS ? Scan::COLUMNS
                                       : Scan::TILES,
                     axis(), carried[at]});
}

int Scans::axis() const {
    const Layout &l = inputs.layout;
    for (int a = 0; a < l.rank; a++)
        if (l.reduced[a]) return a;
    return -1;
}

uint8_t Scans::along() const {
    const int a = axis();
    if (a < 0) return UNIFORM;
    return a == inputs.layout.axis_b ? COLS : a == inputs.layout.axis_a ? ROWS : UNIFORM;
}

} // namespace gint
