// Values that depend on parameters and extents alone: computed once per launch, into a pool that
// all workers read.
#pragma once

#include "schedule/registers.h"

namespace gint {

// The first bytes of its value, of the type of the instruction.
uint64_t immediate(const Instruction &in);

class Constants {
  public:
    Constants(const Inputs &inputs, Places &places, Registers &registers);

    void add(const Instruction &in);
    void finish(Schedule &out);

  private:
    const Inputs &inputs;
    Places &places;
    Registers &registers;
    std::vector<Step> prologue;
    std::vector<std::pair<uint16_t, size_t>> params; // as Schedule::param_at

    uint64_t bits_of(const Instruction &in) const;
};

} // namespace gint
