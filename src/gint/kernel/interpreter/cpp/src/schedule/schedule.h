// A program made ready for one layout: for every section the steps to run per tile, with every
// operand resolved to a place. Made once per shape, shared by all threads, never changed.
#pragma once

#include <memory>

#include "layout/analysis.h"
#include "loops/loop_table.h"

namespace gint {

// What an operand or result varies over within a tile, as bits: 0 one value, ROWS one per row, COLS
// one per column, ROWS | COLS one per element. Also the index of its number of elements.
enum Shape : uint8_t { UNIFORM = 0, ROWS = 1, COLS = 2, FULL = 3 };

constexpr uint16_t NO_PLACE = 0xFFFF;

// Where a value lies; a worker holds a pointer per place.
struct Place {
    enum Kind : uint8_t { FRAME, CONSTANT, SLOT, KEPT, SCRATCH } kind;
    uint8_t size_log2; // of an element
    uint8_t type;      // of a CONSTANT
    size_t at; // byte offset in the worker's frame, or in the pool (CONSTANT); SLOT: in `touched`
};

// X(kind, meaning): `p` are places, `n` an accumulator or a chain.
#define GINT_STEP_KINDS(X)                                                                         \
    X(APPLY, "p[d] <- apply(p[a], p[b], p[c])")                                                    \
    X(GATHER, "p[d] <- the tile at p[a] with strides")                                             \
    X(SCATTER, "the tile at p[d] with strides <- p[a]")                                            \
    X(TRANSPOSE, "the tile at p[d] <- the tile at p[a], each packed along the other's strides")    \
    X(COPY, "p[d] <- p[a]")                                                                        \
    X(STREAM, "the same past the caches")                                                          \
    X(STREAM_ROWS, "the lines at p[d], row_stride apart, <- p[a], past the caches")                \
    X(FILL, "p[d] <- the one value at p[a]")                                                       \
    X(REPEAT_ROWS, "p[d] <- each value of p[a] along its row")                                     \
    X(REPEAT_COLS, "p[d] <- the line p[a] in every row")                                           \
    X(LOOKUP, "p[d] <- the elements of p[a] at the positions of lookup n")                         \
    X(WINDOW, "p[d] is the tile at window n of p[a]: in p[b], or where it lies if it is packed")   \
    X(STENCIL, "p[d] <- the tiles of stencil n, combined one after the other")                     \
    X(SELECT, "p[d] <- p[c] where p[a] compares with p[b], else p[n]")                             \
    X(IOTA, "p[d] <- position along `axis` and following")                                         \
    X(BELOW, "p[d] <- is linear function n of the position negative?")                             \
    X(SCAN, "p[d] <- p[a] folded so far, by scan n")                                               \
    X(CHAIN, "p[d] <- chain n of p[a]")                                                            \
    X(CHAIN_FOLD, "accumulator d folds chain n of p[a], a row")                                    \
    X(REDUCE, "accumulator n folds p[a] (and the indices p[b])")

struct Step {
    enum Kind : uint8_t {
#define GINT_KIND(KIND, MEANING) KIND,
        GINT_STEP_KINDS(GINT_KIND)
#undef GINT_KIND
    } kind;
    uint8_t shape;     // of the result
    uint8_t size_log2; // of an element moved
    uint8_t type;      // with `op` the instruction that APPLY, REDUCE or the end of CHAIN_FOLD is,
                       // or the comparison of SELECT
    uint16_t d, a, b, c;
    uint16_t n; // accumulator, chain, lookup, window or stencil; axis of IOTA; a place of SELECT;
                // TRANSPOSE: do the lines of p[d] run along rows
    uint16_t op;
    union {
        ApplyFn apply;
        SelectFn select;
        GatherFn move;
        TransposeFn transpose;
        FoldRowsFn fold_rows; // of REDUCE, by what the accumulator folds
        FoldColsFn fold_cols;
    };
    // In elements, of moves and of a strided operand of REDUCE; TRANSPOSE: between lines of p[d],
    // of p[a].
    int64_t row_stride, col_stride;
};

// What the next block of the parallel grid will read from a slot, `distance` bytes on. Asked for
// while this block is computed, a few lines at a time: a core can wait for some twenty lines at
// once, and would stall at the next.
struct Prefetch {
    uint16_t place;
    uint8_t shape, size_log2;
    int64_t distance;
};

// A block of a chain in any instruction set; a chain's scratch holds two.
constexpr size_t BLOCK_BYTES = 512;

// Arithmetic in vector registers: from `start`, through the links.
struct Chain {
    struct Link {
        ChainLink link;   // this operation, or this one and the next
        ApplyFn one;      // the same operation as a loop, for what does not fill a block; of
                          // CHAIN_KEEP and CHAIN_CHOOSE none
        uint16_t operand; // place, if any
        ChainOp op;
        ChainForm form;             // of the operand
        bool per_row;               // one value of the operand for each row
        bool acc_first, acc_second; // which operands of `one` are the accumulator
    };
    // x where a compares with b, else y: the operands of a CHAIN_CHOOSE, whose `operand` is its
    // number. No place: the accumulator.
    struct Choice {
        uint16_t place[CHOICE_OPERANDS]; // of a, b, x, y
        ChainForm form[CHOICE_OPERANDS];
        SelectFn one;
        uint16_t comparison; // the opcode
    };
    std::vector<Link> links;
    std::vector<Choice> choices;
    ChainRun run; // of whole blocks
    uint8_t type;
    bool streamed; // the result goes past the caches
    bool by_rows;  // each row on its own: some operand is one value per row
    uint16_t start, scratch;
    ChainForm start_form, result_form;
    const ChainFold *fold; // the result is not stored but folded; or null
    WholeFold whole;       // the links are those of one of its loops

