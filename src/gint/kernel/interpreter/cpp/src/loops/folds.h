// Folding the elements of a row. The order in which they are combined depends on their number
// alone, never on the instruction set, so that results have the same bits everywhere: LANES
// interleaved partial results, then a tree over the lanes.
#pragma once

#include "loops/half_vectors.h"
#include "loops/numeric.h"
#include "loops/wide.h"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// One struct per row of the table: OPCODE_type, what it combines two values to as `apply`.
#define X(OP, TYPE, T_, EXPR, NEUTRAL)                                                             \
    struct OP##_##TYPE {                                                                           \
        using T = T_;                                                                              \
        static constexpr GiOpcode OPCODE = GI_OP_##OP;                                             \
        static constexpr bool IS_BOOL = GI_##TYPE == GI_bool;                                      \
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

// Asks for what lies so far behind an address: from the third cache on, the processor alone comes
// too late.
constexpr ptrdiff_t FOLD_AHEAD = 4096;
template <size_t BYTES> [[gnu::always_inline]] inline void ask_ahead(const void *at) {
    constexpr size_t LINE = 64;
    for (size_t line = 0; line < BYTES; line += LINE)
        __builtin_prefetch(static_cast<const char *>(at) + FOLD_AHEAD + line);
}

// Where a row's elements lie: as they are, or as halves.
template <class T_> struct PackedRow {
    using T = T_;
    const T *s;
    T operator[](size_t i) const { return s[i]; }
    template <class X = T> V<X> vector(size_t i, int n) const { return load<X>(s + i, n); }
    template <class X = T> V<X> first(size_t i, size_t n) const { return load_first<X>(s + i, n); }
    void ask(size_t i) const { ask_ahead<FOLD_BYTES>(s + i); }
};
template <uint8_t TYPE> struct HalfRow {
    using T = float;
    const uint16_t *s;
    float operator[](size_t i) const {
        return TYPE == GI_f16 ? gi_f16_to_f32(s[i]) : gi_bf16_to_f32(s[i]);
    }
    Floats vector(size_t i, int n) const { return Half<TYPE>::widen(load_halves(s + i, n)); }
    Floats first(size_t i, size_t n) const {
        return Half<TYPE>::widen(load_first_halves(s + i, n));
    }
    void ask(size_t i) const { ask_ahead<FOLD_BYTES / 2>(s + i); }
};

// The products or differences of two rows.
struct Product {
    template <class X> X operator()(X x, X y) const { return x * y; }
};
struct Difference {
    template <class X> X operator()(X x, X y) const { return x - y; }
};
template <class Row, class Of> struct PairRow {
    using T = typename Row::T;
    Row s, t;
    T operator[](size_t i) const { return Of()(s[i], t[i]); }
    V<T> vector(size_t i, int n) const { return Of()(s.vector(i, n), t.vector(i, n)); }
    V<T> first(size_t i, size_t n) const { return Of()(s.first(i, n), t.first(i, n)); }
    void ask(size_t i) const { s.ask(i), t.ask(i); }
};

// LANES of a row from `i` on, until `last`: what lies between is a multiple of LANES.
template <class F, int REGISTERS, class Row, class Map>
[[gnu::always_inline]] inline void fold_block(V<typename F::T> *sum, size_t i, size_t last, Row s,
                                              Map map) {
    using T = typename F::T;
    constexpr size_t LANES = size_t(REGISTERS) * REGISTER / sizeof(T);
#pragma GCC unroll 16
    for (int r = 0; r < REGISTERS; r++) sum[r] = map(s.vector(i, r));
    for (i += LANES; i < last; i += LANES) {
        if constexpr (LANES * sizeof(T) == FOLD_BYTES) s.ask(i);
#pragma GCC unroll 16
        for (int r = 0; r < REGISTERS; r++) sum[r] = combine<F, T>(sum[r], map(s.vector(i, r)));
    }
}

// The elements from `i` to n, fewer than there are lanes: each onto its own. (A lane that lay in
// memory meanwhile would be waited for.)
template <class F, int REGISTERS, class Row, class Map>
[[gnu::always_inline]] inline void fold_rest(V<typename F::T> *sum, size_t i, size_t n, Row s,
                                             Map map) {
    using T = typename F::T;
    constexpr size_t WIDTH = REGISTER / sizeof(T);
    const size_t few = (n - i) % WIDTH;
    const V<T> rest = few ? map(s.first(n - few, few)) : V<T>{};
#pragma GCC unroll 16
    for (int r = 0; r < REGISTERS; r++, i += WIDTH) {
        if (i + WIDTH <= n)
            sum[r] = combine<F, T>(sum[r], map(s.vector(i, 0)));
        else if (i < n)
            sum[r] = first_of<T>(few, combine<F, T>(sum[r], rest), sum[r]);
    }
}

// Elements of a row whose lanes are folded one after the other; the blocks of a longer row follow.
constexpr size_t FOLD_BLOCK = 4096;

