#include "layout/layout.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "layout/work.h"

namespace gint {

namespace {

constexpr int64_t L1_BYTES = 24 * 1024;        // of the 32 KiB there are
constexpr int64_t L2_BYTES = 768 * 1024;       // of 1 MiB
constexpr int64_t ENOUGH_ELEMENTS = 512;       // of a tile of short lines
constexpr int64_t ONE_LOOP_BYTES = 32 * 1024;  // of a slot, in a tile with nothing between
constexpr int64_t ONE_FOLD_BYTES = 256 * 1024; // of a long row that is only folded
constexpr int64_t TRANSPOSE_SIDE = 64;         // long enough lines on both sides for TLB and memory
constexpr int64_t TINY_TILE = 64;              // elements of a transposing tile
constexpr int64_t ROWS_ELEMENTS = 32768; // of rows folded together: then a tile's own cost is small
constexpr int64_t SCANNED_ROWS = 32;     // side by side, by a function that costs much
constexpr int64_t LINES_TOGETHER = 16;   // folded column by column before partial results are

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// `extent` in equal pieces of at most `largest`.
int64_t even_piece(int64_t extent, int64_t largest) {
    if (extent <= largest) return std::max<int64_t>(extent, 1);
    const int64_t pieces = (extent + largest - 1) / largest;
    return std::min(largest, round_up((extent + pieces - 1) / pieces, 64));
}

class LayoutMaker {
  public:
    LayoutMaker(const Program &program, const Binding &b) : p(program), binding(b) {
        layout.strides.assign(p.slots.size(), {});
        std::vector<std::array<int64_t, MAX_AXES>> by_axis(p.slots.size());
        for (size_t n = 0; n < p.slots.size(); n++) {
            by_axis[n].fill(0);
            for (size_t k = 0; k < p.slots[n].axes.size(); k++)
                by_axis[n][p.slots[n].axes[k]] = binding.slots[n].strides[k];
        }
        strides = std::move(by_axis);
        for (size_t a = 0; a < p.reduced.size(); a++) {
            layout.from_program[a] = -1;
            if (binding.extents[a] != 1 && !(p.indexed >> a & 1)) axes.push_back(int(a));
        }
        extents = binding.extents;
    }

    Layout make() {
        sort_axes();
        merge_axes();
        choose_tile();
        return std::move(layout);
    }

  private:
    const Program &p;
    const Binding &binding;
    Layout layout;
    Work work{p, binding, layout};
    std::vector<std::array<int64_t, MAX_AXES>> strides; // by axis of the program
    std::vector<int64_t> extents;                       // likewise
    std::vector<int> axes;                              // of the program, to be ordered

    // Does axis x lie outside axis y in memory? Outputs decide first, then inputs in their order.
    // 1 yes, -1 no, 0 they do not say.
    int outside(int x, int y) const {
        for (bool outputs : {true, false})
            for (size_t n = 0; n < p.slots.size(); n++) {
                if (p.slots[n].stored != outputs || !p.slots[n].used) continue;
                const int64_t sx = std::llabs(strides[n][x]), sy = std::llabs(strides[n][y]);
                if (sx == 0 || sy == 0 || sx == sy) continue;
                return sx > sy ? 1 : -1;
            }
        return 0;
    }

    // Parallel axes first, then reduced ones, each from the outermost in; a stable insertion sort,
    // as `outside` is no total order.
    void sort_axes() {
        for (size_t i = 1; i < axes.size(); i++)
            for (size_t k = i; k > 0; k--) {
                const int x = axes[k - 1], y = axes[k];
                const bool wrong_kind = p.reduced[x] && !p.reduced[y];
                const bool same_kind = p.reduced[x] == p.reduced[y];
                if (!wrong_kind && !(same_kind && outside(x, y) < 0)) break;
                std::swap(axes[k - 1], axes[k]);
            }
    }

    bool can_merge(int outer, int inner) const {
        if (p.reduced[outer] != p.reduced[inner]) return false;
        if ((p.positions_read >> outer | p.positions_read >> inner) & 1) return false;
        Int128 whole;
        for (size_t n = 0; n < p.slots.size(); n++) {
            if (!p.slots[n].used) continue;
            whole = Int128(strides[n][inner]) * extents[inner];
            if (whole != strides[n][outer]) return false;
        }
        return true;
    }

