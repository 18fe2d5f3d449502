#include "schedule/stencils.h"

#include <algorithm>

namespace gint {

namespace {

constexpr size_t FEWEST_TILES = 3; // two are one loop

} // namespace

Stencils::Stencils(const Inputs &i, const Liveness &l, Places &p, Registers &r, Steps &s, Chains &c,
                   const Moves &m, Lookups &k)
    : inputs(i), lives(l), places(p), registers(r), steps(s), chains(c), moves(m), lookups(k) {}

void Stencils::begin_section() {
    found.clear();
    covered.assign(lives.section().count, false);
    if (!(inputs.tile & COLS)) return;
    std::map<uint16_t, uint32_t> defined;
    for (uint32_t at = 0; at < lives.section().count; at++) {
        const Instruction &in = lives.instruction(at);
        if (in.d == NO_REGISTER || !lives.role(at).needed || lives.role(at).reads_kept) continue;
        extend(at, defined);
        defined[in.d] = at;
    }
    for (auto entry = found.begin(); entry != found.end();) {
        const Found &f = entry->second;
        const bool worth = f.tiles.size() >= FEWEST_TILES && f.has_gaps;
        for (uint32_t at : f.covered) covered[at] = covered[at] || worth;
        entry = worth ? std::next(entry) : found.erase(entry);
    }
}

// A stencil becomes that of the instruction which combines it with another tile.
void Stencils::extend(uint32_t at, const std::map<uint16_t, uint32_t> &defined) {
    const Instruction &in = lives.instruction(at);
    if (operand_count(in) != 2 || in.a == in.b || !inputs.loops.stencil[in.op][in.type]) return;
    const auto a = defined.find(in.a), b = defined.find(in.b);
    if (a == defined.end() || b == defined.end()) return;
    // x is what comes last: the first operand of an extreme, which of two zeros is not taken.
    uint32_t x = a->second, before = b->second;
    if (in.op == GI_OP_ADD && !found.count(before)) std::swap(x, before);
    if (!is_tile(x)) return;
    const auto known = found.find(before);
    const bool extends = known != found.end() && lives.instruction(before).op == in.op &&
                         is_alone(before) && known->second.tiles.size() < MOST_STENCIL_TILES;
    if (!extends && !is_tile(before)) return;
    Found f = extends ? known->second : Found{{before}, {before}, has_gaps(before)};
    // Windows have one value for what is outside.
    const Instruction &first = lives.instruction(f.tiles[0]), &last = lives.instruction(x);
    if (first.op != last.op || first.imm != last.imm) return;
    if (extends) found.erase(known);
    f.tiles.push_back(x);
    f.covered.insert(f.covered.end(), {x, at});
    f.has_gaps |= has_gaps(x);
    found.emplace(at, std::move(f));
}

// Is a value of the whole tile wanted once, and here?
bool Stencils::is_alone(uint32_t at) const {
    const Value &v = inputs.value(lives.instruction(at).d);
    return lives.uses(lives.instruction(at).d) == 1 && !v.outlives && !lives.role(at).writes_kept &&
           v.shape == inputs.tile;
}

bool Stencils::is_tile(uint32_t at) const {
    const Instruction &in = lives.instruction(at);
    const auto window = inputs.facts.windows.find(lives.section().first + at);
    const bool gathers = window != inputs.facts.windows.end();
    if ((in.op != GI_OP_LOAD && !gathers) || is_storage_only(in.type) || !is_alone(at))
        return false;
    for (uint32_t store : lives.stores())
        if (lives.shares_elements(store, in.n)) return false;
    if (!gathers) return inputs.layout.strides[in.n][inputs.layout.axis_b] == 1;
    const int a = inputs.tile == FULL ? inputs.layout.axis_a : -1, b = inputs.layout.axis_b;
    int64_t stride = inputs.layout.strides[in.n][b];
    for (int k = 0; k < operand_count(in); k++) {
        const Linear &along = window->second.along[k];
        if (a >= 0 && along.per_axis[a] && along.per_axis[b]) return false;
        const Slot &slot = inputs.program.slots[in.n];
        stride += along.per_axis[b] * inputs.binding.slots[in.n].strides[slot.indexed[size_t(k)]];
    }
    return stride == 1;
}

bool Stencils::has_gaps(uint32_t at) const {
    const Instruction &in = lives.instruction(at);
    return is_gather(in.op) || !inputs.is_packed(in.n, inputs.tile);
}

void Stencils::add(const Instruction &in, uint32_t at) {
    const auto entry = found.find(at);
    if (entry == found.end()) return;
    chains.close();
    Stencil stencil{};
    for (uint32_t tile : entry->second.tiles) {
        const Instruction &read = lives.instruction(tile);
        const auto &strides = inputs.layout.strides[read.n];
        Stencil::Tile t{};
        t.place = places.slot(read.n);
        t.row_stride = inputs.tile == FULL ? strides[inputs.layout.axis_a] : 0;
        t.col_stride = strides[inputs.layout.axis_b];
        const auto window = inputs.facts.windows.find(lives.section().first + tile);
        if (window != inputs.facts.windows.end())
            t.window = lookups.window_of(read, window->second);
        else
            t.window.size_log2 = uint8_t(log2_size(type_size(read.type)));
        stencil.tiles.push_back(t);
    }
    stencil.run = inputs.loops.stencil[in.op][in.type];
    stencil.spare = places.temporary(COLS, type_size(in.type));
    uint16_t d = NO_PLACE;
    if (!pass_on(in, at, stencil, d)) d = registers.result(in, at);
    const Operation what = operation(in);
    Step &step =
        steps.add(Step::STENCIL, inputs.tile, type_size(in.type), d, stencil.tiles[0].place, what);
    step.n = uint16_t(stencils.size());
    places.give_back(stencil.spare);
    stencils.push_back(std::move(stencil));
}

// What is only stored goes to the slot, also where its lines have gaps between them.
bool Stencils::pass_on(const Instruction &in, uint32_t at, Stencil &stencil, uint16_t &d) {
    const int store_at = lives.first_store(in.d);
    if (store_at < int(at) || !is_alone(at)) return false;
    const Instruction &store = lives.instruction(uint32_t(store_at));
    const auto &strides = inputs.layout.strides[store.n];
    if (!moves.is_passed_on_alone(in, store) || strides[inputs.layout.axis_b] != 1) return false;
    stencil.row_stride = inputs.tile == FULL ? strides[inputs.layout.axis_a] : 0;
    registers.mark_stored(uint32_t(store_at));
    d = places.slot(store.n);
    return true;
}

} // namespace gint
