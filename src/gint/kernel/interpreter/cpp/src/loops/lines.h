// Lines and tiles between packed memory and strided memory: copied, reversed, transposed in
// registers. Knows element sizes, not types.
#pragma once

#include "loops/vectors.h"

#include <string.h>
#include <utility>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

template <class T> constexpr size_t MOST_SIDE = sizeof(T) == 8 ? 8 : 16;
constexpr size_t LEAST_SIDE = 4;

// SIDE x SIDE elements, one vector per row, transposed by exchanging ever smaller squares between
// pairs of rows: log2(SIDE) rounds of two-operand shuffles, nothing touches memory in between.
template <class T, size_t SIDE = MOST_SIDE<T>> struct Square {
    typedef T Row __attribute__((vector_size(SIDE * sizeof(T))));

    template <size_t S, size_t... I>
    static inline void exchange(Row &x, Row &y, std::index_sequence<I...>) {
        // Where the bit S of the position is set take from the other row, S positions away.
        const Row low = __builtin_shufflevector(x, y, int(I & S ? I - S + SIDE : I)...);
        const Row high = __builtin_shufflevector(x, y, int(I & S ? I + SIDE : I + S)...);
        x = low, y = high;
    }

    // Of rows that follow one another the elements at multiples of STRIDE: x has those of the
    // first N rows, or is the first one, and gets those of the next one, y.
    template <size_t STRIDE, size_t N, size_t... I>
    static inline void apart(Row &x, const Row &y, std::index_sequence<I...>) {
        constexpr size_t FIRST = N * SIDE;
        x = __builtin_shufflevector(x, y,
                                    int(STRIDE * I < FIRST          ? (N == 1 ? STRIDE * I : I)
                                        : STRIDE * I < FIRST + SIDE ? STRIDE * I - FIRST + SIDE
                                                                    : 0)...);
    }

    // Of two or three rows, the first of which is x, the elements by turns, from number FIRST on.
    template <size_t COUNT, size_t FIRST, size_t... I>
    static inline void by_turns(Row &x, const Row *row, std::index_sequence<I...>) {
        x = __builtin_shufflevector(
            x, row[1],
            int((FIRST + I) % COUNT == 1 ? SIDE + (FIRST + I) / COUNT : (FIRST + I) / COUNT)...);
        if constexpr (COUNT == 3)
            x = __builtin_shufflevector(
                x, row[2], int((FIRST + I) % COUNT == 2 ? SIDE + (FIRST + I) / COUNT : I)...);
    }
    template <size_t COUNT, size_t... K, size_t... I>
    static inline void put_together(T *d, const Row *row, std::index_sequence<K...>,
                                    std::index_sequence<I...> lanes) {
        Row mixed[COUNT] = {(void(K), row[0])...};
        (by_turns<COUNT, K * SIDE>(mixed[K], row, lanes), ...);
        memcpy(d, mixed, sizeof mixed);
    }

    template <size_t... I> static inline void reverse(Row &x, std::index_sequence<I...>) {
        x = __builtin_shufflevector(x, x, int(SIDE - 1 - I)...);
    }

    template <size_t S> static inline void round(Row *row) {
        for (size_t i = 0; i < SIDE; i++)
            if (!(i & S)) exchange<S>(row[i], row[i + S], std::make_index_sequence<SIDE>());
    }

    // d[x, y] <- s[y, x], rows of each at a stride
    static inline void transpose(T *d, ptrdiff_t d_stride, const T *s, ptrdiff_t s_stride) {
        Row row[SIDE];
        for (size_t i = 0; i < SIDE; i++) memcpy(&row[i], s + ptrdiff_t(i) * s_stride, sizeof(Row));
        if constexpr (SIDE >= 16) round<8>(row);
        if constexpr (SIDE >= 8) round<4>(row);
        round<2>(row);
        round<1>(row);
        for (size_t i = 0; i < SIDE; i++) memcpy(d + ptrdiff_t(i) * d_stride, &row[i], sizeof(Row));
    }
};

template <size_t BYTES> inline void copy_block(char *d, const char *s) {
    typedef char Block __attribute__((vector_size(BYTES)));
    Block block;
    memcpy(&block, s, BYTES);
    memcpy(d, &block, BYTES);
}

