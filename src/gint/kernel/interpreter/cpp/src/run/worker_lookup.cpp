// Lookups and windows: what a gather reads, at positions that are checked before anything is read.
#include <algorithm>
#include <cstring>

#include "run/worker.h"

namespace gint {

namespace {

struct Lines {
    size_t rows, cols;
};

// How a result of this shape lies in lines: what varies over rows alone is one.
Lines lines_of(uint8_t shape, const size_t *count) {
    if (shape == FULL) return {count[ROWS], count[COLS]};
    return {1, count[shape]};
}

// A lookup's positions number k for a result of the shape `result`.
Positions positions_of(const Lookup &l, int k, uint8_t result, size_t cols, const char *place) {
    const uint8_t shape = l.shapes[k];
    Positions p{reinterpret_cast<const int64_t *>(place), 0, shape != UNIFORM, l.strides[k],
                l.extents[k]};
    if (result != FULL) return p;
    p.row_stride = shape == FULL ? ptrdiff_t(cols) : shape == ROWS;
    p.col_stride = (shape & COLS) != 0;
    return p;
}

} // namespace

void Worker::look_up(const Lookup &l, const Step &step) {
    const auto [rows, cols] = lines_of(step.shape, count);
    auto *sums = reinterpret_cast<int64_t *>(place[l.sums]);
    LookupTile tile{place[step.a], step.row_stride, step.col_stride, {}, {}, true};
    // A tile of positions of their own is looked through line by line, while it is in the cache.
    tile.is_checked = l.count > 1 || l.shapes[0] != FULL;
    for (int k = 0; k < l.count; k++) {
        const Positions p = positions_of(l, k, step.shape, cols, place[l.positions[k]]);
        if (tile.is_checked && !s.loops->are_inside(count[l.shapes[k]], p.at, p.extent))
            return look_up_inside(l, step);
        join(p.col_stride ? tile.elements : tile.lines, p, rows, p.col_stride ? cols : 1, sums);
    }
    if (!l.run(rows, cols, place[step.d], tile)) look_up_inside(l, step);
}

// Several positions of a line, or of an element, become their sum; of at most three one kind has
// several.
void Worker::join(Positions &known, const Positions &p, size_t rows, size_t cols, int64_t *sums) {
    if (!known.at) {
        known = p;
        return;
    }
    if (known.at != sums) s.loops->add_positions(rows, cols, sums, known, false);
    s.loops->add_positions(rows, cols, sums, p, true);
    known = {sums, ptrdiff_t(cols), p.col_stride, 1, 0};
}

// The same where some position is outside its axis: an element stands for what it would read.
void Worker::look_up_inside(const Lookup &l, const Step &step) {
    if (!l.fills) error |= GI_INDEX_OUT_OF_RANGE;
    const auto [rows, cols] = lines_of(step.shape, count);
    const size_t size = size_t(1) << step.size_log2;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            char *d = place[step.d] + (i * cols + j) * size;
            int64_t at = int64_t(i) * step.row_stride + int64_t(j) * step.col_stride;
            bool inside = true;
            for (int k = 0; k < l.count; k++) {
                const Positions p = positions_of(l, k, step.shape, cols, place[l.positions[k]]);
                const int64_t position =
                    p.at[ptrdiff_t(i) * p.row_stride + ptrdiff_t(j) * p.col_stride];
                inside &= position >= 0 && position < p.extent;
                if (inside) at += position * p.step;
            }
            if (inside)
                std::memcpy(d, place[step.a] + at * int64_t(size), size);
            else
                std::memcpy(d, place[l.outside], size);
        }
}

// A tile of a window as its loop sees it. Is all of it `inside`?
WindowTile Worker::window_tile(const WindowRead &w, const char *from, int64_t row_stride,
                               int64_t col_stride, uint8_t shape, bool &inside) const {
    const auto [rows, cols] = lines_of(shape, count);
    const int row_axis = shape == FULL ? s.layout.axis_a : -1;
    const int col_axis = shape & COLS ? s.layout.axis_b : shape ? s.layout.axis_a : -1;
    WindowTile tile{nullptr, row_stride, col_stride, w.count, {}, place[w.outside]};
    int64_t first = 0;
    inside = true;
    for (int k = 0; k < w.count; k++) {
        const auto step_along = [&](int axis) { return axis < 0 ? 0 : w.along[k].per_axis[axis]; };
        WindowTile::Along &a = tile.along[k];
        a = {linear_at_tile(w.along[k]), step_along(row_axis), step_along(col_axis), w.extents[k]};
        const int64_t down = a.per_row * int64_t(rows - 1), on = a.per_col * int64_t(cols - 1);
        inside &= a.first + std::min<int64_t>(down, 0) + std::min<int64_t>(on, 0) >= 0 &&
                  a.first + std::max<int64_t>(down, 0) + std::max<int64_t>(on, 0) < a.extent;
        first += a.first * w.strides[k];
        tile.row_stride += a.per_row * w.strides[k];
        tile.col_stride += a.per_col * w.strides[k];
    }
    // Of an element outside the address is computed too, but not read.
    const size_t size = size_t(1) << w.size_log2;
    tile.from =
        reinterpret_cast<const char *>(reinterpret_cast<uintptr_t>(from) + uintptr_t(first) * size);
    return tile;
}

// Where all of the tile is inside and packed, nothing is copied.
void Worker::read_window(const WindowRead &w, const Step &step) {
    const auto [rows, cols] = lines_of(step.shape, count);
    bool inside;
    const WindowTile tile =
        window_tile(w, place[step.a], step.row_stride, step.col_stride, step.shape, inside);
    const bool packed =
        (cols == 1 || tile.col_stride == 1) && (rows == 1 || tile.row_stride == ptrdiff_t(cols));
    place[step.d] = place[step.b];
    if (inside && packed && step.d != step.b)
        place[step.d] = const_cast<char *>(static_cast<const char *>(tile.from));
    else
        w.run(rows, cols, place[step.d], tile, inside);
}

void Worker::run_stencil(const Stencil &stencil, const Step &step) {
    WindowTile tiles[MOST_STENCIL_TILES];
    size_t n = 0;
    bool inside;
    for (const Stencil::Tile &t : stencil.tiles)
        tiles[n++] =
            window_tile(t.window, place[t.place], t.row_stride, t.col_stride, step.shape, inside);
    const auto [rows, cols] = lines_of(step.shape, count);
    const ptrdiff_t lines_apart = stencil.row_stride ? stencil.row_stride : ptrdiff_t(cols);
    stencil.run(rows, cols, place[step.d], lines_apart, tiles, n, place[stencil.spare]);
}

} // namespace gint
