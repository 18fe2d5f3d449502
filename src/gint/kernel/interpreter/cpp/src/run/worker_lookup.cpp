// Lookups: what a gather reads, at positions that are checked before anything is read.
#include <algorithm>
#include <cstring>

#include "run/worker.h"

namespace gint {

namespace {

// How far the positions of a shape move from row to row and from column to column of a step's
// result. What varies over rows alone, or columns alone, is a line.
LookupTile positions_in(uint8_t result, uint8_t shape, size_t cols, const char *place) {
    LookupTile tile{};
    tile.positions = reinterpret_cast<const int64_t *>(place);
    if (result == FULL) {
        tile.position_rows = shape == FULL ? ptrdiff_t(cols) : shape == ROWS;
        tile.position_cols = (shape & COLS) != 0;
    } else {
        tile.position_cols = shape != UNIFORM;
    }
    return tile;
}

} // namespace

void Worker::look_up(const Lookup &l, const Step &step) {
    const size_t rows = step.shape == FULL ? count[ROWS] : 1;
    const size_t cols = step.shape == FULL ? count[COLS] : count[step.shape];
    bool inside = true;
    for (int k = 0; k < l.count; k++) {
        auto *positions = reinterpret_cast<const int64_t *>(place[l.positions[k]]);
        inside &= s.loops->are_inside(count[l.shapes[k]], positions, l.extents[k]);
    }
    if (!inside) return look_up_inside(l, rows, cols, step);
    LookupTile tile;
    for (int k = 0; k < l.count; k++) {
        tile = positions_in(step.shape, l.shapes[k], cols, place[l.positions[k]]);
        tile.step = l.strides[k];
        if (l.count == 1) break;
        s.loops->add_positions(rows, cols, reinterpret_cast<int64_t *>(place[l.sums]), tile, k > 0);
    }
    if (l.count > 1) {
        tile = positions_in(step.shape, step.shape, cols, place[l.sums]);
        tile.step = 1;
    }
    tile.from = place[step.a];
    tile.row_stride = step.row_stride;
    tile.col_stride = step.col_stride;
    l.run(rows, cols, place[step.d], tile);
}

// The same where some position is outside its axis: 0 stands for what it would read.
void Worker::look_up_inside(const Lookup &l, size_t rows, size_t cols, const Step &step) {
    error |= GI_INDEX_OUT_OF_RANGE;
    const size_t size = size_t(1) << step.size_log2;
    LookupTile tiles[GI_MAX_INDICES];
    for (int k = 0; k < l.count; k++)
        tiles[k] = positions_in(step.shape, l.shapes[k], cols, place[l.positions[k]]);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) {
            char *d = place[step.d] + (i * cols + j) * size;
            int64_t at = int64_t(i) * step.row_stride + int64_t(j) * step.col_stride;
            bool inside = true;
            for (int k = 0; k < l.count; k++) {
                const LookupTile &t = tiles[k];
                const int64_t position =
                    t.positions[ptrdiff_t(i) * t.position_rows + ptrdiff_t(j) * t.position_cols];
                inside &= position >= 0 && position < l.extents[k];
                if (inside) at += position * l.strides[k];
            }
            if (inside)
                std::memcpy(d, place[step.a] + at * int64_t(size), size);
            else
                std::memset(d, 0, size);
        }
}

} // namespace gint
