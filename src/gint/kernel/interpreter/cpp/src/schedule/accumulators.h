// Reductions: an accumulator for each of a section, and the steps that fold into them.
#pragma once

#include <map>

#include "schedule/chains.h"

namespace gint {

class Accumulators {
  public:
    Accumulators(const Inputs &inputs, Liveness &lives, Places &places, Registers &registers,
                 Steps &steps, Chains &chains);

    // Memory for all reductions of the section; before its temporaries.
    void begin_section(const Section &section);
    // Puts off the widening of bools that are only counted, by the next `reduce` of the result.
    bool put_off(const Instruction &in, uint32_t at);
    // The section's next reduction.
    void reduce(const Instruction &in, uint32_t at);

    std::vector<Accumulator> take() { return std::exchange(accumulators, {}); } // of the section

  private:
    const Inputs &inputs;
    Liveness &lives;
    Places &places;
    Registers &registers;
    Steps &steps;
    Chains &chains;
    std::vector<Accumulator> accumulators;
    uint16_t next = 0;
    std::map<uint16_t, uint16_t> counted; // bools by the register they would be widened to

    void add(const Instruction &in);
    void count(const Instruction &in, uint32_t at, uint16_t number);
    ChainForm form_folded(const Instruction &in, uint8_t shape) const;
};

} // namespace gint
