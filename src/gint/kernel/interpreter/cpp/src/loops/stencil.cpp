// Stencils: tiles at several places of memory combined element by element, as the windows of a
// pooling are. Each element is loaded, combined in registers and stored once.
#include "loops/clip.h"
#include "loops/loops.h"
#include "loops/numeric.h"
#include "loops/vectors.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// The opcodes, of an element x and what was combined before it.
#define GI_OPERATION(NAME, T, WIDE, ONE)                                                           \
    struct NAME {                                                                                  \
        static inline V<T> wide(V<T> x, V<T> before) { return WIDE; }                              \
        static inline T one(T x, T before) { return ONE; }                                         \
    };
#define GI_OPERATIONS(T, t)                                                                        \
    GI_OPERATION(Add_##t, T, before + x, before + x)                                               \
    GI_OPERATION(Maximum_##t, T, maximum(x, before), gi_maximum_##t(x, before))                    \
    GI_OPERATION(Minimum_##t, T, minimum(x, before), gi_minimum_##t(x, before))
GI_OPERATIONS(float, f32)
GI_OPERATIONS(double, f64)
#undef GI_OPERATIONS
#undef GI_OPERATION

// COUNT is the number of lines where it is known, else 0.
template <class T, class OP, int REGISTERS, size_t COUNT>
inline void combine(T *d, const T *const *at, size_t count, size_t j) {
    V<T> x[REGISTERS];
    for (int n = 0; n < REGISTERS; n++) x[n] = load<T>(at[0] + j, n);
#pragma GCC unroll 9
    for (size_t k = 1; k < (COUNT ? COUNT : count); k++)
        for (int n = 0; n < REGISTERS; n++) x[n] = OP::wide(load<T>(at[k] + j, n), x[n]);
    for (int n = 0; n < REGISTERS; n++) put<T>(d + j, n, x[n]);
}

// The same of lines shorter than a register. No more is read than half a register where that is
// enough: a whole one may lie in two lines of the cache.
#if defined(__AVX512F__)
template <bool HALF> inline V<float> load_few(const float *p, unsigned lanes) {
    if constexpr (HALF) return _mm512_zextps256_ps512(_mm256_maskz_loadu_ps(__mmask8(lanes), p));
    return _mm512_maskz_loadu_ps(__mmask16(lanes), p);
}
template <bool HALF> inline V<double> load_few(const double *p, unsigned lanes) {
    if constexpr (HALF) return _mm512_zextpd256_pd512(_mm256_maskz_loadu_pd(__mmask8(lanes), p));
    return _mm512_maskz_loadu_pd(__mmask8(lanes), p);
}
inline void put_few(float *p, unsigned lanes, V<float> x) {
    _mm512_mask_storeu_ps(p, __mmask16(lanes), x);
}
inline void put_few(double *p, unsigned lanes, V<double> x) {
    _mm512_mask_storeu_pd(p, __mmask8(lanes), x);
}

template <class T, class OP, size_t COUNT, bool HALF>
inline void combine_lanes(T *d, const T *const *at, size_t count, size_t j, unsigned lanes) {
    V<T> x = load_few<HALF>(at[0] + j, lanes);
#pragma GCC unroll 9
    for (size_t k = 1; k < (COUNT ? COUNT : count); k++)
        x = OP::wide(load_few<HALF>(at[k] + j, lanes), x);
    put_few(d + j, lanes, x);
}

template <class T, class OP, size_t COUNT>
inline void combine_few(T *d, const T *const *at, size_t count, size_t j, size_t last) {
    const unsigned lanes = (1u << (last - j)) - 1;
    if (last - j <= REGISTER / sizeof(T) / 2)
        return combine_lanes<T, OP, COUNT, true>(d, at, count, j, lanes);
    combine_lanes<T, OP, COUNT, false>(d, at, count, j, lanes);
}

// Two lines of half a register, as one.
inline V<float> load_two(const float *p, const float *q) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)), _mm256_loadu_ps(q), 1);
}
inline V<double> load_two(const double *p, const double *q) {
    return _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(p)), _mm256_loadu_pd(q), 1);
}

