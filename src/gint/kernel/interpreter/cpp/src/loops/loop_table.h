// The loops an instruction set offers, as a table of functions. Filled by loops/*.cpp, once per
// instruction set; read by schedule/ and run/. Knows types and opcodes, not programs.
//
// This header is all that units of different instruction sets share: plain structs, no inline
// function and no template, so that the linker has nothing to merge.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa.inc"

namespace gint {

// d[i] <- f(a[i], b[i], c[i]) for i < n; an operand that is a scalar in this variant is read once.
// d may be the very same elements as an operand. Bits are or-ed into *error.
using ApplyFn = void (*)(size_t n, void *d, const void *a, const void *b, const void *c,
                         int32_t *error);

// Bits of the variant of an ApplyFn: which operands are scalars.
enum ScalarOperand : unsigned { SCALAR_A = 1, SCALAR_B = 2, SCALAR_C = 4 };

// d[i] <- x[i] or, where a[i] does not compare with b[i], y[i]. Scalars in this order: b, x, y.
using SelectFn = void (*)(size_t n, void *d, const void *a, const void *b, const void *x,
                          const void *y);
constexpr size_t COMPARISONS = GI_OP_GE - GI_OP_NE + 1; // they follow one another in the table

// Moves between a packed tile of (rows, cols) and elements at strides, counted in elements.
using GatherFn = void (*)(size_t rows, size_t cols, void *d, const void *s, ptrdiff_t row_stride,
                          ptrdiff_t col_stride);
using ScatterFn = GatherFn; // d is strided, s packed
// d[x * d_stride + y] <- s[y * s_stride + x] for x < rows, y < cols
using TransposeFn = void (*)(size_t rows, size_t cols, void *d, ptrdiff_t d_stride, const void *s,
                             ptrdiff_t s_stride);

// Positions along an indexed axis: one per element of a tile, `row_stride` from line to line and 1
// or 0 from column to column; or one per line. `step` elements of memory apart.
struct Positions {
    const int64_t *at; // null: none
    ptrdiff_t row_stride, col_stride, step;
    int64_t extent;
};
// Where a lookup reads: in line and column of `from`, as far on as the positions say.
struct LookupTile {
    const void *from;
    ptrdiff_t row_stride, col_stride; // in elements
    Positions lines, elements;        // of `elements` col_stride is 1
    bool is_checked;                  // or else `elements` are before each line is read
};
// False where one was outside; what d holds is then nothing.
using LookupFn = bool (*)(size_t rows, size_t cols, void *d, const LookupTile &tile);

// Where a window reads: in line i and column j of `from`, if all positions first + i * per_row + j
// * per_col are inside.
struct WindowTile {
    const void *from;
    ptrdiff_t row_stride, col_stride; // in elements
    int count;
    struct Along {
        int64_t first, per_row, per_col, extent;
    } along[GI_MAX_INDICES];
    const void *outside; // an element
};
// d <- the tiles combined one after the other; lines of d are d_stride apart. Columns of tiles are
// one element apart, what stands for elements outside is one for all, and `spare` has room for a
// line.
constexpr size_t MOST_STENCIL_TILES = 32;
using StencilFn = void (*)(size_t rows, size_t cols, void *d, ptrdiff_t d_stride,
                           const WindowTile *tiles, size_t count, void *spare);
using WindowFn = void (*)(size_t rows, size_t cols, void *d, const WindowTile &tile, bool inside);

// Folds rows, row_stride apart: d[i] <- fold of s[i, 0..cols).
using FoldRowsFn = void (*)(size_t rows, size_t cols, void *d, const void *s, ptrdiff_t row_stride);
// Folds down columns: d[j] <- fold of (d[j] unless fresh), s[0..rows, j]; rows are row_stride
// apart.
using FoldColsFn = void (*)(size_t rows, size_t cols, void *d, const void *s, ptrdiff_t row_stride,
                            bool fresh);
// d[i] <- fold(d[i], s[i])
using FoldFn = void (*)(size_t n, void *d, const void *s);
using FillFn = void (*)(size_t n, void *d);

// How an operand, the start or the result of a chain, or what is folded lies in memory.
enum ChainForm : uint8_t {
    CHAIN_PACKED, // elements of the type computed with
    CHAIN_SCALAR, // one for all; operands of chains only
    CHAIN_F16,    // elements of another type; with f32 alone
    CHAIN_BF16,
    CHAIN_FORMS
};

struct Reduction {
    FoldRowsFn rows[CHAIN_FORMS]; // by the form of what is folded; null where there is none
    FoldColsFn cols[CHAIN_FORMS];
    FoldRowsFn count; // of sums: bools, those that are true
    FoldFn merge;
    FillFn neutral;
};

// Running folds of a packed tile, which goes on where `carry` says (one element each of the type
// carried) or, if fresh, begins; `carry` is then what the next tile goes on from. d may be s.
struct ScanLoops {
    // d[i, j] <- fold of carry[i], s[i, 0..j]
    void (*rows)(size_t rows, size_t cols, void *d, const void *s, void *carry, bool fresh);
    // d[i, j] <- fold of carry[j], s[0..i, j]
    void (*cols)(size_t rows, size_t cols, void *d, const void *s, void *carry, bool fresh);
};

// Indices that need not be computed: that of element j of what is folded is first + j / width *
// per_line + j % width * per_element. They increase with j.
struct Indices {
    int64_t first, per_line, per_element;
    size_t width;
};

// The same for pairs of value and index (i64); rows are packed, or row_stride apart.
struct IndexReduction {
    void (*rows)(size_t rows, size_t cols, void *d, int64_t *di, const void *s, const int64_t *si);
    void (*cols)(size_t rows, size_t cols, void *d, int64_t *di, const void *s, const int64_t *si,
                 bool fresh);
    void (*find_rows)(size_t rows, size_t cols, void *d, int64_t *di, const void *s,
                      ptrdiff_t row_stride, const Indices &indices);
    void (*find_cols)(size_t rows, size_t cols, void *d, int64_t *di, const void *s,
                      ptrdiff_t row_stride, const Indices &indices, bool fresh);
    void (*merge)(size_t n, void *d, int64_t *di, const void *s, const int64_t *si);
    void (*neutral)(size_t n, void *d, int64_t *di);
};

// Chains of arithmetic in vector registers (loops/chain.cpp). x is the accumulator, y an operand; a
// ChainOp says what an opcode does to them.
constexpr ChainOp CHAIN_SQUARE = CHAIN_MUL_SELF; // x * x, which folds of squares end in

using ChainLink = void (*)(); // in truth a function of vector registers

// What a link works on: packed elements, or a scalar.
struct ChainArgument {
    ChainLink link;
    const void *operand;
};

// A choice is a link of four arguments: a[i] compared with the scalar b ? x[i] : y[i].
constexpr unsigned CHOICE_OPERANDS = 4;
// How one of a, x and y lies; one of them is the accumulator.
enum ChoiceForm : uint8_t { CHOICE_ACCUMULATOR, CHOICE_SCALAR, CHOICE_PACKED, CHOICE_BF16 };
using ChoiceLinks = ChainLink[4][4][4]; // by the form of a, of x, of y; null where there is none

// The commonest chains that are folded, each as one loop: of s[i]^2; of (s[i] - t)^2 with one t a
// row; of s[i] * t[i]; of (s[i] - t[i])^2; of s[i], NaN as 0.
enum WholeFold : uint8_t {
    WHOLE_NONE,
    WHOLE_SQUARES,
    WHOLE_SHIFTED,
    WHOLE_PRODUCTS,
    WHOLE_DISTANCES,
    WHOLE_NUMBERS,
    WHOLE_FOLDS
};

// The end of a chain that is folded. One row of a reduction: partial results in lanes, combined in
// the order that Reduction::rows has. A line that is folded onto others, column by column: `onto`.
struct ChainFold {
    ChainLink onto; // its operand: the results so far
    ChainLink link; // its operand: the lanes, of FOLD_BYTES; null where there is none
    void (*begin)(void *lanes);
    void (*add)(size_t n, void *lanes, const void *s); // what comes behind the last whole block
    void (*end)(void *d, void *lanes);
    // A whole chain on rows of n elements that lie one behind the other, by the form of s: their
    // lanes stay in registers. From one row to the next t goes on by `per_row` bytes.
    void (*whole[WHOLE_FOLDS][CHAIN_FORMS])(size_t rows, size_t n, void *d, const void *s,
                                            const void *t, ptrdiff_t per_row);
};
constexpr size_t FOLD_BYTES = 256; // a shorter row is not for lanes

// The first argument is where the accumulator starts, the last one a store.
using ChainRun = void (*)(const ChainArgument *arguments, size_t first_block, size_t last_block);

// Operands that a chain reads from memory: a line of each by turns is asked for before the block
// that is `apart` bytes further on reaches it. Eight lines of one and then of the next, as blocks
// read them, are no streams to the CPU.
constexpr int MOST_AHEAD = 4;
struct ChainAhead {
    int count;
    struct Stream {
        const char *from;
        ptrdiff_t apart;
        bool halves;
    } of[MOST_AHEAD];
};
using ChainRunAhead = void (*)(const ChainArgument *arguments, size_t first_block,
                               size_t last_block, const ChainAhead &ahead);

struct ChainLoops {
    unsigned block_log2; // elements that a chain works on at once; 0: none for this type
    // By the form of the start, of the operand, of the result; null where one is not built.
    ChainRun run[CHAIN_FORMS];
    ChainRunAhead run_ahead[CHAIN_FORMS];
    ChainLink link[CHAIN_OPS][CHAIN_FORMS]; // null where an opcode is not written for vectors
    ChoiceLinks choose[COMPARISONS];        // from GI_OP_NE on
    ChainLink store[CHAIN_FORMS], store_stream;
    // Two links at once, of packed operands and scalars; null where the pair is not built. Its
    // second argument's link is not looked at.
    ChainLink pair[CHAIN_OPS][2][CHAIN_OPS][2];
    // A whole chain of two links and a plain store, as one loop; null where it is not built.
    ChainRun run_pair[CHAIN_OPS][2][CHAIN_OPS][2];
    ChainFold fold[GI_OPCODE_COUNT];
};

struct LoopTable {
    ApplyFn apply[GI_OPCODE_COUNT][GI_TYPE_COUNT][8]; // [opcode][type][scalar operands]
    ApplyFn cast[GI_TYPE_COUNT][GI_TYPE_COUNT];       // [to][from]
    ApplyFn widen[GI_TYPE_COUNT];                     // a storage-only type to f32
    ApplyFn narrow[GI_TYPE_COUNT];                    // f32 to a storage-only type
    ChainLoops chain[GI_TYPE_COUNT];                  // f32 and f64; elsewhere empty
    Reduction reduce[GI_OPCODE_COUNT][GI_TYPE_COUNT];
    IndexReduction reduce_index[GI_OPCODE_COUNT][GI_TYPE_COUNT];
    ScanLoops scan[GI_OPCODE_COUNT][GI_TYPE_COUNT];
    // By log2 of the element size:
    GatherFn gather[4];
    ScatterFn scatter[4];
    TransposeFn transpose[4];
    LookupFn lookup[4];
    WindowFn window[4];
    SelectFn select[COMPARISONS][GI_TYPE_COUNT][8];    // [from GI_OP_NE on][type][scalar operands]
    StencilFn stencil[GI_OPCODE_COUNT][GI_TYPE_COUNT]; // null where there is none
    bool (*are_inside)(size_t n, const int64_t *positions, int64_t extent);
    // sums[i, j] <- (sums[i, j] if `add`) + step * position
    void (*add_positions)(size_t rows, size_t cols, int64_t *sums, const Positions &p, bool add);
    void (*fill)(size_t size_log2, size_t n, void *d, const void *s); // d[i] <- s[0]
    // d[i, j] <- s[i]: a value per row, repeated along the row
    void (*repeat_each)(size_t size_log2, size_t rows, size_t cols, void *d, const void *s);
    void (*iota)(size_t n, int64_t *d, int64_t first);
    void (*prefetch)(size_t bytes, const void *s); // into the second cache; any address will do
    // A copy past the caches; what it wrote is ordered before later stores by `stream_end`.
    void (*stream)(size_t bytes, void *d, const void *s);
    void (*stream_end)();
};

} // namespace gint
