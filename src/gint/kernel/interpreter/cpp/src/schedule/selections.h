// Choices by a comparison that nobody else reads: both are one step, without a mask in memory. The
// comparison is put off until the choice.
#pragma once

#include <map>

#include "schedule/chains.h"

namespace gint {

class Selections {
  public:
    Selections(const Inputs &inputs, Liveness &lives, Chains &chains);

    void begin_section() { put_off_at.clear(); }
    // Puts off a comparison, whose operands keep their places; false where it is not read by
    // choices alone, or has no such step.
    bool put_off(const Instruction &in, uint32_t at);
    // The choice, if its comparison was put off.
    bool choose(const Instruction &in, uint32_t at);

  private:
    const Inputs &inputs;
    Liveness &lives;
    Chains &chains;
    std::map<uint16_t, uint32_t> put_off_at; // comparisons by their results

    bool has_loops(const Instruction &in) const;
    bool leads_to_choices(const Instruction &in, uint32_t at) const;
};

} // namespace gint
