// What kind of work a program does under a layout, as far as the shape of its tiles depends on it.
// Knows instructions by what they read and what they cost. Does not choose.
#pragma once

#include <utility>

#include "layout/layout.h"

namespace gint {

class Work {
  public:
    Work(const Program &program, const Binding &binding, const Layout &layout)
        : p(program), binding(binding), layout(layout) {}

    // Bytes of a slot that a launch touches.
    double bytes(size_t n) const;

    // One operation, or none, on memory without gaps: beginning a tile is the only cost beside it.
    bool is_one_loop() const;

    // Nothing but one fold of what is loaded, row by row: again, beginning a tile is the only cost.
    bool is_one_fold() const;

    // Lines that are copied, from elsewhere or from where positions say: nothing is computed of
    // their elements. What goes past the caches lies in the frame first, a line at a time.
    bool copies_lines() const;

    // Bytes of the narrowest type that is stored; of the widest there is.
    int64_t narrowest_stored() const;
    int64_t widest() const;

    // Do lines follow one another without gaps in every operand, or is it one line for all of them,
    // as weights are? Then several of them are a tile, in which the one line is repeated once.
    // (One operation does as well on a line at a time: its weights stay in the first cache.)
    bool lines_go_on() const;

    // Bytes that a launch reads of one line and column.
    int64_t column_bytes() const;

    // Lines of a gather at few positions are copies, which cost less than beginning a tile. Where
    // each element has a position of its own, many lines of them would not stay in the cache.
    bool gathers_lines() const;

    // Does it scan by a function that costs much? Such rows are gone through side by side. (Rows of
    // sums and extremes are not: many short pieces of lines keep memory waiting.)
    bool scans_at_a_cost() const;

    // How often the tile is gone through.
    int passes() const;

    // Then lines are folded where they lie, and only the result needs room in the first cache.
    bool folds_what_it_loads() const;

    // Does every element of a tile of rows have operands of its own, without gaps, for one fold?
    bool folds_whole_tiles(int inner) const;

    // Are rows of one operand folded twice and no more, by what chains can do, as for a variance?
    // What varies along rows alone is an operand as it is then. (Where rows are written too, or
    // there are more of them, the memory is idle for longer: one at a time, each is on its way
    // while the one before is computed.)
    bool folds_rows_twice(int inner) const;

  private:
    const Program &p;
    const Binding &binding;
    const Layout &layout; // while it is made: its axes are there, and its tile as far as chosen

    double elements(size_t n) const;

    // What computes, and what reads or writes halves.
    std::pair<int, int> operations_and_halves() const;

    // One fold of a long row, or of two, by one chain: no value of the tile lies in memory. (What
    // costs more than MOST_COST may have no link, and hides what a tile costs.)
    bool folds_one_chain() const;

    // Are whole lines written, each where the one before ends?
    bool writes_lines() const;
};

} // namespace gint
