// Chains: consecutive arithmetic of which each result is the next instruction's operand and nobody
// else's becomes one step (see loops/chain.cpp). At most one chain is open at a time; while it
// is, its operands keep their places, and only expansions may be emitted before it.
#pragma once

#include "schedule/registers.h"

namespace gint {

// How the elements of a storage-only type lie in memory, seen by a chain.
inline ChainForm form_of(uint8_t type) { return type == GI_f16 ? CHAIN_F16 : CHAIN_BF16; }

class Chains {
  public:
    Chains(const Inputs &inputs, const Liveness &lives, Places &places, Registers &registers,
           Steps &steps);

    // Takes the instruction into a chain, the open one or a new one; false where it is none for
    // chains.
    bool take(const Instruction &in, uint32_t at);
    // The same of a choice together with the comparison it goes by: SelectFn's operands. All of
    // them are of the tile's shape, or wider.
    void take_choice(const Instruction &by, const Instruction &in, uint32_t at);
    // Is the instruction at this position the open chain's last?
    bool ends_at(uint32_t at) const { return is_open && last_at == at; }
    // Is what the store writes, in this shape, the open chain's result, and nobody else's?
    bool is_all_of(const Instruction &store, uint8_t shape) const;

    // The open chain's step, if there is one: its result goes where results go,
    void close();
    // to a slot,
    void store(uint16_t slot_place, bool streamed, ChainForm form);
    // or into an accumulator, where `reduction` is all that reads it and tiles are pieces of one
    // row, or lines that are folded onto one another; false where it is not so.
    bool fold(const Instruction &reduction, const Accumulator &acc, uint16_t accumulator);

    std::vector<Chain> take_closed() { return std::exchange(closed, {}); } // of the section

  private:
    const Inputs &inputs;
    const Liveness &lives;
    Places &places;
    Registers &registers;
    Steps &steps;
    std::vector<Chain> closed;

    bool is_open = false; // what follows is the open chain's
    Chain chain;
    uint32_t last_at = 0;             // the instruction whose result it has so far
    std::vector<uint16_t> last_reads; // registers to release once it has been emitted

    uint16_t result_register() const { return lives.instruction(last_at).d; }
    int extended_operand(const Instruction &in) const;
    bool is_chainable(const Instruction &in, int acc) const;
    struct Selection {
        uint16_t reads[4], comparison;
        unsigned scalars; // SelectFn's
    };
    Selection selection(const Instruction &by, const Instruction &in) const;
    void emit_select(const Selection &s, const Instruction &in, uint32_t at);
    void add_select(uint16_t d, const uint16_t from[4], Operation what, SelectFn select);
    bool extends_by_choice(const Instruction &by, const Instruction &in) const;
    void begin(uint8_t type, uint16_t start);
    size_t arguments() const { return chain.links.size() + 3 * chain.choices.size(); }
    uint16_t operand(uint16_t r, ChainForm &form);
    Chain::Link make_link(const Instruction &in, int acc, uint32_t at);
    bool can_keep() const;
    void add_keep(uint32_t reads);
    void leave();
    void finish(uint16_t d, bool streamed, ChainForm form);
    void emit(uint16_t d, bool streamed, ChainForm form);
    bool is_of_signs(ChainForm form) const;
    void emit_of_signs(uint16_t d);
    bool is_one_loop() const;
    void add_step(Step::Kind kind, uint16_t d, Operation what = {}); // `what` a chain ends in
    ChainRun choose_run() const;
    void join_pairs();
    bool starts_better(uint16_t first, uint16_t second) const;
    bool folds_rows() const;
    bool is_shifted(const Instruction &in, int acc, uint32_t at) const;
    bool has_short_rows() const;
    WholeFold whole_of(const ChainFold &fold) const;
};

} // namespace gint
