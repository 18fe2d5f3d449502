// Scans: the running folds of a section, and the steps that carry them on.
#pragma once

#include "schedule/chains.h"

namespace gint {

class Scans {
  public:
    Scans(const Inputs &inputs, Places &places, Registers &registers, Steps &steps, Chains &chains);

    // Memory for what all scans of the section carry; before its temporaries.
    void begin_section(const Section &section);
    // The section's next scan.
    void add(const Instruction &in, uint32_t at);

    std::vector<Scan> take() { return std::exchange(scans, {}); } // of the section

  private:
    const Inputs &inputs;
    Places &places;
    Registers &registers;
    Steps &steps;
    Chains &chains;
    std::vector<Scan> scans;
    std::vector<size_t> carried; // where in the frame, by instruction of the section

    // The axis of the layout that scans run along, or -1 where its extent is 1.
    int axis() const;
    // The bit of a Shape that this axis is in a tile, or UNIFORM.
    uint8_t along() const;
};

} // namespace gint
