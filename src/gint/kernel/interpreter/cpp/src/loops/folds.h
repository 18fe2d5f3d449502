// Folding the elements of a row. The order in which they are combined depends on their number
// alone, never on the instruction set, so that results have the same bits everywhere: LANES
// interleaved partial results, then a tree over the lanes.
#pragma once

#include "loops/half_vectors.h"
#include "loops/numeric.h"
#include "loops/wide.h"

#include <type_traits>
#include <utility>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// One struct per row of the table: OPCODE_type, what it combines two values to as `apply`.
#define X(OP, TYPE, T_, EXPR, NEUTRAL)                                                             \
    struct OP##_##TYPE {                                                                           \
        using T = T_;                                                                              \
        static inline T apply(T a, T b) { return static_cast<T>(EXPR); }                           \
        static inline T neutral() { return static_cast<T>(NEUTRAL); }                              \
        template <class W>                                                                         \
        [[gnu::always_inline]] static inline auto wide(W a, W b) -> decltype(EXPR) {               \
            return EXPR;                                                                           \
        }                                                                                          \
    };
GI_REDUCE(X)
#undef X
// Those of floats that are folded in registers. (Written out below, since gcc keeps an array of
// lanes in memory.)
template <class F>
concept Vectorised =
    std::is_floating_point_v<typename F::T> && HasWide<F, Vectors<typename F::T, 1>>;
// The tree over the lanes: lane[l] and lane[l + half], half as many each time.
template <class F, size_t LANES> inline typename F::T fold_tree(typename F::T *lane) {
    if constexpr (LANES == 1) {
        return lane[0];
    } else {
        for (size_t l = 0; l < LANES / 2; l++) lane[l] = F::apply(lane[l], lane[l + LANES / 2]);
        return fold_tree<F, LANES / 2>(lane);
    }
}

template <class T, size_t BY, size_t... I> inline V<T> rotate(V<T> x, std::index_sequence<I...>) {
    return __builtin_shufflevector(x, x, int((I + BY) % sizeof...(I))...);
}

// The same tree with the lanes in registers: first over registers, then within one. By recursion,
// since gcc leaves loops that halve as they are and then keeps the lanes in memory.
template <class F, int REGISTERS>
[[gnu::always_inline]] inline V<typename F::T> fold_halves(V<typename F::T> *sum) {
    using T = typename F::T;
    if constexpr (REGISTERS == 1) {
        return sum[0];
    } else {
#pragma GCC unroll 16
        for (int r = 0; r < REGISTERS / 2; r++)
            sum[r] = combine<F, T>(sum[r], sum[r + REGISTERS / 2]);
        return fold_halves<F, REGISTERS / 2>(sum);
    }
}
template <class F, size_t WIDTH>
[[gnu::always_inline]] inline typename F::T fold_lanes(V<typename F::T> x) {
    using T = typename F::T;
    if constexpr (WIDTH == 1) {
        return x[0];
    } else {
        constexpr auto LANES = std::make_index_sequence<REGISTER / sizeof(T)>();
        return fold_lanes<F, WIDTH / 2>(combine<F, T>(x, rotate<T, WIDTH / 2>(x, LANES)));
    }
}
template <class F, int REGISTERS>
[[gnu::always_inline]] inline typename F::T fold_registers(V<typename F::T> *sum) {
    return fold_lanes<F, REGISTER / sizeof(typename F::T)>(fold_halves<F, REGISTERS>(sum));
}

// What a row's elements go through before they are folded; of one element or of a register.
struct Itself {
    template <class X> X operator()(X x) const { return x; }
};
struct Square {
    template <class X> X operator()(X x) const { return x * x; }
};
struct NanToZero {
    template <class X> X operator()(X x) const { return x == x ? x : X{}; }
};
template <class T> struct SquareOfRest {
    T shift;
    template <class X> X operator()(X x) const { return (x - shift) * (x - shift); }
};

// Where a row's elements lie: as they are, or as halves.
template <class T_> struct PackedRow {
    using T = T_;
    const T *s;
    T operator[](size_t i) const { return s[i]; }
    template <class X = T> V<X> vector(size_t i, int n) const { return load<X>(s + i, n); }
};
template <uint8_t TYPE> struct HalfRow {
    using T = float;
    const uint16_t *s;
    float operator[](size_t i) const {
        return TYPE == GI_f16 ? gi_f16_to_f32(s[i]) : gi_bf16_to_f32(s[i]);
    }
    Floats vector(size_t i, int n) const { return Half<TYPE>::widen(load_halves(s + i, n)); }
};

// The products of two rows.
template <class Row> struct ProductRow {
    using T = typename Row::T;
    Row s, t;
    T operator[](size_t i) const { return s[i] * t[i]; }
    V<T> vector(size_t i, int n) const { return s.vector(i, n) * t.vector(i, n); }
};

template <class F, size_t LANES, class Row, class Map>
inline typename F::T fold_row(size_t n, Row s, Map map) { // n >= LANES
    using T = typename F::T;
    alignas(64) T lane[LANES];
    size_t i = LANES;
    constexpr int WIDTH = REGISTER / int(sizeof(T)), REGISTERS = int(LANES) / WIDTH;
    if constexpr (Vectorised<F> && REGISTERS > 0) {
        V<T> sum[REGISTERS];
#pragma GCC unroll 16
        for (int r = 0; r < REGISTERS; r++) sum[r] = map(s.vector(0, r));
        for (; i + LANES <= n; i += LANES)
#pragma GCC unroll 16
            for (int r = 0; r < REGISTERS; r++) sum[r] = combine<F, T>(sum[r], map(s.vector(i, r)));
        if (i < n) {
#pragma GCC unroll 16
            for (int r = 0; r < REGISTERS; r++) put<T>(lane, r, sum[r]);
            for (size_t l = 0; i + l < n; l++) lane[l] = F::apply(lane[l], map(s[i + l]));
#pragma GCC unroll 16
            for (int r = 0; r < REGISTERS; r++) sum[r] = load<T>(lane, r);
        }
        return fold_registers<F, REGISTERS>(sum);
    } else {
        for (size_t l = 0; l < LANES; l++) lane[l] = map(s[l]);
        for (; i + LANES <= n; i += LANES)
            for (size_t l = 0; l < LANES; l++) lane[l] = F::apply(lane[l], map(s[i + l]));
        for (size_t l = 0; i + l < n; l++) lane[l] = F::apply(lane[l], map(s[i + l]));
        return fold_tree<F, LANES>(lane);
    }
}

template <class F, class Row, class Map>
inline void fold_mapped(size_t n, typename F::T *d, Row s, Map map) {
    using T = typename F::T;
    constexpr size_t LONG = FOLD_BYTES / sizeof(T), SHORT = LONG / 4;
    if (n >= LONG) {
        *d = fold_row<F, LONG>(n, s, map);
    } else if (n >= SHORT) {
        *d = fold_row<F, SHORT>(n, s, map);
    } else {
        T value = map(s[0]);
        for (size_t j = 1; j < n; j++) value = F::apply(value, map(s[j]));
        *d = value;
    }
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