    void merge_axes() {
        for (size_t k = 0; k < axes.size(); k++) {
            const int axis = axes[k];
            const bool merges = k > 0 && can_merge(axes[k - 1], axis);
            const int64_t before = merges ? extents[axes[k - 1]] : 1;
            if (!merges) layout.rank++;
            const int at = layout.rank - 1;
            layout.from_program[axis] = at;
            extents[axis] *= before; // the next one in compares with the merged axis
            layout.extent[at] = extents[axis];
            layout.reduced[at] = p.reduced[axis];
            for (size_t n = 0; n < p.slots.size(); n++)
                layout.strides[n][at] = p.slots[n].used ? strides[n][axis] : 0;
        }
    }

    // Bytes of the slots that lie along an axis without gaps; outputs count half as much again,
    // since a scattered store costs more than a gathered load.
    double unit_stride_bytes(int axis) const {
        double sum = 0;
        for (size_t n = 0; n < p.slots.size(); n++)
            if (layout.strides[n][axis] == 1) sum += work.bytes(n) * (p.slots[n].stored ? 1.5 : 1);
        return sum;
    }

    void choose_tile() {
        if (layout.rank == 0) return;
        double best = -1;
        for (int a = layout.rank - 1; a >= 0; a--) {
            const double score = unit_stride_bytes(a);
            if (score > best) best = score, layout.axis_b = a;
        }
        const int64_t budget = L1_BYTES / p.bytes_between;
        int64_t elements = 256;
        while (elements * 2 <= budget && elements < 4096) elements *= 2;

        if (work.is_one_loop()) elements = std::max(elements, ONE_LOOP_BYTES / work.widest());
        if (work.is_one_fold()) elements = std::max(elements, ONE_FOLD_BYTES / work.widest());

        const int b = layout.axis_b;
        const int transposed = transposed_axis();
        if (transposed >= 0) {
            layout.is_transposing = true;
            layout.axis_a = transposed;
            int64_t side = TRANSPOSE_SIDE;
            while (side > 16 && side * side * p.bytes_per_element > 2 * L1_BYTES) side /= 2;
            const bool few = layout.extent[b] < side; // then there are more rows
            layout.rows = even_piece(layout.extent[transposed],
                                     few ? std::max(side, elements / layout.extent[b]) : side);
            layout.cols = even_piece(layout.extent[b], std::max(elements / layout.rows, side));
            return;
        }
        const bool side_by_side = layout.reduced[b] && work.scans_at_a_cost();
        layout.cols =
            even_piece(layout.extent[b], side_by_side ? elements / SCANNED_ROWS : elements);
        const bool copies = work.copies_lines();
        if (layout.extent[b] < LONG_LINE || side_by_side || copies ||
            (work.gathers_lines() && !p.has_reduction))
            choose_rows(copies ? ONE_LOOP_BYTES / work.narrowest_stored() : elements);
        else if (work.lines_go_on())
            choose_rows(elements);
        else if (!layout.reduced[b] && (p.has_reduction || p.has_scan))
            choose_columns();
        else if (!p.has_scan && layout.reduced[b] && layout.cols == layout.extent[b])
            take_rows_together(work.folds_what_it_loads()
                                   ? ROWS_ELEMENTS
                                   : std::min(2 * elements, ROWS_ELEMENTS - 1));
    }

    // The axis other than axis_b along which some slot that is as large as the others runs fastest.
    int transposed_axis() const {
        double largest = 0;
        for (size_t n = 0; n < p.slots.size(); n++) largest = std::max(largest, work.bytes(n));
        for (size_t n = 0; n < p.slots.size(); n++) {
            if (work.bytes(n) * 4 < largest || layout.strides[n][layout.axis_b] == 1 ||
                layout.strides[n][layout.axis_b] == 0)
                continue;
            for (int a = 0; a < layout.rank; a++)
                if (a != layout.axis_b && layout.strides[n][a] == 1 && layout.extent[a] > 1)
                    return longer_axis(a, n);
        }
        return -1;
    }

    // `axis`, or the one along which slot `n` goes on from it if a tile along `axis` has so few
    // elements that to begin it takes longer than they do.
    int longer_axis(int axis, size_t n) const {
        const int64_t extent = layout.extent[axis];
        if (extent * layout.extent[layout.axis_b] >= TINY_TILE) return axis;
        for (int a = 0; a < layout.rank; a++)
            if (a != layout.axis_b && layout.strides[n][a] == extent && layout.extent[a] > extent)
                return a;
        return axis;
    }

