// The reductions that keep an index: of equal values the smallest one.
#include "loops/loops.h"
#include "loops/short_rows.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// The fold that gives the value alone.
#define GI_EXTREME_ARGMAX(TYPE) AMAX_##TYPE
#define GI_EXTREME_ARGMIN(TYPE) AMIN_##TYPE
// `better(a, b)`: does value a go before value b
#define X(OP, TYPE, T_, EXPR, NEUTRAL)                                                             \
    struct OP##_##TYPE {                                                                           \
        using Extreme = GI_EXTREME_##OP(TYPE);                                                     \
        using T = T_;                                                                              \
        static inline bool better(T a, T b) { return EXPR; }                                       \
        static inline T neutral() { return static_cast<T>(NEUTRAL); }                              \
    };
GI_REDUCE_INDEX(X)
#undef X

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
[[gnu::noinline]] void index_merge(size_t n, void *d, int64_t *di, const void *source,
                                   const int64_t *si) {
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

// As wide as the elements, so that they are compared and chosen together.
template <size_t BYTES> struct Integer;
template <> struct Integer<1> {
    using Type = int8_t;
};
template <> struct Integer<2> {
    using Type = int16_t;
};
template <> struct Integer<4> {
    using Type = int32_t;
};
template <> struct Integer<8> {
    using Type = int64_t;
};

// The position of the first of n elements, the best of which is known, that none goes before.
template <class F> size_t find(size_t n, const typename F::T *s, typename F::T best) {
    using Lane = typename Integer<sizeof(*s)>::Type;
    constexpr size_t STEP = FOLD_BYTES / sizeof(*s);
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        Lane found = 0; // (where there is a NaN, it is the best)
        for (size_t l = 0; l < STEP; l++) found |= (s[i + l] == best) | (s[i + l] != s[i + l]);
        if (found) break;
    }
    while (i + 1 < n && F::better(best, s[i])) i++;
    return i;
}

inline int64_t index_at(const Indices &at, size_t j) {
    return at.first + int64_t(j / at.width) * at.per_line + int64_t(j % at.width) * at.per_element;
}

// The first of N numbers that none goes before; `best` is known. From the last one on, so that
// nothing jumps.
template <size_t N, class T> [[gnu::always_inline]] inline size_t find_few(const T *s, T best) {
    size_t found = N - 1;
#pragma GCC unroll 8
    for (size_t k = 2; k <= N; k++) {
        const T x = s[N - k];
        found = ((x == best) | (x != x)) ? N - k : found;
    }
    return found;
}

// Rows of N elements.
template <class F, size_t N>
void find_short_rows(size_t rows, typename F::T *d, int64_t *di, const typename F::T *s,
                     ptrdiff_t stride, const Indices &at) {
    using T = typename F::T;
    using E = typename F::Extreme;
    size_t i = 0;
    if constexpr (HAS_COLUMNS<E>) {
        using Bits = typename Types<T>::Bits;
        using Lane = typename Integer<sizeof(T)>::Type;
        constexpr size_t WIDTH = REGISTER / sizeof(T);
        typedef int64_t Found __attribute__((vector_size(WIDTH * sizeof(int64_t))));
        const bool go_on = stride == ptrdiff_t(N) && at.width >= N;
        for (; go_on && i + WIDTH <= rows; i += WIDTH, s += WIDTH * N) {
            const Columns<T, N> columns(PackedRow<T>{s});
            const V<T> best = columns.template fold<E>(Itself{});
            put<T>(d + i, 0, best);
            Bits found = Lane(N - 1) - Bits{};
#pragma GCC unroll 8
            for (size_t k = 2; k <= N; k++) {
                const V<T> x = columns.x[N - k];
                found = ((x == best) | (x != x)) ? Lane(N - k) - Bits{} : found;
            }
            const Found index = __builtin_convertvector(found, Found) * at.per_element + at.first;
            memcpy(di + i, &index, sizeof index);
        }
    }
    for (; i < rows; i++, s += stride) {
        d[i] = s[0];
#pragma GCC unroll 8
        for (size_t j = 1; j < N; j++) d[i] = E::apply(d[i], s[j]);
        di[i] = index_at(at, find_few<N>(s, d[i]));
    }
}

template <class F>
void find_rows(size_t rows, size_t cols, void *d, int64_t *di, const void *source, ptrdiff_t stride,
               const Indices &at) {
    using T = typename F::T;
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
    const auto is_few = [&]<size_t... N>(std::index_sequence<N...>) {
        return ((cols == N + 2 && (find_short_rows<F, N + 2>(rows, r, di, s, stride, at), true)) ||
                ...);
    };
    if (is_few(std::make_index_sequence<FEW_ELEMENTS - 2>())) return;
    for (size_t i = 0; i < rows; i++, s += stride) {
        fold_mapped<typename F::Extreme>(cols, r + i, PackedRow<T>{s}, Itself{});
        di[i] = index_at(at, find<F>(cols, s, r[i]));
    }
}

constexpr size_t MOST_LINES = 64; // that such a number counts

template <class F>
void find_cols(size_t rows, size_t cols, void *d, int64_t *di, const void *source, ptrdiff_t stride,
               const Indices &at, bool fresh) {
    using T = typename F::T;
    using Line = typename Integer<sizeof(T)>::Type;
    constexpr size_t STRIP = FOLD_BYTES / sizeof(T);
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
    T best[STRIP];
    Line line[STRIP];
    for (size_t from = 0; from < rows; from += MOST_LINES, fresh = false) {
        const size_t lines = rows - from < MOST_LINES ? rows - from : MOST_LINES;
        const int64_t first = at.first + int64_t(from) * at.per_line;
        for (size_t j = 0; j < cols; j += STRIP) {
            const size_t n = cols - j < STRIP ? cols - j : STRIP;
            const T *x = s + ptrdiff_t(from) * stride + j;
            for (size_t l = 0; l < n; l++) best[l] = x[l], line[l] = 0;
            for (size_t i = 1; i < lines; i++) {
                x += stride;
                for (size_t l = 0; l < n; l++) {
                    const bool take = F::better(x[l], best[l]);
                    best[l] = take ? x[l] : best[l];
                    line[l] = take ? Line(i) : line[l];
                }
            }
            for (size_t l = 0; l < n; l++) {
                const int64_t index = first + line[l] * at.per_line;
                const bool take = fresh || replaces<F>(best[l], index, r[j + l], di[j + l]);
                r[j + l] = take ? best[l] : r[j + l];
                di[j + l] = take ? index : di[j + l];
            }
        }
    }
}

} // namespace

void fill_index_reductions(LoopTable &t) {
#define X(OP, TYPE, ...)                                                                           \
    t.reduce_index[GI_OP_##OP][GI_##TYPE] = {                                                      \
        index_rows<OP##_##TYPE>, index_cols<OP##_##TYPE>,  find_rows<OP##_##TYPE>,                 \
        find_cols<OP##_##TYPE>,  index_merge<OP##_##TYPE>, index_neutral<OP##_##TYPE>};
    GI_REDUCE_INDEX(X)
#undef X
}

} // namespace gint::GINT_SIMD_NAMESPACE
