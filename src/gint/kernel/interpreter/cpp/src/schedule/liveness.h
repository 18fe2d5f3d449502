// A section seen as a whole: how often and until when its registers are read, what it loads and
// stores. Positions are instructions of the section. Does not know places or steps.
#pragma once

#include <algorithm>

#include "schedule/inputs.h"

namespace gint {

class Liveness {
  public:
    explicit Liveness(const Inputs &inputs);

    void enter(const Section &section);

    const Section &section() const { return *subject; }
    const Instruction &instruction(uint32_t at) const {
        return inputs.program.code[subject->first + at];
    }
    const Role &role(uint32_t at) const { return inputs.facts.roles[subject->first + at]; }

    // Of the section's registers and its operands: the last position that reads it, and how often
    // it is read.
    uint32_t last_use(uint16_t r) const { return lives[r].last_use; }
    // It is read then too, by a step that is put off.
    void keep_until(uint16_t r, uint32_t at) {
        lives[r].last_use = std::max(lives[r].last_use, at);
    }
    uint32_t uses(uint16_t r) const { return lives[r].uses; }
    // The first store of a register of the section, or -1.
    int first_store(uint16_t r) const { return lives[r].first_store; }
    // Are its values read by reductions along lines or down columns alone, and lines without gaps?
    bool is_only_folded(uint16_t r) const;

    // Is all that reads it a pointwise instruction, whose loops take any byte but 0 for true?
    bool is_only_computed_with(uint16_t r) const;

    const std::vector<uint32_t> &loads() const { return load_positions; }
    const std::vector<uint32_t> &stores() const { return store_positions; }
    bool shares_elements(uint32_t at, uint16_t slot) const { // of a load or store
        return inputs.groups[instruction(at).n] == inputs.groups[slot];
    }
    int stores_to(uint16_t slot) const;
    // Is something stored to the same elements before the last use of what is loaded?
    bool is_overwritten(const Instruction &load, uint32_t at) const;

  private:
    struct Life { // of a register
        uint32_t last_use = 0, uses = 0;
        int first_store = -1;
    };

    const Inputs &inputs;
    const Section *subject = nullptr;
    std::vector<Life> lives;
    std::vector<uint32_t> load_positions, store_positions;
};

} // namespace gint
