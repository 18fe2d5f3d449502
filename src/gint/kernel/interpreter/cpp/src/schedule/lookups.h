// Gathers: loads at positions that registers give, which are checked as they run; those at linear
// positions are windows.
#pragma once

#include "schedule/moves.h"

namespace gint {

class Lookups {
  public:
    Lookups(const Inputs &inputs, const Liveness &lives, Places &places, Registers &registers,
            Steps &steps, Chains &chains, const Moves &moves);

    void add(const Instruction &in, uint32_t at);
    // Between neighbours along an axis of the layout, in elements.
    int64_t stride_of(uint16_t slot, const WindowRead &window, int axis) const;
    WindowRead window_of(const Instruction &in, const WindowPositions &positions);

    std::vector<Lookup> take() { return std::exchange(lookups, {}); } // of the section
    std::vector<WindowRead> take_windows() { return std::exchange(windows, {}); }

  private:
    const Inputs &inputs;
    const Liveness &lives;
    Places &places;
    Registers &registers;
    Steps &steps;
    Chains &chains;
    const Moves &moves;
    std::vector<Lookup> lookups;
    std::vector<WindowRead> windows;

    Lookup make(const Instruction &in);
    void read(const Instruction &in, Lookup lookup, uint16_t d);
    void add_window(const Instruction &in, uint32_t at, const WindowPositions &positions);
    uint16_t outside(const Instruction &in);
    int stored_alone(const Instruction &in, uint32_t at);
};

} // namespace gint
