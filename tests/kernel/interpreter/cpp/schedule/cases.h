// What the cases of this folder share: programs written as code, a table of loops that nobody
// calls, the parts of the scheduler over a program, and checks.
#pragma once

#include <cstring>
#include <source_location>
#include <string>

#include "schedule/accumulators.h"
#include "schedule/moves.h"

namespace gint {

struct Failure {
    std::string text;
};

inline void check(bool holds, std::source_location at = std::source_location::current()) {
    if (holds) return;
    throw Failure{std::string(at.file_name()) + ":" + std::to_string(at.line()) + " does not hold"};
}

struct Case {
    static inline std::vector<Case> all;
    std::string name;
    void (*run)();
};

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

    // Of the operands' type, if there are any.
    uint16_t emit(uint16_t op, uint8_t type, std::vector<uint16_t> operands, int64_t imm = 0) {
        operands.resize(3, NO_REGISTER);
        return add({op, type, 0, 0, operands[0], operands[1], operands[2], 0, 0, imm});
    }
    uint16_t load(uint16_t slot) {
        const uint8_t type = program.slots[slot].type;
        program.slots[slot].reads = true;
        return add({GI_OP_LOAD, type, 0, 0, NO_REGISTER, NO_REGISTER, NO_REGISTER, slot, 0, 0});
    }
    void store(uint16_t slot, uint16_t r) {
        const uint8_t type = program.slots[slot].type;
        program.slots[slot].writes = true;
        push({GI_OP_STORE, type, 0, NO_REGISTER, r, NO_REGISTER, NO_REGISTER, slot, 0, 0});
    }
    uint16_t constant(double value) {
        int64_t bits;
        std::memcpy(&bits, &value, 8);
        return emit(GI_OP_CONST, GI_f32, {}, bits);
    }

    std::shared_ptr<const Schedule> schedule(std::vector<uint16_t> groups = {});

  private:
    void push(const Instruction &in) {
        program.code.push_back(in);
        program.sections.back().count++;
    }
    uint16_t add(Instruction in) {
        in.d = uint16_t(program.register_types.size());
        program.register_types.push_back(compute_type(in.type));
        push(in);
        return in.d;
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
    Accumulators accumulators{inputs, places, registers, steps, chains};
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
