// Elements at positions that are data: checked against their axis where nobody has done that
// before. Knows element sizes, not types.
#pragma once

#include "loops/lines.h"
#include "loops/loops.h"

#include <string.h>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

bool are_inside(size_t n, const int64_t *positions, int64_t extent) {
    uint64_t most = 0;
    for (size_t i = 0; i < n; i++) most = most < uint64_t(positions[i]) ? positions[i] : most;
    return n == 0 || most < uint64_t(extent);
}

template <class T>
void look_up_line(size_t cols, T *d, const T *s, ptrdiff_t stride, const int64_t *at,
                  ptrdiff_t step) {
    if (stride == 0 && step == 1)
        for (size_t j = 0; j < cols; j++) d[j] = s[at[j]];
    else if (stride == 0)
        for (size_t j = 0; j < cols; j++) d[j] = s[at[j] * step];
    else
        for (size_t j = 0; j < cols; j++) d[j] = s[ptrdiff_t(j) * stride + at[j] * step];
}

// The same positions in every line, near one another, as resizing an image has them: the elements
// for a register lie in one register of the source, whose lanes are chosen.
#if defined(__AVX2__)
constexpr size_t CHOSEN = REGISTER / sizeof(uint32_t);
constexpr size_t FEWEST_ROWS = 4; // that are worth looking at the positions first

// Of elements j to j + CHOSEN: where the register of the source begins, and the lanes. False where
// they lie apart.
inline bool choose(const int64_t *at, int64_t extent, int64_t *first, uint32_t *lanes) {
    int64_t low = at[0], high = at[0];
    for (size_t n = 1; n < CHOSEN; n++) {
        low = at[n] < low ? at[n] : low;
        high = at[n] > high ? at[n] : high;
    }
    *first = low < extent - int64_t(CHOSEN) ? low : extent - int64_t(CHOSEN);
    for (size_t n = 0; n < CHOSEN; n++) lanes[n] = uint32_t(at[n] - *first);
    return *first >= 0 && high - *first < int64_t(CHOSEN);
}

typedef uint32_t Lanes __attribute__((vector_size(REGISTER)));

inline Lanes choose_lanes(Lanes x, Lanes lanes) {
#if defined(__AVX512F__)
    return (Lanes)_mm512_permutexvar_epi32((__m512i)lanes, (__m512i)x);
#else
    return (Lanes)_mm256_permutevar8x32_epi32((__m256i)x, (__m256i)lanes);
#endif
}

// Elements j to j + CHOSEN of all lines; `line(i)` is the source of line i.
template <class Line>
inline void look_up_near(size_t rows, size_t cols, uint32_t *d, size_t j, const int64_t *at,
                         int64_t extent, const Line &line) {
    alignas(REGISTER) uint32_t numbers[CHOSEN];
    int64_t first;
    if (!choose(at + j, extent, &first, numbers)) {
        for (size_t i = 0; i < rows; i++)
            look_up_line<uint32_t>(CHOSEN, d + i * cols + j, line(i), 0, at + j, 1);
        return;
    }
    Lanes lanes;
    memcpy(&lanes, numbers, sizeof lanes);
    for (size_t i = 0; i < rows; i++) {
        Lanes x;
        memcpy(&x, line(i) + first, sizeof x);
        x = choose_lanes(x, lanes);
        memcpy(d + i * cols + j, &x, sizeof x);
    }
}
#endif

template <class T> bool look_up(size_t rows, size_t cols, void *dv, const LookupTile &t) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(t.from);
    const auto line = [&](size_t i) {
        const T *from = s + ptrdiff_t(i) * t.row_stride;
        if (!t.lines.at) return from;
        return from + t.lines.at[ptrdiff_t(i) * t.lines.row_stride] * t.lines.step;
    };
#if defined(__AVX2__)
    const Positions &p = t.elements;
    const bool alike = p.at && p.row_stride == 0 && p.step == 1 && t.col_stride == 0;
    if constexpr (sizeof(T) == sizeof(uint32_t))
        if (alike && t.is_checked && rows >= FEWEST_ROWS && cols >= CHOSEN) {
            for (size_t j = 0; j + CHOSEN <= cols; j += CHOSEN)
                look_up_near(rows, cols, d, j, p.at, p.extent, line);
            if (cols % CHOSEN) look_up_near(rows, cols, d, cols - CHOSEN, p.at, p.extent, line);
            return true;
        }
#endif
    for (size_t i = 0; i < rows; i++, d += cols) {
        const T *from = line(i);
        if (!t.elements.at) {
            if (t.col_stride == 1)
                copy_line(d, from, cols * sizeof(T));
            else
                for (size_t j = 0; j < cols; j++) d[j] = from[ptrdiff_t(j) * t.col_stride];
            continue;
        }
        const int64_t *at = t.elements.at + ptrdiff_t(i) * t.elements.row_stride;
        if (!t.is_checked && !are_inside(cols, at, t.elements.extent)) return false;
        look_up_line(cols, d, from, t.col_stride, at, t.elements.step);
    }
    return true;
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
