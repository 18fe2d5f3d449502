// What the cases of this folder share: programs written as code, a table of loops that nobody
// calls, the parts of the scheduler over a program, and checks.
#pragma once

#include <cstring>
#include <string>

#include "schedule/accumulators.h"
#include "schedule/moves.h"

namespace gint {

struct Failure {
    std::string text;
};

// (clang 14 has no std::source_location.)
inline void check(bool holds, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (holds) return;
    throw Failure{std::string(file) + ":" + std::to_string(line) + " does not hold"};
}

struct Case {
    static std::vector<Case> all;
    std::string name;
    void (*run)();
};
inline std::vector<Case> Case::all;

// A case is a function; test_*.py runs each by its name.
#define CASE(name)                                                                                 \
    static void name();                                                                            \
    static const bool name##_is_listed = (Case::all.push_back({#name, name}), true);               \
    static void name()

// A program with its numbers, written in order: axes, slots, then sections of instructions.
struct Sketch {
    Program program;
    Binding binding;

    uint8_t axis(int64_t extent, bool reduced = false) {
        program.reduced.push_back(reduced);
        binding.extents.push_back(extent);
        return uint8_t(program.reduced.size() - 1);
    }

    // Strides in elements; without any, the axes lie one inside the other, without gaps.
    uint16_t slot(uint8_t type, std::vector<uint8_t> axes, std::vector<int64_t> strides = {}) {
        SlotBinding bound{};
        int64_t step = 1;
        for (size_t k = axes.size(); k-- > 0;) {
            bound.strides[k] = strides.empty() ? step : strides[k];
            step *= binding.extents[axes[k]];
        }
        program.slots.push_back({type, false, false, false, false, axes});
        binding.slots.push_back(bound);
        return uint16_t(program.slots.size() - 1);
    }

    void section(SectionKind kind) { program.sections.push_back({kind, 0, 0}); }

    // The type is the operands', if there are any.
    uint16_t emit(uint16_t op, uint8_t type, std::vector<uint16_t> operands) {
        Instruction &in = add(op, type);
        operands.resize(3, NO_REGISTER);
        in.a = operands[0], in.b = operands[1], in.c = operands[2];
        return define(in);
    }
    uint16_t load(uint16_t slot) {
        program.slots[slot].reads = true;
        Instruction &in = add(GI_OP_LOAD, program.slots[slot].type);
        in.n = slot;
        return define(in);
    }
    void store(uint16_t slot, uint16_t r) {
        program.slots[slot].writes = true;
        Instruction &in = add(GI_OP_STORE, program.slots[slot].type);
        in.n = slot, in.a = r;
    }

    std::shared_ptr<const Schedule> schedule(std::vector<uint16_t> groups = {});

  private:
    Instruction &add(uint16_t op, uint8_t type) {
        program.sections.back().count++;
        Instruction &in = program.code.emplace_back();
        in.op = op, in.type = type;
        in.d = in.a = in.b = in.c = NO_REGISTER;
        return in;
    }
    uint16_t define(Instruction &in) {
        program.register_types.push_back(compute_type(in.type));
        return in.d = uint16_t(program.register_types.size() - 1);
    }
};

// Every entry is another pointer; no pairs of links.
const LoopTable &table();

// The parts over a program, in its first section.
struct Parts {
    explicit Parts(Sketch &sketch)
        : program((sketch.program.finish(), sketch.program)), groups(own_groups(program)),
          inputs(program, sketch.binding, groups, table()) {
        lives.enter(program.sections[0]);
        accumulators.begin_section(program.sections[0]);
        places.begin_section();
        registers.begin_section();
    }

    static std::vector<uint16_t> own_groups(const Program &program) {
        std::vector<uint16_t> groups;
        while (groups.size() < program.slots.size()) groups.push_back(uint16_t(groups.size()));
        return groups;
    }

    const Program &program;
    const std::vector<uint16_t> groups;
    Inputs inputs;
    Places places{inputs};
    Liveness lives{inputs};
    Steps steps;
    Registers registers{inputs, lives, places, steps};
    Chains chains{inputs, lives, places, registers, steps};
    Moves moves{inputs, lives, places, registers, steps, chains};
    Accumulators accumulators{inputs, lives, places, registers, steps, chains};
};

inline std::shared_ptr<const Schedule> Sketch::schedule(std::vector<uint16_t> groups) {
    program.finish();
    if (groups.empty()) groups = Parts::own_groups(program);
    return make_schedule(program, binding, groups, table());
}

inline std::vector<Step::Kind> kinds(const std::vector<Step> &steps) {
    std::vector<Step::Kind> kinds;
    for (const Step &step : steps) kinds.push_back(step.kind);
    return kinds;
}

} // namespace gint
