// Sums and extremes of tiles that lie at several places of memory: found before a section's steps
// are made, so that the tiles are not gathered.
#pragma once

#include "schedule/lookups.h"

namespace gint {

class Stencils {
  public:
    Stencils(const Inputs &inputs, const Liveness &lives, Places &places, Registers &registers,
             Steps &steps, Chains &chains, const Moves &moves, Lookups &lookups);

    void begin_section();
    // Is the instruction part of a stencil?
    bool covers(uint32_t at) const { return at < covered.size() && covered[at]; }
    // The step comes with the last one.
    void add(const Instruction &in, uint32_t at);
    std::vector<Stencil> take() { return std::exchange(stencils, {}); } // of the section

  private:
    const Inputs &inputs;
    const Liveness &lives;
    Places &places;
    Registers &registers;
    Steps &steps;
    Chains &chains;
    const Moves &moves;
    Lookups &lookups;
    // By the position of what combines: the positions of the tiles, and of what combined them.
    struct Found {
        std::vector<uint32_t> tiles, covered;
        bool has_gaps = false; // between lines of a tile
    };
    std::map<uint32_t, Found> found;
    std::vector<bool> covered; // per position in the section
    std::vector<Stencil> stencils;

    bool is_tile(uint32_t at) const;
    bool is_alone(uint32_t at) const;
    bool has_gaps(uint32_t at) const;
    void extend(uint32_t at, const std::map<uint16_t, uint32_t> &defined);
    bool pass_on(const Instruction &in, uint32_t at, Stencil &stencil, uint16_t &d);
};

} // namespace gint
