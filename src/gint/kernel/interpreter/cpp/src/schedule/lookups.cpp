#include "schedule/lookups.h"

#include "schedule/constants.h"

namespace gint {

Lookups::Lookups(const Inputs &i, const Liveness &l, Places &p, Registers &r, Steps &s, Chains &c,
                 const Moves &m)
    : inputs(i), lives(l), places(p), registers(r), steps(s), chains(c), moves(m) {}

void Lookups::add(const Instruction &in, uint32_t at) {
    const auto window = inputs.facts.windows.find(lives.section().first + at);
    if (window != inputs.facts.windows.end()) return add_window(in, at, window->second);
    chains.close();
    const Lookup lookup = make(in);
    if (!is_storage_only(in.type) && in.type != GI_bool)
        return read(in, lookup, registers.result(in, at));
    const int stored = stored_alone(in, at);
    if (stored >= 0) return read(in, lookup, places.slot(lives.instruction(uint32_t(stored)).n));
    const LoopTable &k = inputs.loops;
    const ApplyFn loop = in.type == GI_bool ? k.cast[GI_bool][GI_u8] : k.widen[in.type];
    const uint8_t shape = inputs.value(in.d).shape;
    const uint16_t found = places.temporary(shape, type_size(in.type));
    read(in, lookup, found);
    steps.apply({GI_OP_LOAD, in.type}, loop, shape, registers.result(in, at), found);
    places.give_back(found);
}

Lookup Lookups::make(const Instruction &in) {
    const Slot &slot = inputs.program.slots[in.n];
    const uint16_t reads[] = {in.a, in.b, in.c};
    Lookup lookup{};
    lookup.count = operand_count(in);
    for (int k = 0; k < lookup.count; k++) {
        const uint8_t dimension = slot.indexed[size_t(k)];
        lookup.positions[k] = registers.place(reads[k]);
        lookup.shapes[k] = inputs.value(reads[k]).shape;
        lookup.extents[k] = inputs.binding.extents[slot.axes[dimension]];
        lookup.strides[k] = inputs.binding.slots[in.n].strides[dimension];
    }
    lookup.fills = fills_outside(in.op);
    lookup.outside = outside(in);
    lookup.run = inputs.loops.lookup[log2_size(type_size(in.type))];
    return lookup;
}

void Lookups::read(const Instruction &in, Lookup lookup, uint16_t d) {
    const Layout &l = inputs.layout;
    const uint8_t shape = inputs.value(in.d).shape;
    if (lookup.count > 1) lookup.sums = places.temporary(shape, sizeof(int64_t));
    Step &step = steps.add(Step::LOOKUP, shape, type_size(in.type), d, places.slot(in.n));
    step.n = uint16_t(lookups.size());
    const auto along = [&](int axis) { return axis < 0 ? 0 : l.strides[in.n][axis]; };
    step.row_stride = shape == FULL ? along(l.axis_a) : 0;
    step.col_stride = shape & COLS ? along(l.axis_b) : shape & ROWS ? along(l.axis_a) : 0;
    if (lookup.count > 1) places.give_back(lookup.sums);
    lookups.push_back(lookup);
}

// The value of positions outside, as memory has it.
uint16_t Lookups::outside(const Instruction &in) {
    Instruction value = in;
    value.type = compute_type(in.type);
    uint64_t bits = immediate(value);
    if (is_storage_only(in.type)) {
        const uint64_t wide = std::exchange(bits, 0);
        inputs.loops.narrow[in.type](1, &bits, &wide, &wide, &wide, nullptr);
    }
    return places.constant(bits, in.type);
}

WindowRead Lookups::window_of(const Instruction &in, const WindowPositions &positions) {
    const Slot &slot = inputs.program.slots[in.n];
    WindowRead window{};
    window.count = operand_count(in);
    for (int k = 0; k < window.count; k++) {
        const uint8_t dimension = slot.indexed[size_t(k)];
        window.along[k] = positions.along[k];
        window.extents[k] = inputs.binding.extents[slot.axes[dimension]];
        window.strides[k] = inputs.binding.slots[in.n].strides[dimension];
    }
    window.outside = outside(in);
    window.size_log2 = uint8_t(log2_size(type_size(in.type)));
    window.run = inputs.loops.window[log2_size(type_size(in.type))];
    return window;
}

int64_t Lookups::stride_of(uint16_t slot, const WindowRead &window, int axis) const {
    if (axis < 0) return 0;
    int64_t stride = inputs.layout.strides[slot][axis];
    for (int k = 0; k < window.count; k++)
        stride += window.along[k].per_axis[axis] * window.strides[k];
    return stride;
}

void Lookups::add_window(const Instruction &in, uint32_t at, const WindowPositions &positions) {
    const uint8_t shape = inputs.value(in.d).shape;
    const size_t size = type_size(in.type);
    const int stored = stored_alone(in, at);
    const bool direct = stored >= 0;
    const bool packed = (!is_storage_only(in.type) && in.type != GI_bool) || direct;
    const bool local = !inputs.value(in.d).outlives && !lives.role(at).writes_kept && !direct;
    const bool chained = is_storage_only(in.type) && shape == inputs.tile && shape != UNIFORM;
    const WindowRead window = window_of(in, positions);
    // What has to be gathered is used at once, while it is in the cache.
    if (!local || stride_of(in.n, window, inputs.layout.axis_b) != 1) chains.close();
    const bool once = inputs.is_once(in.d);
    const uint16_t own = direct             ? places.slot(lives.instruction(uint32_t(stored)).n)
                         : packed && !local ? registers.result(in, at)
                         : once             ? places.fixed(shape, size)
                                            : places.temporary(shape, size);
    const uint16_t d = packed && !local ? own : places.pointer(own);
    Step &step = steps.add(Step::WINDOW, shape, size, d, places.slot(in.n));
    step.b = own;
    step.n = uint16_t(windows.size());
    const auto along = [&](int axis) { return axis < 0 ? 0 : inputs.layout.strides[in.n][axis]; };
    step.row_stride = shape == FULL ? along(inputs.layout.axis_a) : 0;
    step.col_stride = shape & COLS   ? along(inputs.layout.axis_b)
                      : shape & ROWS ? along(inputs.layout.axis_a)
                                     : 0;
    windows.push_back(window);
    if (packed && !local) return;
    if (local && (packed || chained))
        return registers.read_at(in.d, d, once ? NO_PLACE : own,
                                 packed ? CHAIN_PACKED : form_of(in.type));
    chains.close();
    const LoopTable &k = inputs.loops;
    const ApplyFn loop = in.type == GI_bool ? k.cast[GI_bool][GI_u8] : k.widen[in.type];
    steps.apply({GI_OP_LOAD, in.type}, loop, shape, registers.result(in, at), d);
    if (!once) places.give_back(own);
}

// The store that is all that becomes of what is read, which is marked as done, or -1: elements go
// as bits, halves too.
int Lookups::stored_alone(const Instruction &in, uint32_t at) {
    const Value &v = inputs.value(in.d);
    const int found = lives.first_store(in.d);
    if (in.type == GI_bool || v.outlives || lives.role(at).writes_kept || found < int(at))
        return -1;
    const Instruction &store = lives.instruction(uint32_t(found));
    if (v.shape != inputs.tile || !moves.is_passed_on_alone(in, store) ||
        !inputs.is_packed(store.n, v.shape))
        return -1;
    registers.mark_stored(uint32_t(found));
    return found;
}

} // namespace gint