// Bytes from BYTES to twice as many, by two blocks that may overlap.
template <size_t BYTES> inline void copy_ends(char *d, const char *s, size_t bytes) {
    copy_block<BYTES>(d, s);
    copy_block<BYTES>(d + bytes - BYTES, s + bytes - BYTES);
}

// Most lines are a few registers long: not worth the call that memcpy is.
inline void copy_line(void *dv, const void *sv, size_t bytes) {
    auto *d = static_cast<char *>(dv);
    auto *s = static_cast<const char *>(sv);
    size_t i = 0;
    for (; i + 64 <= bytes; i += 64) copy_block<64>(d + i, s + i);
    if (i == bytes) return;
    if (i) return copy_block<64>(d + bytes - 64, s + bytes - 64);
    if (bytes >= 32) return copy_ends<32>(d, s, bytes);
    if (bytes >= 16) return copy_ends<16>(d, s, bytes);
    if (bytes >= 8) return copy_ends<8>(d, s, bytes);
    if (bytes >= 4) return copy_ends<4>(d, s, bytes);
    for (; i < bytes; i++) d[i] = s[i];
}

// d[j] <- s[-j]
template <class T> void reverse_line(T *d, const T *s, size_t n) {
    constexpr size_t SIDE = MOST_SIDE<T>;
    using Row = typename Square<T>::Row;
    size_t j = 0;
    for (; j + SIDE <= n; j += SIDE) {
        Row row;
        memcpy(&row, s - j - (SIDE - 1), sizeof row);
        Square<T>::reverse(row, std::make_index_sequence<SIDE>());
        memcpy(d + j, &row, sizeof row);
    }
    for (; j < n; j++) d[j] = *(s - ptrdiff_t(j));
}

// d[j] <- s[STRIDE * j]
template <size_t STRIDE, class T> void every(T *d, const T *s, size_t n) {
    constexpr size_t SIDE = MOST_SIDE<T>;
    constexpr auto LANES = std::make_index_sequence<SIDE>();
    using Row = typename Square<T>::Row;
    size_t j = 0;
    for (; j + SIDE < n; j += SIDE) { // of the last one no neighbour is read
        Row row[STRIDE];              // each by a copy of its own, or gcc keeps them in memory
#pragma GCC unroll 4
        for (size_t r = 0; r < STRIDE; r++) memcpy(&row[r], s + STRIDE * j + r * SIDE, sizeof(Row));
        Square<T>::template apart<STRIDE, 1>(row[0], row[1], LANES);
        if constexpr (STRIDE > 2) Square<T>::template apart<STRIDE, 2>(row[0], row[2], LANES);
        if constexpr (STRIDE > 3) Square<T>::template apart<STRIDE, 3>(row[0], row[3], LANES);
        memcpy(d + j, &row[0], sizeof(Row));
    }
    for (; j < n; j++) d[j] = s[STRIDE * j];
}

// d[j] <- s[j * stride]
template <class T> inline void gather_line(T *d, const T *s, size_t n, ptrdiff_t stride) {
    switch (stride) {
    case 1:
        return copy_line(d, s, n * sizeof(T));
    case 2:
        return every<2>(d, s, n);
    case 3:
        return every<3>(d, s, n);
    case 4:
        return every<4>(d, s, n);
    case -1:
        return reverse_line(d, s, n);
    default:
        for (size_t j = 0; j < n; j++) d[j] = s[ptrdiff_t(j) * stride];
    }
}

// d[COUNT * x + y] <- s[y * stride + x] for y < COUNT
template <size_t COUNT, class T> void together(size_t n, T *d, const T *s, ptrdiff_t stride) {
    constexpr size_t SIDE = MOST_SIDE<T>;
    using Row = typename Square<T>::Row;
    size_t x = 0;
    for (; x + SIDE <= n; x += SIDE, d += COUNT * SIDE) {
        Row row[COUNT];
        for (size_t y = 0; y < COUNT; y++)
            memcpy(&row[y], s + ptrdiff_t(y) * stride + x, sizeof(Row));
        Square<T>::template put_together<COUNT>(d, row, std::make_index_sequence<COUNT>(),
                                                std::make_index_sequence<SIDE>());
    }
    for (; x < n; x++)
        for (size_t y = 0; y < COUNT; y++) *d++ = s[ptrdiff_t(y) * stride + ptrdiff_t(x)];
}

