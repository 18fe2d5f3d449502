// Between slots and registers: what is read in place, gathered, scattered, copied, streamed or
// transposed on its way.
#pragma once

#include "schedule/chains.h"

namespace gint {

class Moves {
  public:
    Moves(const Inputs &inputs, const Liveness &lives, Places &places, Registers &registers,
          Steps &steps, Chains &chains);

    void load(const Instruction &in, uint32_t at);
    void store(const Instruction &in, uint32_t at);

    bool uses_streams() const { return streams_used; } // any store so far
    // Is what is read for this store alone, and does nothing else in the section touch what is
    // stored?
    bool is_passed_on_alone(const Instruction &read, const Instruction &store) const;

  private:
    const Inputs &inputs;
    const Liveness &lives;
    Places &places;
    Registers &registers;
    Steps &steps;
    Chains &chains;
    bool streams_used = false;

    bool read_in_place(const Instruction &in, uint16_t source);
    void convert(const Instruction &in, uint32_t at, uint16_t source);
    bool pass_on(const Instruction &in, uint32_t at);
    bool transpose(uint16_t source, uint16_t target);
    bool copy(uint16_t source, uint16_t target);
    bool end_chain(const Instruction &in, uint16_t d);
    void narrow(const Instruction &in, uint8_t shape, bool packed, uint16_t d);
    void store_packed(const Instruction &in, uint8_t shape, uint16_t d);
    void store_strided(const Instruction &in, uint8_t shape, uint16_t d);
    // Between packed elements and a slot, one of which lies at `d`, the other one at `a`.
    void add(Step::Kind kind, uint8_t shape, uint16_t slot, uint16_t d, uint16_t a);
};

} // namespace gint