template <class F, size_t LANES, class Row, class Map>
inline typename F::T fold_row(size_t n, Row s, Map map) { // n >= LANES
    using T = typename F::T;
    constexpr int WIDTH = REGISTER / int(sizeof(T)), REGISTERS = int(LANES) / WIDTH;
    if constexpr (Vectorised<F> && REGISTERS > 0) {
        V<T> sum[REGISTERS] = {};
        const size_t whole = n / LANES * LANES;
        size_t i = 0;
        for (size_t last; i < whole; i = last) {
            V<T> part[REGISTERS];
            last = std::min(whole, i + FOLD_BLOCK);
            fold_block<F, REGISTERS>(part, i, last, s, map);
#pragma GCC unroll 16
            for (int r = 0; r < REGISTERS; r++)
                sum[r] = i ? combine<F, T>(sum[r], part[r]) : part[r];
        }
        if (i < n) fold_rest<F, REGISTERS>(sum, i, n, s, map);
        return fold_registers<F, REGISTERS>(sum);
    } else {
        alignas(64) T lane[LANES];
        size_t i = LANES;
        for (size_t l = 0; l < LANES; l++) lane[l] = map(s[l]);
        for (; i + LANES <= n; i += LANES)
            for (size_t l = 0; l < LANES; l++) lane[l] = F::apply(lane[l], map(s[i + l]));
        for (size_t l = 0; i + l < n; l++) lane[l] = F::apply(lane[l], map(s[i + l]));
        return fold_tree<F, LANES>(lane);
    }
}

// Integers, whose order does not matter; of a product each one waits for the one before.
template <class F>
concept OfIntegers = std::is_integral_v<typename F::T> && !F::IS_BOOL && F::OPCODE != GI_OP_PROD;

// Sums wrap.
template <class F> struct Lanes {
    using T = std::conditional_t<F::OPCODE == GI_OP_SUM, std::make_unsigned_t<typename F::T>,
                                 typename F::T>;
    typedef T V __attribute__((vector_size(REGISTER)));

    static constexpr size_t WIDTH = REGISTER / sizeof(T);

    static V combine(V a, V b) {
        if constexpr (F::OPCODE == GI_OP_SUM)
            return a + b;
        else if constexpr (F::OPCODE == GI_OP_AMAX)
            return a > b ? a : b;
        else
            return a < b ? a : b;
    }
    template <size_t BY, size_t... I> static V rotated(V x, std::index_sequence<I...>) {
        return __builtin_shufflevector(x, x, int((I + BY) % WIDTH)...);
    }
    template <size_t BY = WIDTH / 2> static T fold(V x) {
        if constexpr (BY == 0)
            return x[0];
        else
            return fold<BY / 2>(combine(x, rotated<BY>(x, std::make_index_sequence<WIDTH>())));
    }
};

// By hand, since gcc keeps an array of lanes in memory; at least a register.
template <class F> inline typename F::T fold_integers(size_t n, const typename F::T *s) {
    using T = typename F::T;
    using V = typename Lanes<F>::V;
    constexpr int REGISTERS = FOLD_BYTES / REGISTER;
    constexpr size_t LANES = FOLD_BYTES / sizeof(T), WIDTH = Lanes<F>::WIDTH;
    const auto load = [s](size_t i, int r) {
        V x;
        memcpy(&x, reinterpret_cast<const char *>(s + i) + r * REGISTER, REGISTER);
        return x;
    };
    V sum[REGISTERS] = {load(0, 0)};
    size_t i = WIDTH;
    if (n >= LANES) {
#pragma GCC unroll 16
        for (int r = 1; r < REGISTERS; r++) sum[r] = load(0, r);
        for (i = LANES; i + LANES <= n; i += LANES) {
            ask_ahead<FOLD_BYTES>(s + i);
#pragma GCC unroll 16
            for (int r = 0; r < REGISTERS; r++) sum[r] = Lanes<F>::combine(sum[r], load(i, r));
        }
#pragma GCC unroll 16
        for (int r = 1; r < REGISTERS; r++) sum[0] = Lanes<F>::combine(sum[0], sum[r]);
    }
    for (; i + WIDTH <= n; i += WIDTH) sum[0] = Lanes<F>::combine(sum[0], load(i, 0));
    if (F::OPCODE != GI_OP_SUM && i < n) { // some once more
        sum[0] = Lanes<F>::combine(sum[0], load(n - WIDTH, 0));
        i = n;
    }
    T value = T(Lanes<F>::fold(sum[0]));
    for (; i < n; i++) value = F::apply(value, s[i]);
    return value;
}

template <class F, class Row, class Map>
inline void fold_mapped(size_t n, typename F::T *d, Row s, Map map) {
    using T = typename F::T;
    constexpr size_t LONG = FOLD_BYTES / sizeof(T), SHORT = LONG / 4;
    if constexpr (OfIntegers<F>) {
        if (n >= Lanes<F>::WIDTH) {
            *d = fold_integers<F>(n, s.s);
            return;
        }
    } else {
        if (n >= SHORT) {
            *d = n >= LONG ? fold_row<F, LONG>(n, s, map) : fold_row<F, SHORT>(n, s, map);
            return;
        }
    }
    T value = map(s[0]);
    for (size_t j = 1; j < n; j++) value = F::apply(value, map(s[j]));
    *d = value;
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
