// What a schedule is made from: a program under one layout, the grids of its tiles, and the loops
// there are. Every part reads it, none changes it.
#pragma once

#include "layout/analysis.h"
#include "schedule/schedule.h"

namespace gint {

// Slots of MEMORY_BYTES go past the caches. So do those of half that size, where a launch goes over
// as much as no cache holds; of a third where only what is written is far, of rows that were folded
// just before.
constexpr double CACHE_BYTES = 28 << 20;

// How tiles follow one another, and how those of a reduction are grouped; as Schedule has it.
struct Grids {
    explicit Grids(const Layout &layout);

    Grid parallel, reduced;
    int64_t tiles_per_group = 1, tiles_per_chunk = 16;
};

struct Inputs {
    const Program &program;
    const Binding &binding;
    const std::vector<uint16_t> &groups; // slot -> the slot it shares its elements with, or itself
    const LoopTable &loops;
    Layout layout;
    Grids grids;
    Analysis facts;
    uint8_t tile; // the Shape of a whole tile

    Inputs(const Program &program, const Binding &binding, const std::vector<uint16_t> &groups,
           const LoopTable &loops);

    const Value &value(uint16_t r) const { return facts.values[r]; }
    // Is a value the same in all tiles, and smaller than they are?
    bool is_alike(uint16_t r) const;
    // Is it one that has to be computed, once per thread?
    bool is_once(uint16_t r) const { return !value(r).constant && is_alike(r); }
    // Is a value a line, the same in the several tiles of a block?
    bool is_line_of_block(uint16_t r) const;
    size_t register_size(uint16_t r) const { return type_size(program.register_types[r]); }
    size_t slot_size(uint16_t slot) const { return type_size(program.slots[slot].type); }
    int64_t elements(uint8_t shape) const;
    uint8_t slot_shape(uint16_t slot) const;
    bool is_packed(uint16_t slot, uint8_t shape) const;
    // Is it written past the caches? Large outputs are, unless the launch reads what lies there
    // too.
    bool is_streamed(uint16_t slot) const;
    double bytes(uint16_t slot) const; // that a launch touches of it
    // The loop of a pointwise instruction, by the operands that are scalars; null where none is
    // built.
    ApplyFn loop(const Instruction &in, unsigned scalars) const;

  private:
    bool has_alike; // may values be the same in all tiles?

    bool finds_alike() const;
    bool varies_along_lines_alone(uint16_t r) const;
    bool is_part_of_much(uint16_t slot) const;
    bool is_one_loop() const;
    bool goes_twice() const;
};

} // namespace gint
