// Gathers: loads at positions that registers give, which are checked as they run.
#pragma once

#include "schedule/moves.h"

namespace gint {

class Lookups {
  public:
    Lookups(const Inputs &inputs, const Liveness &lives, Places &places, Registers &registers,
            Steps &steps, Chains &chains, const Moves &moves);

    void add(const Instruction &in, uint32_t at);

    std::vector<Lookup> take() { return std::exchange(lookups, {}); } // of the section

  private:
    const Inputs &inputs;
    const Liveness &lives;
    Places &places;
    Registers &registers;
    Steps &steps;
    Chains &chains;
    const Moves &moves;
    std::vector<Lookup> lookups;

    Lookup make(const Instruction &in) const;
    void read(const Instruction &in, Lookup lookup, uint16_t d);
    bool pass_on(const Instruction &in, uint32_t at, const Lookup &lookup);
};

} // namespace gint
