// The making of a schedule, in one pass over the sections. This file holds what concerns values,
// schedule_memory.cpp slots and accumulators, schedule_chain.cpp chains.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>

#include "analysis.h"
#include "schedule.h"

namespace gint {

constexpr size_t LINE = 64; // of the caches, in bytes

inline size_t whole_lines(size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

class Scheduler {
  public:
    Scheduler(const Program &program, const Binding &b, const std::vector<uint16_t> &alias,
              const KernelTable &kernels)
        : p(program), binding(b), groups(alias), k(kernels) {
        out.kernels = &k;
        out.layout = plan_layout(p, binding);
        facts = analyse(p, out.layout, groups);
        tile = shape_of(out.layout, ~AxisSet(0));
        state.resize(p.register_types.size());
        slot_place.assign(p.slots.size(), NONE);
    }

    std::shared_ptr<const Schedule> run() {
        make_grids();
        place_lasting_registers();
        for (const Section &section : p.sections) emit_section(section);
        place_kept_rows();
        plan_prefetches();
        out.frame_bytes = whole_lines(out.frame_bytes);
        out.shares_rows = kept.empty() && out.reduced.total >= 2 * out.tiles_per_chunk;
        return std::make_shared<const Schedule>(std::move(out));
    }

  private:
    static constexpr uint16_t NONE = 0xFFFF, NO_PLACE = NONE;
    struct State {                                       // of a register while steps are emitted
        uint16_t place = NONE;                           // in its own shape
        uint16_t expanded[4] = {NONE, NONE, NONE, NONE}; // in larger ones
        bool owned = false;                              // a temporary to give back
        bool in_place = false;                           // lies in a slot
        int64_t row_stride = 0;                          // a strided operand of a reduction
        uint32_t last_use = 0, uses = 0;                 // in this section
    };

    const Program &p;
    const Binding &binding;
    const std::vector<uint16_t> &groups;
    const KernelTable &k;
    Schedule out;
    Analysis facts;
    uint8_t tile; // the shape of a whole tile
    std::vector<State> state;
    std::vector<uint16_t> slot_place;              // places of slots, shared by all sections
    std::map<uint32_t, uint16_t> kept;             // value number -> place
    std::map<size_t, std::vector<uint16_t>> spare; // bytes -> temporaries free again
    size_t temporaries_end = 0;
    SectionPlan *plan = nullptr;
    const Section *section = nullptr;
    std::vector<bool> stored_early;      // per instruction of the section: its store is done
    std::vector<uint32_t> loads, stores; // instructions of the section
    std::vector<int> store_of; // register - first_register -> the first store of it, or -1
    uint32_t first_register = 0;

    struct OpenChain {
        bool active = false;
        ChainPlan plan;
        uint32_t last = 0;            // the instruction whose result it has so far
        std::vector<uint16_t> ending; // registers to release once it has been emitted
    } open;
    uint16_t scratch = NONE;

    // Places

    int64_t elements(uint8_t shape) const {
        return (shape & ROWS ? out.layout.rows : 1) * (shape & COLS ? out.layout.cols : 1);
    }

    uint16_t add_place(Place::Kind kind, size_t size, size_t at) {
        out.places.push_back({kind, uint8_t(log2_size(size)), at});
        return uint16_t(out.places.size() - 1);
    }

    size_t allocate(size_t bytes) { // for the whole launch
        const size_t at = out.frame_bytes;
        out.frame_bytes += whole_lines(bytes);
        return at;
    }

    uint16_t temporary(uint8_t shape, size_t size) { // for this section
        const size_t bytes = whole_lines(elements(shape) * size);
        auto &free = spare[bytes];
        if (!free.empty()) {
            const uint16_t place = free.back();
            free.pop_back();
            out.places[place].size_log2 = uint8_t(log2_size(size));
            return place;
        }
        const uint16_t place = add_place(Place::FRAME, size, temporaries_end);
        temporary_bytes[place] = bytes;
        temporaries_end += bytes;
        return place;
    }
    std::map<uint16_t, size_t> temporary_bytes;

    void give_back(uint16_t place) { spare[temporary_bytes[place]].push_back(place); }

    uint16_t place_of_slot(uint16_t slot) {
        if (slot_place[slot] == NONE) {
            const size_t size = type_size(p.slots[slot].type);
            slot_place[slot] = add_place(Place::SLOT, size, out.touched.size());
            Schedule::Touched touched{slot, slot_place[slot], uint8_t(size), {}};
            for (int a = 0; a < out.layout.rank; a++)
                touched.strides[a] = out.layout.strides[slot][a] * int64_t(size);
            out.touched.push_back(touched);
        }
        const uint16_t place = slot_place[slot];
        auto &list = plan->slots;
        if (std::find(list.begin(), list.end(), place) == list.end()) list.push_back(place);
        return place;
    }

    uint16_t constant_place(const void *bits, size_t size) {
        const size_t at = out.pool.size();
        out.pool.resize(at + 8);
        std::memcpy(out.pool.data() + at, bits, size);
        return add_place(Place::CONSTANT, size, at);
    }

    // Grids and lasting places

    void make_grids() {
        for (int a = 0; a < out.layout.rank; a++) {
            Grid &grid = out.layout.reduced[a] ? out.reduced : out.parallel;
            const int64_t step = a == out.layout.axis_a   ? out.layout.rows
                                 : a == out.layout.axis_b ? out.layout.cols
                                                          : 1;
            grid.axis[grid.rank] = a;
            grid.step[grid.rank] = step;
            grid.count[grid.rank] = (out.layout.extent[a] + step - 1) / step;
            grid.total *= grid.count[grid.rank++];
        }
        const Layout &l = out.layout;
        const bool line = l.axis_b >= 0 && l.reduced[l.axis_b];
        const bool rows = l.axis_a >= 0 && l.reduced[l.axis_a];
        // Powers of two, so that chunks are whole branches of the tree that one worker would build.
        if (!line)
            while (out.tiles_per_group * 2 * (rows ? l.rows : 1) <= 16) out.tiles_per_group *= 2;
        out.tiles_per_chunk = 16;
    }

    void place_lasting_registers() {
        for (size_t s = 0; s < p.sections.size(); s++)
            for (uint32_t i = 0; i < p.sections[s].count; i++) {
                const Instruction &in = p.code[p.sections[s].first + i];
                if (in.op == GI_OP_STORE) continue;
                const Value &v = facts.values[in.d];
                if (!is_reduction(in.op) && (!v.outlives || v.constant)) continue;
                const size_t size = type_size(p.register_types[in.d]);
                state[in.d].place =
                    add_place(Place::FRAME, size, allocate(elements(v.shape) * size));
            }
        out.shared_bytes = out.frame_bytes;
    }

    void place_kept_rows() {
        if (scratch != NONE) out.places[scratch].at = allocate(out.places[scratch].at);
        int64_t row = elements(tile);
        row *= out.reduced.total;
        for (auto &[number, place] : kept) {
            (void)number;
            out.places[place].at = allocate(row << out.places[place].size_log2);
        }
    }

    // Sections

    void emit_section(const Section &s) {
        out.sections.emplace_back();
        plan = &out.sections.back();
        plan->kind = s.kind;
        section = &s;
        if (s.kind == SectionKind::REDUCE)
            for (uint32_t i = 0; i < s.count; i++)
                if (is_reduction(p.code[s.first + i].op)) add_accumulator(p.code[s.first + i]);
        // Temporaries of all sections share one area behind what has been allocated so far; the
        // accumulators of later sections go behind it.
        spare.clear();
        temporaries_end = out.frame_bytes;
        stored_early.assign(s.count, false);
        scan_section();
        uint32_t accumulator = 0;
        for (uint32_t i = 0; i < s.count; i++) {
            if (!facts.roles[s.first + i].needed) continue;
            const Instruction &in = p.code[s.first + i];
            if (is_reduction(in.op))
                emit_reduce(in, accumulator++);
            else
                emit(in, i);
            if (!open.active || open.last != i) release_dead(in, i);
        }
        close_chain();
        for (uint32_t i = 0; i < s.count; i++) forget(p.code[s.first + i]);
        out.frame_bytes = temporaries_end;
        count_work();
    }

    void scan_section() {
        loads.clear();
        stores.clear();
        first_register = ~0u;
        uint32_t last_register = 0;
        for (uint32_t i = 0; i < section->count; i++) {
            const uint16_t d = p.code[section->first + i].d;
            if (d == NO_REGISTER) continue;
            first_register = std::min<uint32_t>(first_register, d);
            last_register = std::max<uint32_t>(last_register, d);
        }
        store_of.assign(first_register > last_register ? 0 : last_register - first_register + 1,
                        -1);
        for (uint32_t i = 0; i < section->count; i++) {
            const uint32_t at = section->first + i;
            const Instruction &in = p.code[at];
            if (!facts.roles[at].needed || facts.roles[at].reads_kept) continue;
            const uint16_t reads[] = {in.a, in.b, in.c};
            for (int o = 0; o < operand_count(in); o++) {
                state[reads[o]].last_use = i;
                state[reads[o]].uses++;
            }
            if (in.op == GI_OP_LOAD) loads.push_back(i);
            if (in.op != GI_OP_STORE) continue;
            stores.push_back(i);
            const uint32_t r = in.a - first_register;
            if (r < store_of.size() && store_of[r] < 0) store_of[r] = int(i);
        }
    }

    // Expansions, and places of slots read in place, hold within one section only.
    void forget(const Instruction &in) {
        const uint16_t registers[] = {in.d, in.a, in.b, in.c};
        for (uint16_t r : registers) {
            if (r == NO_REGISTER) continue;
            std::fill(std::begin(state[r].expanded), std::end(state[r].expanded), NONE);
            state[r].in_place = false;
            state[r].uses = 0;
        }
    }

    void release_dead(const Instruction &in, uint32_t at) {
        if (facts.roles[section->first + at].reads_kept) return;
        const uint16_t reads[] = {in.a, in.b, in.c};
        for (int o = 0; o < operand_count(in); o++)
            if (state[reads[o]].last_use == at) release(reads[o]);
    }

    void release(uint16_t r) {
        State &s = state[r];
        if (s.owned) {
            give_back(s.place);
            s.owned = false;
        }
        for (uint16_t &place : s.expanded) {
            if (place != NONE) give_back(place);
            place = NONE;
        }
    }

    void count_work() {
        double cost = 0;
        for (const Step &step : plan->steps)
            if (step.shape == tile) cost += step.kind == Step::APPLY ? 0 : 2;
        for (uint32_t i = 0; i < section->count; i++) {
            const uint32_t at = section->first + i;
            if (!facts.roles[at].needed || facts.roles[at].reads_kept) continue;
            const Instruction &in = p.code[at];
            const uint16_t r = in.op == GI_OP_STORE ? in.a : in.d;
            if (in.op == GI_OP_STORE || is_reduction(in.op) || facts.values[r].shape == tile)
                cost += op_cost(in) + (in.op == GI_OP_LOAD || in.op == GI_OP_STORE);
        }
        plan->cost = cost;
        double points = 1;
        for (int a = 0; a < out.layout.rank; a++)
            if (section->kind != SectionKind::SCALAR || !out.layout.reduced[a])
                points *= double(out.layout.extent[a]);
        out.work += cost * points;
    }

    // Steps

    Step &add(Step::Kind kind, uint8_t shape, size_t size, uint16_t d, uint16_t a) {
        Step step{};
        step.kind = kind;
        step.shape = shape;
        step.size_log2 = uint8_t(log2_size(size));
        step.d = d;
        step.a = step.b = step.c = a;
        plan->steps.push_back(step);
        return plan->steps.back();
    }

    Step make_apply(ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a, uint16_t b, uint16_t c) {
        Step step{};
        step.kind = Step::APPLY;
        step.shape = shape;
        step.d = d, step.a = a, step.b = b, step.c = c;
        step.apply = fn;
        return step;
    }

    // A register's place in `shape`, expanded once where it varies over less.
    uint16_t operand(uint16_t r, uint8_t shape) {
        const uint8_t own = facts.values[r].shape;
        State &s = state[r];
        if (own == shape) return s.place;
        if (s.expanded[shape] != NONE) return s.expanded[shape];
        const size_t size = type_size(p.register_types[r]);
        const uint16_t place = temporary(shape, size);
        expand(r, own, shape, size, place);
        return s.expanded[shape] = place;
    }

    void expand(uint16_t r, uint8_t own, uint8_t shape, size_t size, uint16_t place) {
        const Step::Kind kind = own == UNIFORM ? Step::FILL
                                : own == ROWS  ? Step::REPEAT_ROWS
                                               : Step::REPEAT_COLS;
        add(kind, shape, size, place, state[r].place);
    }

    void emit(const Instruction &in, uint32_t at) {
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

    uint16_t kept_place(const Instruction &in, const Role &role) {
        auto [entry, fresh] = kept.try_emplace(role.number, NONE);
        if (fresh) entry->second = add_place(Place::KEPT, type_size(p.register_types[in.d]), 0);
        auto &list = plan->kept;
        if (std::find(list.begin(), list.end(), entry->second) == list.end())
            list.push_back(entry->second);
        return entry->second;
    }

    // Where the result of an instruction goes: a place that outlives the section, the kept row, the
    // output itself, or a temporary; the first of these that applies.
    uint16_t result(const Instruction &in, uint32_t at) {
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
    void reuse_operands(const Instruction &in, uint32_t at, uint8_t shape, size_t size) {
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

    void emit_constant(const Instruction &in) {
        const uint8_t type = p.register_types[in.d];
        const size_t size = type_size(type);
        uint64_t bits = 0;
        State &s = state[in.d];
        if (in.op == GI_OP_CONST) {
            bits = immediate(in);
        } else if (in.op == GI_OP_EXTENT) {
            bits = uint64_t(binding.extents[in.n]);
        }
        s.place = constant_place(&bits, size);
        if (in.op == GI_OP_PARAM) {
            out.param_at.emplace_back(in.n, out.places[s.place].at);
        } else if (operand_count(in) > 0) {
            const uint16_t b = operand_count(in) > 1 ? in.b : in.a;
            const uint16_t c = operand_count(in) > 2 ? in.c : in.a;
            out.prologue.push_back(make_apply(function(in, 0), UNIFORM, s.place, state[in.a].place,
                                              state[b].place, state[c].place));
        }
    }

    static uint64_t immediate(const Instruction &in) {
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

    ApplyFn function(const Instruction &in, unsigned scalars) const {
        if (in.op == GI_OP_CAST) {
            const uint8_t from = p.register_types[in.a];
            return scalars ? nullptr : k.cast[in.type][from];
        }
        return k.apply[in.op][in.type][scalars];
    }

    void emit_apply(const Instruction &in, uint32_t at) {
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
        plan->steps.push_back(
            make_apply(function(in, variant), shape, d, places[0], places[1], places[2]));
    }

    // schedule_chain.cpp
    bool chain(const Instruction &in, uint32_t at);
    int extends_chain(const Instruction &in) const;
    ChainPlan::Link make_link(const Instruction &in, int acc);
    bool is_chainable(const Instruction &in, int acc) const;
    void keep_on_the_way();
    ChainRun run_of(const ChainPlan &chain) const;
    void join_pairs(ChainPlan &chain) const;
    void close_chain();
    void finish_chain(uint16_t slot, bool streamed);
    void add_chain(Step::Kind kind, uint16_t d);
    bool fold_chain(const Instruction &in, uint32_t accumulator);

    // schedule_memory.cpp
    void plan_prefetches();
    void emit_load(const Instruction &in, uint32_t at);
    void emit_store(const Instruction &in, uint32_t at);
    void emit_reduce(const Instruction &in, uint32_t accumulator);
    void add_accumulator(const Instruction &in);
    int direct_store(const Instruction &in, uint32_t at) const;
    bool is_overwritten(const Instruction &load, uint32_t at) const;
    bool only_folded(uint16_t r) const;
    bool is_streamed(size_t slot) const;
    void add_move(Step::Kind kind, uint8_t shape, size_t slot, uint16_t d, uint16_t a);
};

} // namespace gint