template <class T, class OP, size_t COUNT>
inline void combine_two(T *d, ptrdiff_t d_stride, const T *const *at, size_t count, ptrdiff_t first,
                        ptrdiff_t second) {
    V<T> x = load_two(at[0] + first, at[0] + second);
#pragma GCC unroll 9
    for (size_t k = 1; k < (COUNT ? COUNT : count); k++)
        x = OP::wide(load_two(at[k] + first, at[k] + second), x);
    memcpy(d, &x, REGISTER / 2);
    memcpy(d + d_stride, reinterpret_cast<char *>(&x) + REGISTER / 2, REGISTER / 2);
}
#else
template <class T, class OP, size_t COUNT>
inline void combine_few(T *d, const T *const *at, size_t count, size_t j, size_t last) {
    for (; j < last; j++) {
        T x = at[0][j];
        for (size_t k = 1; k < (COUNT ? COUNT : count); k++) x = OP::one(at[k][j], x);
        d[j] = x;
    }
}
#endif

// d[j] <- the elements j of all lines, for first <= j < last
template <class T, class OP, size_t COUNT>
inline void combine_lines(T *d, const T *const *at, size_t count, size_t first, size_t last) {
    constexpr size_t LANES = REGISTER / sizeof(T);
    size_t j = first;
    for (; j + 4 * LANES <= last; j += 4 * LANES) combine<T, OP, 4, COUNT>(d, at, count, j);
    for (; j + 2 * LANES <= last; j += 2 * LANES) combine<T, OP, 2, COUNT>(d, at, count, j);
    for (; j + LANES <= last; j += LANES) combine<T, OP, 1, COUNT>(d, at, count, j);
    if (j < last && last - first >= LANES) // some once more
        return combine<T, OP, 1, COUNT>(d, at, count, last - LANES);
    if (j < last) combine_few<T, OP, COUNT>(d, at, count, j, last);
}

// Of any number of lines, where one call does much.
template <class T, class OP>
[[gnu::noinline]] void combine_any(T *d, const T *const *at, size_t count, size_t first,
                                   size_t last) {
    combine_lines<T, OP, 0>(d, at, count, first, last);
}

