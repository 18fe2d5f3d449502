// Folding loops of the reductions. The order in which elements are combined depends on their number
// alone, never on the instruction set, so that results have the same bits everywhere:
//
//   a row   LANES interleaved partial results, then a tree over the lanes;
//   columns four rows at a time, (r0 + r1) + (r2 + r3), onto the result.
//
// What crosses tiles is combined pairwise by run/worker_reduce.cpp.
#include "loops/loops.h"
#include "loops/numeric.h"
#include "loops/wide.h"

#include <type_traits>
#include <utility>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

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
// `better(a, b)`: does value a go before value b
#define X(OP, TYPE, T_, EXPR, NEUTRAL)                                                             \
    struct OP##_##TYPE {                                                                           \
        using T = T_;                                                                              \
        static inline bool better(T a, T b) { return EXPR; }                                       \
        static inline T neutral() { return static_cast<T>(NEUTRAL); }                              \
    };
GI_REDUCE_INDEX(X)
#undef X

// The tree over the lanes: lane[l] and lane[l + half], half as many each time.
template <class F, size_t LANES> inline typename F::T fold_tree(typename F::T *lane) {
    if constexpr (LANES == 1) {
        return lane[0];
    } else {
        for (size_t l = 0; l < LANES / 2; l++) lane[l] = F::apply(lane[l], lane[l + LANES / 2]);
        return fold_tree<F, LANES / 2>(lane);
    }
}

