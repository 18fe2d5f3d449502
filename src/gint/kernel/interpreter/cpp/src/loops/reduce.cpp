// Folding loops of the reductions. The order in which elements are combined depends on their number
// alone:
//
//   a row   as folds.h has it;
//   columns four rows at a time, (r0 + r1) + (r2 + r3), onto the result; short rows without gaps
//           first as rows of WIDE_ROW elements or a few less, which are folded likewise.
//
// What crosses tiles is combined pairwise by run/worker_reduce.cpp.
#include "loops/loops.h"
#include "loops/short_rows.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

template <class F, class Row>
void fold_rows(size_t rows, size_t cols, void *d, const void *source, ptrdiff_t stride) {
    using S = decltype(Row::s);
    const auto row_at = [=](size_t i) {
        return Row{static_cast<S>(source) + ptrdiff_t(i) * stride};
    };
    fold_rows_of<F>(rows, cols, static_cast<typename F::T *>(d), row_at, Always<Itself>(),
                    stride == ptrdiff_t(cols));
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
    static void onto(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h,
                     const ChainArgument *at, ptrdiff_t offset) {
        char *p = static_cast<char *>(const_cast<void *>(at->operand)) + offset;
        auto fold = [&](int r, V<T> x) { put<T>(p, r, combine<F, T>(load<T>(p, r), x)); };
        fold(0, a), fold(1, b), fold(2, c), fold(3, d);
        fold(4, e), fold(5, f), fold(6, g), fold(7, h);
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
    template <class Row, WholeFold WHOLE>
    static void whole(size_t rows, size_t n, void *d, const void *source, const void *other,
                      ptrdiff_t per_row) {
        using S = decltype(Row::s);
        auto *to = static_cast<T *>(d);
        const auto row_at = [=](size_t i) { return Row{static_cast<S>(source) + i * n}; };
        const auto fold = [=](auto row, auto map_at) {
            fold_rows_of<F>(rows, n, to, row, map_at, true);
        };
        const auto with_other = [=](auto of, auto map_at) {
            fold(
                [=](size_t i) {
                    const auto *t = static_cast<const char *>(other) + ptrdiff_t(i) * per_row;
                    return PairRow<Row, decltype(of)>{row_at(i), {reinterpret_cast<S>(t)}};
                },
                map_at);
        };
        if constexpr (WHOLE == WHOLE_SQUARES)
            fold(row_at, Always<Square>());
        else if constexpr (WHOLE == WHOLE_SHIFTED)
            fold(row_at, SquareOfRestAt<T>{static_cast<const T *>(other), per_row != 0});
        else if constexpr (WHOLE == WHOLE_PRODUCTS)
            with_other(Product{}, Always<Itself>());
        else if constexpr (WHOLE == WHOLE_DISTANCES)
            with_other(Difference{}, Always<Square>());
        else
            fold(row_at, Always<NanToZero>());
    }
    template <class Row> static void add_loops(ChainFold &fold, ChainForm form) {
        fold.whole[WHOLE_SQUARES][form] = whole<Row, WHOLE_SQUARES>;
        fold.whole[WHOLE_SHIFTED][form] = whole<Row, WHOLE_SHIFTED>;
        fold.whole[WHOLE_PRODUCTS][form] = whole<Row, WHOLE_PRODUCTS>;
        fold.whole[WHOLE_DISTANCES][form] = whole<Row, WHOLE_DISTANCES>;
        fold.whole[WHOLE_NUMBERS][form] = whole<Row, WHOLE_NUMBERS>;
    }
};

template <class F> void add_row_fold(ChainFold &fold) {
    if constexpr (Vectorised<F>) {
        using Fold = RowFold<F>;
        using T = typename F::T;
        fold.link = erase<T>(Fold::link);
        fold.onto = erase<T>(Fold::onto);
        fold.begin = Fold::begin, fold.add = Fold::add, fold.end = Fold::end;
        if constexpr (F::OPCODE == GI_OP_SUM) {
            Fold::template add_loops<PackedRow<T>>(fold, CHAIN_PACKED);
            if constexpr (std::is_same_v<T, float>) {
                Fold::template add_loops<HalfRow<GI_f16>>(fold, CHAIN_F16);
                Fold::template add_loops<HalfRow<GI_bf16>>(fold, CHAIN_BF16);
            }
        }
    }
}

constexpr size_t WIDE_ROW = 64, LEAST_WIDE = 4; // of them

template <class F>
void fold_cols(size_t rows, size_t cols, void *d, const void *source, ptrdiff_t stride,
               bool fresh) {
    using T = typename F::T;
    auto *r = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
    size_t i = 0;
    const size_t together = WIDE_ROW / (cols ? cols : WIDE_ROW);
    if (together > 1 && stride == ptrdiff_t(cols) && rows >= LEAST_WIDE * together) {
        T wide[WIDE_ROW];
        const size_t whole = rows / together, width = together * cols;
        fold_cols<F>(whole, width, wide, s, ptrdiff_t(width), true);
        fold_cols<F>(together, cols, d, wide, ptrdiff_t(cols), fresh);
        i = whole * together, fresh = false;
    }
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

// The same of halves, a register at a time.
template <class F, uint8_t TYPE>
void fold_half_cols(size_t rows, size_t cols, void *d, const void *source, ptrdiff_t stride,
                    bool fresh) {
    auto *r = static_cast<float *>(d);
    auto *s = static_cast<const uint16_t *>(source);
    constexpr size_t WIDTH = REGISTER / sizeof(float);
    const size_t whole = cols / WIDTH * WIDTH, rest = cols - whole;
    uint16_t last[4][WIDTH] = {}; // what does not fill a register, of four lines
    float last_sum[WIDTH] = {};
    for (size_t i = 0; i < rows; fresh = false) {
        const int lines = rows - i >= 4 ? 4 : 1;
        const uint16_t *from = s + ptrdiff_t(i) * stride;
        const auto fold = [&](float *to, const uint16_t *x, ptrdiff_t apart) {
            const auto line = [&](int n) {
                return Half<TYPE>::widen(load_halves(x + n * apart, 0));
            };
            Floats sum = line(0);
            if (lines == 4)
                sum = combine<F, float>(combine<F, float>(sum, line(1)),
                                        combine<F, float>(line(2), line(3)));
            put<float>(to, 0, fresh ? sum : combine<F, float>(load<float>(to, 0), sum));
        };
        for (size_t j = 0; j < whole; j += WIDTH) fold(r + j, from + j, stride);
        if (rest) {
            for (int n = 0; n < lines; n++)
                memcpy(last[n], from + n * stride + whole, rest * sizeof(uint16_t));
            memcpy(last_sum, r + whole, rest * sizeof(float));
            fold(last_sum, last[0], WIDTH);
            memcpy(r + whole, last_sum, rest * sizeof(float));
        }
        i += size_t(lines);
    }
}

// How many of a row are true.
int64_t count_true(size_t n, const uint8_t *s) {
    typedef int8_t V __attribute__((vector_size(REGISTER)));
    constexpr size_t MOST = 255; // that a lane can count
    int64_t total = 0;
    size_t i = 0;
    while (i + REGISTER <= n) {
        V lanes{};
        for (const size_t last = i + MOST * REGISTER; i < last && i + REGISTER <= n;
             i += REGISTER) {
            V x;
            memcpy(&x, s + i, REGISTER);
            lanes -= x != V{};
        }
        for (size_t l = 0; l < REGISTER; l++) total += uint8_t(lanes[l]);
    }
    for (; i < n; i++) total += s[i] != 0;
    return total;
}
void count_rows(size_t rows, size_t cols, void *d, const void *source, ptrdiff_t stride) {
    auto *s = static_cast<const uint8_t *>(source);
    for (size_t i = 0; i < rows; i++)
        static_cast<int64_t *>(d)[i] = count_true(cols, s + ptrdiff_t(i) * stride);
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

template <class F> Reduction loops_of() {
    using T = typename F::T;
    Reduction found{};
    found.rows[CHAIN_PACKED] = fold_rows<F, PackedRow<T>>;
    found.cols[CHAIN_PACKED] = fold_cols<F>;
    if constexpr (std::is_same_v<T, float>) {
        found.rows[CHAIN_F16] = fold_rows<F, HalfRow<GI_f16>>;
        found.rows[CHAIN_BF16] = fold_rows<F, HalfRow<GI_bf16>>;
        found.cols[CHAIN_F16] = fold_half_cols<F, GI_f16>;
        found.cols[CHAIN_BF16] = fold_half_cols<F, GI_bf16>;
    }
    if constexpr (std::is_same_v<F, SUM_i64>) found.count = count_rows;
    found.merge = merge<F>;
    found.neutral = fill_neutral<F>;
    return found;
}

} // namespace

void fill_reductions(LoopTable &t) {
#define X(OP, TYPE, ...)                                                                           \
    t.reduce[GI_OP_##OP][GI_##TYPE] = loops_of<OP##_##TYPE>();                                     \
    add_row_fold<OP##_##TYPE>(t.chain[GI_##TYPE].fold[GI_OP_##OP]);
    GI_REDUCE(X)
#undef X
}

} // namespace gint::GINT_SIMD_NAMESPACE
