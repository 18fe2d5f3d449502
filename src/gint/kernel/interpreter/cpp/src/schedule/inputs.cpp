#include "schedule/inputs.h"

#include <algorithm>

namespace gint {

namespace {

constexpr int64_t GROUP_LINES = 16;         // of tiles folded one after the other
constexpr int64_t CHUNK_ELEMENTS = 1 << 18; // of a long row, so that threads have several

void add_axis(Grid &grid, int axis, int64_t step, int64_t extent) {
    grid.axis[grid.rank] = axis;
    grid.step[grid.rank] = step;
    grid.count[grid.rank] = (extent + step - 1) / step;
    grid.total *= grid.count[grid.rank++];
}

} // namespace

Grids::Grids(const Layout &l) {
    for (int a = 0; a < l.rank; a++) {
        const int64_t step = a == l.axis_a ? l.rows : a == l.axis_b ? l.cols : 1;
        add_axis(l.reduced[a] ? reduced : parallel, a, step, l.extent[a]);
    }
    const bool folds_cols = l.axis_b >= 0 && l.reduced[l.axis_b];
    const int64_t lines = l.axis_a >= 0 && l.reduced[l.axis_a] ? l.rows : 1; // of a tile
    // Powers of two, so that chunks are whole branches of the tree that one worker would build.
    if (!folds_cols)
        while (tiles_per_group * 2 * lines <= GROUP_LINES) tiles_per_group *= 2;
    if (folds_cols)
        while (tiles_per_chunk > 1 && tiles_per_chunk * l.cols > CHUNK_ELEMENTS)
            tiles_per_chunk /= 2;
    if (!l.folds_long_lines()) return;
    tiles_per_chunk = tiles_per_group;
    while (tiles_per_chunk * 2 * lines <= CHUNK_LINES) tiles_per_chunk *= 2;
}

Inputs::Inputs(const Program &p, const Binding &b, const std::vector<uint16_t> &g,
               const LoopTable &l)
    : program(p), binding(b), groups(g), loops(l), layout(make_layout(p, b)), grids(layout),
      facts(analyse(p, b, layout, g)), tile(shape_of(layout, ~AxisSet(0))),
      has_alike(finds_alike()) {}

int64_t Inputs::elements(uint8_t shape) const {
    return (shape & ROWS ? layout.rows : 1) * (shape & COLS ? layout.cols : 1);
}

// Where a row is one tile of several, whole lines. What reductions give is not known before the
// first tile: so none may vary along lines alone.
bool Inputs::finds_alike() const {
    if (program.has_scan || tile != FULL || grids.reduced.total != 1 ||
        layout.cols != layout.extent[layout.axis_b])
        return false;
    for (const Slot &slot : program.slots) // a gather's parts are not all known to be once
        if (!slot.indexed.empty()) return false;
    return std::none_of(program.code.begin(), program.code.end(), [this](const Instruction &in) {
        return is_reduction(in.op) && varies_along_lines_alone(in.d);
    });
}

bool Inputs::varies_along_lines_alone(uint16_t r) const {
    return !(facts.values[r].varies & ~(AxisSet(1) << layout.axis_b));
}

bool Inputs::is_alike(uint16_t r) const { return has_alike && varies_along_lines_alone(r); }

bool Inputs::is_line_of_block(uint16_t r) const {
    AxisSet reduced = 0;
    for (int a = 0; a < layout.rank; a++) reduced |= AxisSet(layout.reduced[a]) << a;
    return grids.reduced.total > 1 && value(r).shape == COLS && !(value(r).varies & reduced);
}

bool Inputs::is_part_of_much(uint16_t slot) const {
    double all = 0;
    for (size_t n = 0; n < program.slots.size(); n++)
        if (program.slots[n].used) all += bytes(uint16_t(n));
    if (goes_twice() && bytes(slot) >= MEMORY_BYTES / 3 && all >= MEMORY_BYTES) return true;
    return bytes(slot) >= MEMORY_BYTES / 2 && all >= CACHE_BYTES && !is_one_loop();
}

// Are rows folded first, and read from a near cache when the results are written?
bool Inputs::goes_twice() const {
    bool folded = false;
    for (const Section &section : program.sections) {
        if (folded && section.kind == SectionKind::MAP) return true;
        folded |= section.kind == SectionKind::REDUCE;
    }
    return false;
}

// One or two operations on several operands, or none that a chain has: their loops go over memory a
// line at a time, which is quicker than blocks of lines, or a copy, that go past the caches.
bool Inputs::is_one_loop() const {
    size_t reads = 0, operations = 0, linked = 0;
    for (const Instruction &in : program.code) {
        reads += in.op == GI_OP_LOAD;
        if (in.op == GI_OP_STORE || operand_count(in) == 0) continue;
        const ChainOp op = chain_op(in, 0);
        operations++;
        linked += op != CHAIN_OPS && loops.chain[in.type].link[op][0];
    }
    return operations <= 2 && (reads > 1 || linked == 0);
}

uint8_t Inputs::slot_shape(uint16_t slot) const {
    return shape_of(layout, varies_of_slot(layout, slot));
}

bool Inputs::is_packed(uint16_t slot, uint8_t shape) const {
    return gint::is_packed(layout, slot, shape);
}

double Inputs::bytes(uint16_t slot) const {
    double bytes = double(slot_size(slot));
    for (int a = 0; a < layout.rank; a++)
        if (layout.strides[slot][a]) bytes *= double(layout.extent[a]);
    return bytes;
}

bool Inputs::is_streamed(uint16_t slot) const {
    if (bytes(slot) < MEMORY_BYTES && !is_part_of_much(slot)) return false;
    for (size_t n = 0; n < program.slots.size(); n++)
        if (n != slot && groups[n] == groups[slot]) return false;
    return !program.slots[slot].reads;
}

ApplyFn Inputs::loop(const Instruction &in, unsigned scalars) const {
    if (in.op == GI_OP_CAST) {
        const uint8_t from = program.register_types[in.a];
        return scalars ? nullptr : loops.cast[in.type][from];
    }
    return loops.apply[in.op][in.type][scalars];
}

} // namespace gint