template <class T, class OP> struct StencilLoop {
    size_t rows, cols, count;
    T *d;
    ptrdiff_t d_stride;
    const WindowTile *tiles;
    T *spare; // a line of what stands for the elements outside
    int64_t left = 0, right = 0, top = 0, bottom = 0;

    void run() {
        right = int64_t(cols), bottom = int64_t(rows);
        for (size_t t = 0; t < count; t++)
            for (int k = 0; k < tiles[t].count; k++) {
                const auto &a = tiles[t].along[k];
                if (a.per_col)
                    clip(a.first, a.per_col, a.extent, &left, &right);
                else
                    clip(a.first, a.per_row, a.extent, &top, &bottom);
            }
        if (top > 0 || bottom < int64_t(rows))
            for (size_t j = 0; j < cols; j++) spare[j] = *static_cast<const T *>(tiles[0].outside);
        for (int64_t i = 0; i < top; i++) border(i);
        if (top < bottom) run_inside();
        for (int64_t i = bottom; i < int64_t(rows); i++) border(i);
    }

    // A line whose windows are outside in part, above or below.
    [[gnu::noinline]] void border(int64_t i) {
        const T *at[MOST_STENCIL_TILES];
        for (size_t t = 0; t < count; t++)
            at[t] = is_row_inside(tiles[t], i) ? line(tiles[t], i) : spare;
        combine_any<T, OP>(d + i * d_stride, at, count, size_t(left), size_t(right));
        edges(at, i);
    }

    void run_inside() {
        if (is_one_line()) {
            const T *at[MOST_STENCIL_TILES];
            for (size_t t = 0; t < count; t++) at[t] = line(tiles[t], top);
            combine_any<T, OP>(d + top * d_stride, at, count, 0, size_t(bottom - top) * cols);
        } else if (count == 9) {
            lines<9>();
        } else if (count == 4) {
            lines<4>();
        } else {
            lines<0>();
        }
    }

    template <size_t COUNT> void lines() {
        const T *at[MOST_STENCIL_TILES];
        for (size_t t = 0; t < count; t++) at[t] = line(tiles[t], top);
        int64_t i = top;
#if defined(__AVX512F__)
        if (left == 0 && cols == REGISTER / sizeof(T) / 2 && right == int64_t(cols) &&
            are_apart_alike()) {
            const ptrdiff_t apart = tiles[0].row_stride;
            ptrdiff_t o = 0;
            for (; i + 2 <= bottom; i += 2, o += 2 * apart)
                combine_two<T, OP, COUNT>(d + i * d_stride, d_stride, at, count, o, o + apart);
            advance<COUNT>(at, i - top);
        }
#endif
        for (; i < bottom; i++) {
            combine_lines<T, OP, COUNT>(d + i * d_stride, at, count, size_t(left), size_t(right));
            if (left > 0 || right < int64_t(cols)) edges(at, i);
            advance<COUNT>(at, 1);
        }
    }

    template <size_t COUNT> void advance(const T **at, int64_t lines) const {
        for (size_t t = 0; t < (COUNT ? COUNT : count); t++)
            at[t] = reinterpret_cast<const T *>(reinterpret_cast<uintptr_t>(at[t]) +
                                                uintptr_t(lines * tiles[t].row_stride) * sizeof(T));
    }

    // Do all lines follow one another without gaps?
    bool is_one_line() const {
        bool follow = left == 0 && right == int64_t(cols) && d_stride == ptrdiff_t(cols);
        for (size_t t = 0; t < count; t++) follow &= tiles[t].row_stride == ptrdiff_t(cols);
        return follow;
    }

    bool are_apart_alike() const {
        bool alike = true;
        for (size_t t = 1; t < count; t++) alike &= tiles[t].row_stride == tiles[0].row_stride;
        return alike;
    }

    // The columns in which some tiles are outside.
    void edges(const T *const *at, int64_t i) {
        for (int64_t j = 0; j < left; j++) edge(at, i, j);
        for (int64_t j = right; j < int64_t(cols); j++) edge(at, i, j);
    }

    static const T *line(const WindowTile &t, int64_t i) {
        return reinterpret_cast<const T *>(reinterpret_cast<uintptr_t>(t.from) +
                                           uintptr_t(i * t.row_stride) * sizeof(T));
    }

    static bool is_row_inside(const WindowTile &t, int64_t i) {
        for (int k = 0; k < t.count; k++) {
            const auto &a = t.along[k];
            if (!a.per_col && uint64_t(a.first + i * a.per_row) >= uint64_t(a.extent)) return false;
        }
        return true;
    }

    void edge(const T *const *at, int64_t i, int64_t j) {
        T x = value(at, 0, i, j);
        for (size_t t = 1; t < count; t++) x = OP::one(value(at, t, i, j), x);
        d[i * d_stride + j] = x;
    }

    T value(const T *const *at, size_t n, int64_t i, int64_t j) const {
        const WindowTile &t = tiles[n];
        for (int k = 0; k < t.count; k++) {
            const auto &a = t.along[k];
            const int64_t position = a.first + i * a.per_row + j * a.per_col;
            if (uint64_t(position) >= uint64_t(a.extent)) return *static_cast<const T *>(t.outside);
        }
        return at[n][j];
    }
};

template <class T, class OP>
void stencil(size_t rows, size_t cols, void *d, ptrdiff_t d_stride, const WindowTile *tiles,
             size_t count, void *spare) {
    StencilLoop<T, OP>{
        rows, cols, count, static_cast<T *>(d), d_stride, tiles, static_cast<T *>(spare)}
        .run();
}

} // namespace

void fill_stencils(LoopTable &t) {
    t.stencil[GI_OP_ADD][GI_f32] = stencil<float, Add_f32>;
    t.stencil[GI_OP_ADD][GI_f64] = stencil<double, Add_f64>;
    t.stencil[GI_OP_MAXIMUM][GI_f32] = stencil<float, Maximum_f32>;
    t.stencil[GI_OP_MAXIMUM][GI_f64] = stencil<double, Maximum_f64>;
    t.stencil[GI_OP_MINIMUM][GI_f32] = stencil<float, Minimum_f32>;
    t.stencil[GI_OP_MINIMUM][GI_f64] = stencil<double, Minimum_f64>;
}

} // namespace gint::GINT_SIMD_NAMESPACE
