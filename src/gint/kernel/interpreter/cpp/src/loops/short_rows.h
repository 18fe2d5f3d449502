// Folds of rows, several to a call. Rows of a few elements are folded as many side by side as a
// register has lanes: what a row costs beside its elements would be most of it. The bits are those
// of one row after the other.
#pragma once

#include "loops/folds.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

constexpr size_t FEW_ELEMENTS = 8; // rows of fewer

// Of N registers, in which rows of N elements lie one behind the other, element J of each row.
template <class T, size_t N, size_t J, size_t... LANE>
[[gnu::always_inline]] inline V<T> column(const V<T> *x, std::index_sequence<LANE...>) {
    constexpr size_t WIDTH = sizeof...(LANE);
    V<T> found = x[0];
    const auto add = [&]<size_t R>(std::integral_constant<size_t, R>) { // what register R has
        found =
            __builtin_shufflevector(found, x[R],
                                    int((LANE * N + J) / WIDTH == R ? WIDTH + (LANE * N + J) % WIDTH
                                        : R == 1 && LANE * N + J < WIDTH ? LANE * N + J
                                                                         : LANE)...);
    };
    [&]<size_t... R>(std::index_sequence<R...>) {
        (add(std::integral_constant<size_t, R + 1>()), ...);
    }(std::make_index_sequence<N - 1>());
    return found;
}

// The columns of as many rows as a register has lanes.
template <class T, size_t N> struct Columns {
    V<T> x[N];

    template <class Row> [[gnu::always_inline]] explicit Columns(Row s) {
        constexpr auto LANES = std::make_index_sequence<REGISTER / sizeof(T)>();
        V<T> line[N];
#pragma GCC unroll 8
        for (size_t r = 0; r < N; r++) line[r] = s.vector(0, int(r));
        [&]<size_t... J>(std::index_sequence<J...>) {
            ((x[J] = column<T, N, J>(line, LANES)), ...);
        }(std::make_index_sequence<N>());
    }
    template <class F, class Map> [[gnu::always_inline]] V<T> fold(Map map) const {
        V<T> value = map(x[0]);
#pragma GCC unroll 8
        for (size_t j = 1; j < N; j++) value = combine<F, T>(value, map(x[j]));
        return value;
    }
};

template <class Row> constexpr bool OfHalves = false;
template <uint8_t TYPE> constexpr bool OfHalves<HalfRow<TYPE>> = true;
template <uint8_t TYPE, class Of> constexpr bool OfHalves<PairRow<HalfRow<TYPE>, Of>> = true;

// Where any two registers are shuffled by one instruction, elements change places between rows.
template <class F> constexpr bool HAS_COLUMNS = Vectorised<F> && REGISTER == 64;

template <class F, size_t N, class RowAt, class MapAt>
void fold_short_rows(size_t rows, typename F::T *d, RowAt row_at, MapAt map_at,
                     bool go_on) { // do rows lie one behind the other?
    using T = typename F::T;
    size_t i = 0;
    if constexpr (HAS_COLUMNS<F>) {
        constexpr size_t WIDTH = REGISTER / sizeof(T);
        for (; go_on && i + WIDTH <= rows; i += WIDTH)
            put<T>(d + i, 0, Columns<T, N>(row_at(i)).template fold<F>(map_at(i, V<T>{})));
    }
    for (; i < rows; i++) {
        const auto s = row_at(i);
        const auto map = map_at(i, T{});
        T value = map(s[0]);
#pragma GCC unroll 8
        for (size_t j = 1; j < N; j++) value = F::apply(value, map(s[j]));
        d[i] = value;
    }
}

// A function of its own, so that the loop over longer rows stays small.
template <class F, class RowAt, class MapAt>
[[gnu::noinline]] void fold_few_elements(size_t rows, size_t n, typename F::T *d, RowAt row_at,
                                         MapAt map_at, bool go_on) {
    [&]<size_t... N>(std::index_sequence<N...>) {
        ((n == N + 2 ? fold_short_rows<F, N + 2>(rows, d, row_at, map_at, go_on) : void()), ...);
    }(std::make_index_sequence<FEW_ELEMENTS - 2>());
}

// d[i] <- the fold of what map_at(i, T{}) makes of the n elements of row_at(i). Of several rows
// side by side, from the first on, map_at(i, V<T>{}).
template <class F, class RowAt, class MapAt>
void fold_rows_of(size_t rows, size_t n, typename F::T *d, RowAt row_at, MapAt map_at, bool go_on) {
    if constexpr (!OfHalves<decltype(row_at(0))>) // of which nobody has such
        if (n > 1 && n < FEW_ELEMENTS)
            return fold_few_elements<F>(rows, n, d, row_at, map_at, go_on);
    for (size_t i = 0; i < rows; i++)
        fold_mapped<F>(n, d + i, row_at(i), map_at(i, typename F::T{}));
}

// The same map for every row.
template <class Map> struct Always {
    template <class Like> Map operator()(size_t, Like) const { return {}; }
};
// The square of what is left when a number is taken away, the same or one for each row.
template <class T> struct SquareOfRestAt {
    const T *shift;
    bool per_row;
    SquareOfRest<T> operator()(size_t i, T) const { return {shift[per_row ? i : 0]}; }
    SquareOfRest<V<T>> operator()(size_t i, V<T>) const {
        return {per_row ? load<T>(shift + i, 0) : *shift - V<T>{}};
    }
};

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