    // A second axis for tiles whose lines are short: the one along which most bytes go on without a
    // gap, and that is long enough to fill the tile.
    void choose_rows(int64_t elements) {
        const int b = layout.axis_b;
        const int64_t wanted = std::max<int64_t>(1, elements / layout.cols);
        const int64_t enough = std::max<int64_t>(1, ENOUGH_ELEMENTS / layout.cols);
        double best = -1;
        for (int a = layout.rank - 1; a >= 0; a--) {
            if (a == b) continue;
            double fit = 1;
            for (size_t n = 0; n < p.slots.size(); n++) {
                const int64_t sa = layout.strides[n][a], sb = layout.strides[n][b];
                if (sa == sb * layout.extent[b])
                    fit += work.bytes(n);
                else if (sa != 0 && sb != 0)
                    fit += work.bytes(n) / 2;
            }
            const double score = fit * double(std::min({layout.extent[a], wanted, enough}));
            if (score > best) best = score, layout.axis_a = a;
        }
        if (layout.axis_a < 0) return;
        layout.rows = even_piece_rows(layout.extent[layout.axis_a], wanted);
        if (layout.rows == 1) layout.axis_a = -1; // lines are packed, and rows are no shape
    }

    static int64_t even_piece_rows(int64_t extent, int64_t largest) {
        if (extent <= largest) return std::max<int64_t>(extent, 1);
        const int64_t pieces = (extent + largest - 1) / largest;
        return (extent + pieces - 1) / pieces;
    }

    // Columns reduced side by side. Memory is read best in whole lines, so workers rather share the
    // lines than the columns. Where lines are few or go on from one another, each takes its
    // columns; where they are gone through more than once, if these stay in the second cache.
    void choose_columns() {
        double parallel = 1, lines = 1;
        for (int a = 0; a < layout.rank; a++)
            if (layout.reduced[a])
                lines *= double(layout.extent[a]);
            else if (a != layout.axis_b)
                parallel *= double(layout.extent[a]);
        const bool once = work.passes() == 1 && !p.has_scan;
        if (once && work.folds_what_it_loads()) take_lines_together();
        const bool shared = !p.has_scan && lines >= 2 * CHUNK_LINES;
        if (parallel >= 8 || (once && shared)) return;
        const int64_t piece =
            std::max<int64_t>(256, round_up(layout.extent[layout.axis_b] / 8, 64));
        if (shared && lines * double(piece * work.column_bytes()) > L2_BYTES) return;
        layout.cols = std::min(layout.cols, piece);
    }

    // Whole rows that are only folded: many at a time where they are folded where they lie, else a
    // few, since values between lie in memory. But so that there are enough tiles for all threads.
    void take_rows_together(int64_t elements) {
        int inner = -1;
        bool has_more = false; // lines that are folded into one result
        for (int a = 0; a < layout.rank; a++) {
            has_more |= layout.reduced[a] && a != layout.axis_b;
            if (!layout.reduced[a]) inner = a;
        }
        if (has_more) return take_windows_together(inner, elements);
        const bool in_place = elements == ROWS_ELEMENTS;
        if (inner < 0 ||
            !(in_place || work.folds_whole_tiles(inner) || work.folds_rows_twice(inner)))
            return;
        const int64_t most = std::min(elements / layout.cols, layout.extent[inner] / 16);
        if (most < 2) return;
        layout.axis_a = inner;
        layout.rows = even_piece_rows(layout.extent[inner], most);
    }

    // Lines that lie beside one another, each a part of another fold, as adaptive pooling has them:
    // the tile is all of them, unless too few tiles were left for several threads.
    void take_windows_together(int inner, int64_t elements) {
        if (inner < 0 || elements != ROWS_ELEMENTS || !work.folds_whole_tiles(inner)) return;
        int64_t blocks = 1;
        for (int a = 0; a < layout.rank; a++) blocks *= layout.reduced[a] ? 1 : layout.extent[a];
        const int64_t rows = layout.extent[inner];
        if (rows * layout.cols > elements || blocks / rows < 16) return;
        layout.axis_a = inner;
        layout.rows = rows;
    }

    void take_lines_together() {
        for (int a = 0; a < layout.rank; a++)
            if (layout.reduced[a]) layout.axis_a = a; // the innermost
        if (layout.axis_a < 0) return;
        layout.rows = std::clamp<int64_t>(layout.extent[layout.axis_a], 1, LINES_TOGETHER);
    }
};

} // namespace

int64_t Layout::points() const {
    int64_t count = 1;
    for (int a = 0; a < rank; a++) count *= extent[a];
    return count;
}

bool Layout::folds_long_lines() const {
    return axis_b >= 0 && !reduced[axis_b] && cols >= LONG_LINE && (axis_a < 0 || reduced[axis_a]);
}

Layout make_layout(const Program &program, const Binding &binding) {
    return LayoutMaker(program, binding).make();
}

} // namespace gint
