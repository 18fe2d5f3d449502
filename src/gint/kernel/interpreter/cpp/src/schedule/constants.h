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

    // `has_points`: whether the section runs at all. What is computed for no point is no error;
    // what needs none is.
    void add(const Instruction &in, bool has_points);
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
