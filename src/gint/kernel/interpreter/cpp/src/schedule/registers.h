// Where the values of registers lie while the steps of a section are made: each in a place of its
// own shape, expanded to a larger shape once where an instruction wants it so.
#pragma once

#include "schedule/liveness.h"
#include "schedule/places.h"
#include "schedule/steps.h"

namespace gint {

class Registers {
  public:
    Registers(const Inputs &inputs, const Liveness &lives, Places &places, Steps &steps);

    void begin_section();
    void end_section(); // expansions and what is read in place hold within one section only

    uint16_t place(uint16_t r) const { return state[r].place; }
    ChainForm form(uint16_t r) const { return state[r].form; }           // of the elements there
    int64_t row_stride(uint16_t r) const { return state[r].row_stride; } // in elements; 0: packed
    // The place of its values as elements of its type, in `shape`.
    uint16_t operand(uint16_t r, uint8_t shape);
    void expand(uint16_t r, uint8_t shape, uint16_t place);
    // What lies at `from` in its own shape, elements of `size` bytes, goes to `place` in another.
    void expand_from(uint16_t from, uint8_t own, uint8_t shape, size_t size, uint16_t place);

    // The value lies there already.
    void put(uint16_t r, uint16_t place) { state[r].place = place; }
    void read_in_place(uint16_t r, uint16_t slot_place, ChainForm form, int64_t row_stride);
    // At `pointer`, which may point to memory that must not change, or to `temporary`.
    void read_at(uint16_t r, uint16_t pointer, uint16_t temporary, ChainForm form);
    // Where the result of an instruction goes: a place that outlives the section, the kept row, the
    // output itself, or a temporary; the first of these that applies.
    uint16_t result(const Instruction &in, uint32_t at);
    uint16_t kept_row(uint32_t at);
    // A temporary that nothing else lies in, for a value that is stored before its operands end.
    uint16_t own(uint16_t r);

    // Is the store at this position done before its turn?
    bool is_stored(uint32_t at) const { return store_done[at]; }
    void mark_stored(uint32_t at) { store_done[at] = true; }

    // Gives back what holds the register, or all registers that are read here for the last time.
    void release(uint16_t r);
    void release_dead(uint32_t at);

  private:
    struct State {
        uint16_t place = NO_PLACE;                                       // in its own shape
        uint16_t expanded[4] = {NO_PLACE, NO_PLACE, NO_PLACE, NO_PLACE}; // in larger ones
        bool lasts[4] = {};       // and are these what several tiles read?
        bool owned = false;       // a temporary of its own
        uint16_t lent = NO_PLACE; // a temporary for `place`
        bool in_place = false;    // lies in a slot
        ChainForm form = CHAIN_PACKED;
        int64_t row_stride = 0;
    };

    const Inputs &inputs;
    const Liveness &lives;
    Places &places;
    Steps &steps;
    std::vector<State> state;
    std::vector<bool> store_done; // per position in the section

    When when_expanded(uint16_t r, uint8_t shape) const;
    void widen(uint16_t r);
    int direct_store(const Instruction &in, uint32_t at) const;
    void lend_operands(const Instruction &in, uint32_t at);
};

} // namespace gint