    struct Ahead { // an operand read from memory, asked for so many bytes ahead
        uint16_t place;
        ChainForm form;
        int64_t apart;
    };
    std::vector<Ahead> ahead;
};

// Where along the indexed axes of a slot its elements are read.
struct Lookup {
    int count;                          // of indexed axes
    uint16_t positions[GI_MAX_INDICES]; // places
    uint8_t shapes[GI_MAX_INDICES];     // of the positions
    int64_t extents[GI_MAX_INDICES];
    int64_t strides[GI_MAX_INDICES]; // in elements
    uint16_t sums;                   // place for several positions added up, of the step's shape
    bool fills;                      // what is outside is no error
    uint16_t outside;                // place of the element that stands for it
    LookupFn run;
};

// A tile of a slot whose elements lie at linear positions along its indexed axes, with one value
// for those outside.
struct WindowRead {
    int count; // of indexed axes
    Linear along[GI_MAX_INDICES];
    int64_t extents[GI_MAX_INDICES];
    int64_t strides[GI_MAX_INDICES]; // in elements
    uint16_t outside;                // place
    uint8_t size_log2;               // of an element
    WindowFn run;
};

// Tiles of slots that one opcode combines.
struct Stencil {
    struct Tile {
        uint16_t place;
        int64_t row_stride, col_stride; // in elements, indexed axes left out
        WindowRead window;              // of no indexed axis where it is a load
    };
    std::vector<Tile> tiles;
    int64_t row_stride; // of the result
    uint16_t spare;     // place of a line
    StencilFn run;
};

// A running fold, along the one reduced axis.
struct Scan {
    ScanLoops loops;
    enum : uint8_t {
        ROW,
        COLUMNS,
        TILES
    } along;         // where the next element lies: in the same line,
                     // the next line, the next tile
    int axis;        // of the layout, or -1 where there is one position
    size_t carry_at; // in the frame
};

// An accumulator of a reduce section. Tiles are folded in groups, groups pairwise: level n of a
// binary counter holds the fold of 2^n groups, `shape` elements each.
struct Accumulator {
    bool has_index, by_rows; // by_rows: the tile's lines are folded, else its columns
    bool finds_index;        // by where an element lies; else indices are an operand
    Linear indices;
    uint8_t shape;         // of the result
    uint8_t operand_shape; // of the tile folded
    uint8_t size_log2;
    uint16_t result;         // place
    int64_t tiles_per_group; // folded one after the other before they count as a partial result
    size_t levels_at, index_levels_at, level_bytes, index_level_bytes; // in the frame
    size_t partial_at, index_partial_at;                               // the open group
    Reduction fold;
    IndexReduction fold_index;
};

struct SectionSchedule {
    SectionKind kind;
    std::vector<Step> once; // what is the same in all tiles: each worker does it before the first
    std::vector<Step> per_block; // what is the same in all tiles of a block: before its first one
    std::vector<Step> steps;
    std::vector<uint16_t> slots; // places of slots that steps touch
    std::vector<uint16_t> kept;  // places that move on by a tile
    std::vector<Accumulator> accumulators;
    std::vector<Scan> scans;
    std::vector<Chain> chains;
    std::vector<Lookup> lookups;
    std::vector<WindowRead> windows;
    std::vector<Stencil> stencils;
    std::vector<Linear> linears;
    std::vector<Prefetch> prefetches;
    uint32_t pauses = 0; // points within a tile at which some of them are issued
    double cost = 0;     // per element, see op_cost
};

// The tiles of some axes in order: `count` pieces of `step` along each, the last axis fastest.
struct Grid {
    int rank = 0;
    int axis[MAX_AXES];
    int64_t step[MAX_AXES], count[MAX_AXES];
    int64_t total = 1;
};

struct Schedule {
    Layout layout;
    std::vector<Place> places;
    std::vector<Step> prologue; // values that depend on parameters and extents alone
    std::vector<SectionSchedule> sections;
    Grid parallel, reduced;
    const LoopTable *loops;
    size_t frame_bytes = 0;
    size_t shared_at = 0, shared_bytes = 0; // of the frame: what one section leaves to later ones
    int64_t tiles_per_group = 1;
    int64_t tiles_per_chunk = 16; // the unit by which threads share a reduction
    double work = 0;              // of a launch, in units of op_cost
    bool streams = false;
    bool shares_rows = false; // few long rows may be split over threads
    int64_t at_once = 1;      // tiles that a worker takes as one, where they go on from one another
    std::vector<uint8_t> pool;                         // constants, filled in but for parameters
    std::vector<std::pair<uint16_t, size_t>> param_at; // parameter -> offset in the pool

    struct Touched {
        uint16_t slot, place;
        uint8_t size;              // of an element
        int64_t strides[MAX_AXES]; // in bytes, per axis of the layout
    };
    std::vector<Touched> touched; // indexed by Place::at of SLOT places
};

// `groups[n]` is the slot that n shares its elements with, or n. Large outputs are streamed.
std::shared_ptr<const Schedule> make_schedule(const Program &program, const Binding &binding,
                                              const std::vector<uint16_t> &groups,
                                              const LoopTable &loops);

} // namespace gint
