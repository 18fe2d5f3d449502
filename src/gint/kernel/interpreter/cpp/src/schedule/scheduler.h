// The making of a schedule, in one pass over the sections: schedule_section.cpp has the sections,
// schedule_value.cpp the instructions in them, schedule_memory.cpp slots and accumulators,
// schedule_chain.cpp chains. This file holds what they share.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>

#include "layout/analysis.h"
#include "schedule/schedule.h"

namespace gint {

constexpr size_t LINE = 64; // of the caches, in bytes

// How elements of a type lie in memory, seen by a chain.
inline ChainForm form_of(uint8_t type) {
    return type == GI_f16 ? CHAIN_F16 : type == GI_bf16 ? CHAIN_BF16 : CHAIN_PACKED;
}

inline size_t whole_lines(size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

class Scheduler {
  public:
    Scheduler(const Program &program, const Binding &b, const std::vector<uint16_t> &alias,
              const LoopTable &loops)
        : p(program), binding(b), groups(alias), k(loops) {
        out.loops = &k;
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
        ChainForm form = CHAIN_PACKED;                   // there; halves are widened where needed
        int64_t row_stride = 0;                          // a strided operand of a reduction
        uint32_t last_use = 0, uses = 0;                 // in this section
    };

    const Program &p;
    const Binding &binding;
    const std::vector<uint16_t> &groups;
    const LoopTable &k;
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
        out.places.push_back({kind, uint8_t(log2_size(size)), 0, at});
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

    uint16_t constant_place(const void *bits, uint8_t type) {
        const size_t at = out.pool.size(), size = type_size(type);
        out.pool.resize(at + 8);
        std::memcpy(out.pool.data() + at, bits, size);
        const uint16_t place = add_place(Place::CONSTANT, size, at);
        out.places[place].type = type;
        return place;
    }

    // schedule_section.cpp
    void make_grids();
    void place_lasting_registers();
    void place_kept_rows();
    void emit_section(const Section &s);
    void scan_section();
    void forget(const Instruction &in);
    void release_dead(const Instruction &in, uint32_t at);
    void release(uint16_t r);
    void count_work();

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

    Step make_apply(uint16_t op, uint8_t type, ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a,
                    uint16_t b, uint16_t c) {
        Step step{};
        step.kind = Step::APPLY;
        step.op = op, step.type = type;
        step.shape = shape;
        step.d = d, step.a = a, step.b = b, step.c = c;
        step.apply = fn;
        return step;
    }

    // schedule_value.cpp
    uint16_t operand(uint16_t r, uint8_t shape);
    void widen(uint16_t r);
    void expand(uint16_t r, uint8_t own, uint8_t shape, size_t size, uint16_t place);
    void emit(const Instruction &in, uint32_t at);
    uint16_t kept_place(const Instruction &in, const Role &role);
    uint16_t result(const Instruction &in, uint32_t at);
    void reuse_operands(const Instruction &in, uint32_t at, uint8_t shape, size_t size);
    void emit_constant(const Instruction &in);
    static uint64_t immediate(const Instruction &in);
    ApplyFn function(const Instruction &in, unsigned scalars) const;
    void emit_apply(const Instruction &in, uint32_t at);

    // schedule_chain.cpp
    bool chain(const Instruction &in, uint32_t at);
    int extends_chain(const Instruction &in) const;
    uint16_t chain_operand(uint16_t r, ChainForm &form);
    ChainPlan::Link make_link(const Instruction &in, int acc);
    bool is_chainable(const Instruction &in, int acc) const;
    void keep_on_the_way();
    ChainRun run_of(const ChainPlan &chain) const;
    void join_pairs(ChainPlan &chain) const;
    void close_chain();
    bool is_one_loop(const ChainPlan &chain) const;
    void finish_chain(uint16_t slot, bool streamed, ChainForm form = CHAIN_PACKED);
    void add_chain(Step::Kind kind, uint16_t d);
    bool fold_chain(const Instruction &in, uint32_t accumulator);

    // schedule_memory.cpp
    void plan_prefetches();
    void emit_load(const Instruction &in, uint32_t at);
    void emit_store(const Instruction &in, uint32_t at);
    bool ends_chain(const Instruction &store, uint8_t shape, bool packed) const;
    void emit_reduce(const Instruction &in, uint32_t accumulator);
    void add_accumulator(const Instruction &in);
    bool move(const Instruction &in, uint32_t at);
    bool transpose(uint16_t source, uint16_t target);
    bool copy(uint16_t source, uint16_t target);
    bool is_moved_alone(const Instruction &load, const Instruction &store) const;
    int direct_store(const Instruction &in, uint32_t at) const;
    bool is_overwritten(const Instruction &load, uint32_t at) const;
    bool only_folded(uint16_t r) const;
    bool is_streamed(size_t slot) const;
    void add_move(Step::Kind kind, uint8_t shape, size_t slot, uint16_t d, uint16_t a);
};

} // namespace gint