template <class T, size_t... I> inline V<T> rotate(V<T> x, size_t by, std::index_sequence<I...>) {
    using Bits = typename Types<T>::Bits;
    return __builtin_shuffle(x, Bits{decltype(Bits{}[0])((I + by) % sizeof...(I))...});
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
        return fold_lanes<F, WIDTH / 2>(combine<F, T>(x, rotate<T>(x, WIDTH / 2, LANES)));
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
template <class T> struct SquareOfRest {
    T shift;
    template <class X> X operator()(X x) const { return (x - shift) * (x - shift); }
};

template <class F, size_t LANES, class Map>
inline typename F::T fold_row(size_t n, const typename F::T *s, Map map) { // n >= LANES
    using T = typename F::T;
    alignas(64) T lane[LANES];
    size_t i = LANES;
    constexpr int WIDTH = REGISTER / int(sizeof(T)), REGISTERS = int(LANES) / WIDTH;
    if constexpr (Vectorised<F> && REGISTERS > 0) {
        V<T> sum[REGISTERS];
#pragma GCC unroll 16
        for (int r = 0; r < REGISTERS; r++) sum[r] = map(load<T>(s, r));
        for (; i + LANES <= n; i += LANES)
#pragma GCC unroll 16
            for (int r = 0; r < REGISTERS; r++)
                sum[r] = combine<F, T>(sum[r], map(load<T>(s + i, r)));
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

template <class F, class Map>
inline void fold_mapped(size_t n, typename F::T *d, const typename F::T *s, Map map) {
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

template <class F> void fold_rows(size_t rows, size_t cols, void *d, const void *source) {
    auto *r = static_cast<typename F::T *>(d);
    auto *s = static_cast<const typename F::T *>(source);
    for (size_t i = 0; i < rows; i++) fold_mapped<F>(cols, r + i, s + i * cols, Itself{});
}

// The same row as the end of a chain: its lanes lie in memory between two blocks.
template <class F> struct RowFold {
    using T = typename F::T;
    static constexpr size_t LANES = FOLD_BYTES / sizeof(T);

    static void link(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h,
                     const ChainArgument *at, ptrdiff_t offset) {
        char *lanes = static_cast<char *>(const_cast<void *>(at->operand));
        if constexpr (FOLD_BYTES > 8 * REGISTER) lanes += offset % ptrdiff_t(FOLD_BYTES);
        auto fold = [&](int r, V<T> x) { put<T>(lanes, r, combine<F, T>(load<T>(lanes, r), x)); };
        auto twice = [&](int r, V<T> x, V<T> y) {
            put<T>(lanes, r, combine<F, T>(combine<F, T>(load<T>(lanes, r), x), y));
        };
        if constexpr (FOLD_BYTES == 4 * REGISTER) {
            twice(0, a, e), twice(1, b, f), twice(2, c, g), twice(3, d, h);
        } else {
            fold(0, a), fold(1, b), fold(2, c), fold(3, d);
            fold(4, e), fold(5, f), fold(6, g), fold(7, h);
        }
    }
    // Combined with anything this gives the other one, the sign of a zero included.
    static void begin(void *lanes) {
        auto *lane = static_cast<T *>(lanes);
        const T nothing = F::neutral() == 0 ? -T(0) : F::neutral();
        for (size_t l = 0; l < LANES; l++) lane[l] = nothing;
    }
    static void add(size_t n, void *lanes, const void *source) {
        auto *lane = static_cast<T *>(lanes);
        auto *s = static_cast<const T *>(source);
        size_t i = 0;
        for (; i + LANES <= n; i += LANES)
            for (size_t l = 0; l < LANES; l++) lane[l] = F::apply(lane[l], s[i + l]);
        for (size_t l = 0; i + l < n; l++) lane[l] = F::apply(lane[l], s[i + l]);
    }
    static void end(void *d, void *lanes) {
        constexpr int REGISTERS = FOLD_BYTES / REGISTER;
        V<T> sum[REGISTERS];
#pragma GCC unroll 16
        for (int r = 0; r < REGISTERS; r++) sum[r] = load<T>(lanes, r);
        *static_cast<T *>(d) = fold_registers<F, REGISTERS>(sum);
    }
    static void squares(size_t n, void *d, const void *source, const void *shift) {
        auto *s = static_cast<const T *>(source);
        auto *to = static_cast<T *>(d);
        if (shift)
            fold_mapped<F>(n, to, s, SquareOfRest<T>{*static_cast<const T *>(shift)});
        else
            fold_mapped<F>(n, to, s, Square{});
    }
};

template <class F> void add_row_fold(ChainFold &fold) {
    if constexpr (Vectorised<F>) {
        using Fold = RowFold<F>;
        fold = {erase<typename F::T>(Fold::link), Fold::begin, Fold::add, Fold::end, Fold::squares};
    }
}

template <class F>
void fold_cols(size_t rows, size_t cols, void *d, const void *source, ptrdiff_t stride,
               bool fresh) {
    using T = typename F::T;
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
    size_t i = 0;
    const auto four = [=](size_t j, const T *s0) {
        const T *s2 = s0 + 2 * stride;
        return F::apply(F::apply(s0[j], s0[j + stride]), F::apply(s2[j], s2[j + stride]));
    };
    if (fresh && rows >= 4) {
#pragma GCC ivdep
        for (size_t j = 0; j < cols; j++) r[j] = four(j, s);
        i = 4;
    } else if (fresh) {
        for (size_t j = 0; j < cols; j++) r[j] = s[j];
        i = 1;
    }
    for (; i + 4 <= rows; i += 4) {
        const T *s0 = s + ptrdiff_t(i) * stride;
#pragma GCC ivdep
        for (size_t j = 0; j < cols; j++) r[j] = F::apply(r[j], four(j, s0));
    }
    for (; i < rows; i++) {
        const T *s0 = s + ptrdiff_t(i) * stride;
#pragma GCC ivdep
        for (size_t j = 0; j < cols; j++) r[j] = F::apply(r[j], s0[j]);
    }
}

template <class F> void merge(size_t n, void *d, const void *source) {
    using T = typename F::T;
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) r[i] = F::apply(r[i], s[i]);
}

template <class F> void fill_neutral(size_t n, void *d) {
    auto *r = static_cast<typename F::T *>(d);
    for (size_t i = 0; i < n; i++) r[i] = F::neutral();
}

// Of equal values the smallest index wins.
template <class F>
inline bool replaces(typename F::T v, int64_t i, typename F::T best, int64_t best_i) {
    return F::better(v, best) || (!F::better(best, v) && i < best_i);
}

template <class F>
void index_rows(size_t rows, size_t cols, void *d, int64_t *di, const void *source,
                const int64_t *si) {
    using T = typename F::T;
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
    for (size_t i = 0; i < rows; i++, s += cols, si += cols) {
        T best = s[0];
        int64_t at = si[0];
        for (size_t j = 1; j < cols; j++)
            if (replaces<F>(s[j], si[j], best, at)) best = s[j], at = si[j];
        r[i] = best;
        di[i] = at;
    }
}

template <class F>
void index_merge(size_t n, void *d, int64_t *di, const void *source, const int64_t *si) {
    using T = typename F::T;
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) {
        const bool take = replaces<F>(s[i], si[i], r[i], di[i]);
        r[i] = take ? s[i] : r[i];
        di[i] = take ? si[i] : di[i];
    }
}

template <class F>
void index_cols(size_t rows, size_t cols, void *d, int64_t *di, const void *source,
                const int64_t *si, bool fresh) {
    using T = typename F::T;
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
    size_t i = 0;
    if (fresh) {
        for (size_t j = 0; j < cols; j++) r[j] = s[j], di[j] = si[j];
        i = 1;
    }
    for (; i < rows; i++) index_merge<F>(cols, d, di, s + i * cols, si + i * cols);
}

template <class F> void index_neutral(size_t n, void *d, int64_t *di) {
    auto *r = static_cast<typename F::T *>(d);
    for (size_t i = 0; i < n; i++) r[i] = F::neutral(), di[i] = INT64_MAX;
}

} // namespace

void fill_reductions(LoopTable &t) {
#define X(OP, TYPE, ...)                                                                           \
    t.reduce[GI_OP_##OP][GI_##TYPE] = {fold_rows<OP##_##TYPE>, fold_cols<OP##_##TYPE>,             \
                                       merge<OP##_##TYPE>, fill_neutral<OP##_##TYPE>};             \
    add_row_fold<OP##_##TYPE>(t.chain[GI_##TYPE].fold[GI_OP_##OP]);
    GI_REDUCE(X)
#undef X
#define X(OP, TYPE, ...)                                                                           \
    t.reduce_index[GI_OP_##OP][GI_##TYPE] = {index_rows<OP##_##TYPE>, index_cols<OP##_##TYPE>,     \
                                             index_merge<OP##_##TYPE>,                             \
                                             index_neutral<OP##_##TYPE>};
    GI_REDUCE_INDEX(X)
#undef X
}

} // namespace gint::GINT_SIMD_NAMESPACE