// d[x, y] <- s[y, x] where one side is too short for a square. Pixels of a few colours are such
// rows, or lines; those that follow one another are put together, or taken apart, in registers.
template <class T>
void transpose_few(size_t rows, size_t cols, T *d, ptrdiff_t d_stride, const T *s,
                   ptrdiff_t s_stride) {
    if (d_stride == ptrdiff_t(cols) && cols == 2) return together<2>(rows, d, s, s_stride);
    if (d_stride == ptrdiff_t(cols) && cols == 3) return together<3>(rows, d, s, s_stride);
    for (size_t x = 0; x < rows; x++, d += d_stride, s++)
        if (rows < LEAST_SIDE)
            gather_line(d, s, cols, s_stride);
        else
            for (size_t y = 0; y < cols; y++) d[y] = s[ptrdiff_t(y) * s_stride];
}

// d[x, y] <- s[y, x] for x < rows, y < cols: in squares, and what is left in smaller ones.
template <class T, size_t SIDE = MOST_SIDE<T>>
void transpose(size_t rows, size_t cols, T *d, ptrdiff_t d_stride, const T *s, ptrdiff_t s_stride) {
    if constexpr (SIDE < LEAST_SIDE) {
        transpose_few(rows, cols, d, d_stride, s, s_stride);
    } else {
        const size_t whole_rows = rows / SIDE * SIDE, whole_cols = cols / SIDE * SIDE;
        for (size_t y = 0; y < whole_cols; y += SIDE)
            for (size_t x = 0; x < whole_rows; x += SIDE)
                Square<T, SIDE>::transpose(d + ptrdiff_t(x) * d_stride + y, d_stride,
                                           s + ptrdiff_t(y) * s_stride + x, s_stride);
        if (whole_rows < rows && whole_cols)
            transpose<T, SIDE / 2>(rows - whole_rows, whole_cols,
                                   d + ptrdiff_t(whole_rows) * d_stride, d_stride, s + whole_rows,
                                   s_stride);
        if (whole_cols < cols)
            transpose<T, SIDE / 2>(rows, cols - whole_cols, d + whole_cols, d_stride,
                                   s + ptrdiff_t(whole_cols) * s_stride, s_stride);
    }
}

// Short lines of a length the compiler knows, some apart.
template <size_t BYTES, class T> void gather_few(size_t rows, T *d, const T *s, ptrdiff_t apart) {
    for (size_t i = 0; i < rows; i++, d += BYTES / sizeof(T), s += apart)
        copy_block<BYTES>(reinterpret_cast<char *>(d), reinterpret_cast<const char *>(s));
}

template <class T>
void gather(size_t rows, size_t cols, void *dv, const void *sv, ptrdiff_t sa, ptrdiff_t sb) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    if (sa == 1) return transpose<T>(rows, cols, d, ptrdiff_t(cols), s, sb);
    if (sb == 1 && sa == ptrdiff_t(cols)) return copy_line(d, s, rows * cols * sizeof(T));
    if (sb == 1 && cols * sizeof(T) == 16) return gather_few<16>(rows, d, s, sa);
    if (sb == 1 && cols * sizeof(T) == 32) return gather_few<32>(rows, d, s, sa);
    for (size_t i = 0; i < rows; i++, d += cols, s += sa) gather_line(d, s, cols, sb);
}

template <class T>
void scatter(size_t rows, size_t cols, void *dv, const void *sv, ptrdiff_t da, ptrdiff_t db) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    if (da == 1) return transpose<T>(cols, rows, d, db, s, ptrdiff_t(cols));
    for (size_t i = 0; i < rows; i++, d += da, s += cols) {
        if (db == 1)
            copy_line(d, s, cols * sizeof(T));
        else if (db == -1)
            reverse_line(d - ptrdiff_t(cols - 1), s + (cols - 1), cols);
        else
            for (size_t j = 0; j < cols; j++) d[ptrdiff_t(j) * db] = s[j];
    }
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
