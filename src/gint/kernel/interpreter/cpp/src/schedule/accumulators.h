// Reductions: an accumulator for each of a section, and the steps that fold into them.
#pragma once

#include "schedule/chains.h"

namespace gint {

class Accumulators {
  public:
    Accumulators(const Inputs &inputs, Places &places, Registers &registers, Steps &steps,
                 Chains &chains);

    // Memory for all reductions of the section; before its temporaries.
    void begin_section(const Section &section);
    // The section's next reduction.
    void reduce(const Instruction &in);

    std::vector<Accumulator> take() { return std::exchange(accumulators, {}); } // of the section

  private:
    const Inputs &inputs;
    Places &places;
    Registers &registers;
    Steps &steps;
    Chains &chains;
    std::vector<Accumulator> accumulators;
    uint16_t next = 0;

    void add(const Instruction &in);
    ChainForm form_folded(const Instruction &in, uint8_t shape) const;
};

} // namespace gint
