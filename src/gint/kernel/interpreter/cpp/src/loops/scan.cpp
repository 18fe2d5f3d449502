// Scans: the fold of a line so far, at every element. The order depends on the number of elements
// alone, never on the instruction set, so that results have the same bits everywhere:
//
//   a row   in blocks of 64 bytes of what is carried: within a block by a tree, in which every
//   upper
//           half takes the last element of the lower one; then onto what was carried so far. Where
//           there are no vectors of it, integers one after the other, and of floats, which are
//           functions that cost much, eight pieces of eight elements side by side, then onto one
//           another; several rows of these as columns;
//   columns one line after the other.
//
// Scans of float32 that round are carried in float64, and rounded where they are stored.
#include "loops/lines.h"
#include "loops/loops.h"
#include "loops/numeric.h"
#include "loops/wide.h"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

constexpr size_t BLOCK = 64;    // bytes
constexpr size_t FEW_LINES = 8; // side by side: so few are no vector

// One struct per row of the table: OPCODE_type, what it combines two values to as `apply`.
#define X(OP, TYPE, T_, C_, EXPR, NEUTRAL)                                                         \
    struct OP##_##TYPE {                                                                           \
        using T = T_;                                                                              \
        using C = C_;                                                                              \
        [[maybe_unused]] static constexpr int CODE = GI_OP_##OP;                                   \
        static inline C apply(C a, C b) { return static_cast<C>(EXPR); }                           \
        static inline C neutral() { return static_cast<C>(NEUTRAL); }                              \
        template <class W>                                                                         \
        [[gnu::always_inline]] static inline auto wide(W a, W b) -> decltype(EXPR) {               \
            return EXPR;                                                                           \
        }                                                                                          \
    };
GI_SCAN(X)
#undef X

// Registers of any type, and what their lanes are chosen by.
template <class C> struct Lanes {
    typedef C V __attribute__((vector_size(REGISTER)));
    using Bit = std::conditional_t<sizeof(C) == 8, int64_t, int32_t>;
    typedef Bit Bits __attribute__((vector_size(REGISTER)));
};
template <class C> using L = typename Lanes<C>::V;

template <class F>
concept OfFloats = std::is_floating_point_v<typename F::C> && HasWide<F, Vectors<typename F::C, 1>>;
// (Sums of integers take one cycle each: not worth it.)
template <class F>
concept OfIntegers = std::is_integral_v<typename F::C> && sizeof(typename F::C) >= 4 &&
                     (F::CODE == GI_OP_CUMMAX || F::CODE == GI_OP_CUMMIN);
template <class F>
concept Vectorised = OfFloats<F> || OfIntegers<F>;

template <class F, class C> [[gnu::always_inline]] inline L<C> both(L<C> a, L<C> b) {
    if constexpr (OfFloats<F>)
        return combine<F, C>(a, b);
    else
        return F::wide(a, b);
}

// Are all lanes of a comparison true?
template <class Bits> [[gnu::always_inline]] inline bool all(Bits found) {
#if defined(__AVX512F__)
    return _mm512_cmpeq_epi64_mask((__m512i)found, _mm512_set1_epi64(-1)) == 0xff;
#elif defined(__AVX__)
    return _mm256_movemask_ps((__m256)found) == 0xff;
#elif defined(__x86_64__)
    return _mm_movemask_ps((__m128)found) == 0xf;
#else
    bool result = true;
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) result &= found[i] != 0;
    return result;
#endif
}

// Do no elements change an extreme? Of floats, equal ones might: of two zeros the later counts.
template <class F, class C> [[gnu::always_inline]] inline bool keep(L<C> before, L<C> x) {
    if constexpr (F::CODE == GI_OP_CUMMAX)
        return all(OfFloats<F> ? x < before : x <= before);
    else
        return all(OfFloats<F> ? x > before : x >= before);
}

// Elements of T as registers of C.
template <class C, class T> inline L<C> load_as(const T *s, int n) {
    if constexpr (std::is_same_v<C, T>) {
        L<C> x;
        memcpy(&x, reinterpret_cast<const char *>(s) + n * REGISTER, REGISTER);
        return x;
    } else {
        typedef T Part __attribute__((vector_size(REGISTER / sizeof(C) * sizeof(T))));
        Part x;
        memcpy(&x, reinterpret_cast<const char *>(s) + size_t(n) * sizeof x, sizeof x);
        return __builtin_convertvector(x, L<C>);
    }
}
template <class C, class T> inline void put_as(T *d, int n, L<C> x) {
    if constexpr (std::is_same_v<C, T>) {
        memcpy(reinterpret_cast<char *>(d) + n * REGISTER, &x, REGISTER);
    } else {
        typedef T Part __attribute__((vector_size(REGISTER / sizeof(C) * sizeof(T))));
        const Part y = __builtin_convertvector(x, Part);
        memcpy(reinterpret_cast<char *>(d) + size_t(n) * sizeof y, &y, sizeof y);
    }
}

// Of every pair of `reach` lanes the upper half takes the last of the lower one.
template <class F, size_t REACH, size_t... LANE>
[[gnu::always_inline]] inline L<typename F::C> scan_pairs(L<typename F::C> x,
                                                          std::index_sequence<LANE...> lanes) {
    using C = typename F::C;
    using Bits = typename Lanes<C>::Bits;
    using Bit = typename Lanes<C>::Bit;
    if constexpr (REACH == sizeof...(LANE)) {
        return x;
    } else {
        const L<C> lower =
            __builtin_shufflevector(x, x, int(LANE & REACH ? LANE / REACH * REACH - 1 : LANE)...);
        const Bits upper{Bit(LANE & REACH ? -1 : 0)...};
        const L<C> folded = both<F, C>(lower, x);
        return scan_pairs<F, REACH * 2>(upper ? folded : x, lanes);
    }
}
template <class C, size_t... LANE>
[[gnu::always_inline]] inline L<C> last_lane(L<C> x, std::index_sequence<LANE...>) {
    return __builtin_shufflevector(x, x, int(LANE * 0 + sizeof...(LANE) - 1)...);
}

// A block in registers: `before`, the same in all lanes, is what was carried so far, then what is
// carried on.
template <class F> struct Block {
    using C = typename F::C;
    static constexpr int REGISTERS = int(BLOCK) / REGISTER;
    static constexpr auto LANES = std::make_index_sequence<REGISTER / sizeof(C)>();
    L<C> x[REGISTERS];

    template <class T> [[gnu::always_inline]] explicit Block(const T *s) {
        for (int r = 0; r < REGISTERS; r++) x[r] = load_as<C, T>(s, r);
    }
    [[gnu::always_inline]] L<C> scan(L<C> before) {
        if constexpr (F::CODE == GI_OP_CUMMAX || F::CODE == GI_OP_CUMMIN) {
            bool kept = true; // as most blocks of most rows do
            for (int r = 0; r < REGISTERS; r++) kept &= keep<F, C>(before, x[r]);
            if (kept) {
                for (int r = 0; r < REGISTERS; r++) x[r] = before;
                return before;
            }
        }
        for (int r = 0; r < REGISTERS; r++) x[r] = scan_pairs<F, 1>(x[r], LANES);
        for (int half = 1; half < REGISTERS; half *= 2)
            for (int r = 0; r < REGISTERS; r++)
                if (r & half) x[r] = both<F, C>(last_lane<C>(x[r / half * half - 1], LANES), x[r]);
        const L<C> last = last_lane<C>(x[REGISTERS - 1], LANES);
        for (int r = 0; r < REGISTERS; r++) x[r] = both<F, C>(before, x[r]);
        return both<F, C>(before, last);
    }
    template <class T> [[gnu::always_inline]] void put(T *d) const {
        for (int r = 0; r < REGISTERS; r++) put_as<C, T>(d, r, x[r]);
    }
};

// Functions that cost much: `PIECE` elements of as many pieces at a time, in loops that the
// compiler makes vectors of.
constexpr size_t PIECE = 8, WORTH_FILLING_UP = 16;
template <class F>
inline typename F::C scan_pieces(typename F::T *d, const typename F::T *s, typename F::C carry) {
    using T = typename F::T;
    using C = typename F::C;
    alignas(64) C x[PIECE][PIECE], before[PIECE]; // element and piece; before each piece
    for (size_t k = 0; k < PIECE; k++)
        for (size_t p = 0; p < PIECE; p++) x[k][p] = C(s[p * PIECE + k]);
    for (size_t k = 1; k < PIECE; k++)
#pragma GCC ivdep
        for (size_t p = 0; p < PIECE; p++) x[k][p] = F::apply(x[k - 1][p], x[k][p]);
    for (size_t p = 0; p < PIECE; p++) {
        before[p] = carry;
        carry = F::apply(carry, x[PIECE - 1][p]);
    }
    for (size_t k = 0; k < PIECE; k++)
#pragma GCC ivdep
        for (size_t p = 0; p < PIECE; p++) x[k][p] = F::apply(before[p], x[k][p]);
    for (size_t p = 0; p < PIECE; p++)
        for (size_t k = 0; k < PIECE; k++) d[p * PIECE + k] = static_cast<T>(x[k][p]);
    return carry;
}

// What a block does to its first n elements, at most FEW: these would wait for memory that has just
// been written in other pieces. What is carried on is the last of them.
constexpr size_t FEW = 8;
template <class F>
[[gnu::always_inline]] inline typename F::C scan_few(size_t n, typename F::T *d,
                                                     const typename F::T *s, typename F::C before) {
    using C = typename F::C;
    C x[FEW];
#pragma GCC unroll 8
    for (size_t l = 0; l < n; l++) x[l] = C(s[l]);
#pragma GCC unroll 8
    for (size_t reach = 1; reach < n; reach *= 2)
#pragma GCC unroll 8
        for (size_t l = reach; l < n; l++)
            if (l & reach) x[l] = F::apply(x[l / reach * reach - 1], x[l]);
#pragma GCC unroll 8
    for (size_t l = 0; l < n; l++) d[l] = static_cast<typename F::T>(x[l] = F::apply(before, x[l]));
    return x[n - 1];
}

// Rows of N elements: so short ones go on side by side in the processor, if nothing asks how many.
template <class F, size_t N>
void scan_short_rows(size_t rows, typename F::T *d, const typename F::T *s, typename F::C *carry,
                     bool fresh) {
    for (size_t i = 0; i < rows; i++, d += N, s += N)
        carry[i] = scan_few<F>(N, d, s, fresh ? F::neutral() : carry[i]);
}
template <class F, size_t... N>
bool scan_if_short(size_t rows, size_t cols, typename F::T *d, const typename F::T *s,
                   typename F::C *carry, bool fresh, std::index_sequence<N...>) {
    return ((cols == N + 2 && (scan_short_rows<F, N + 2>(rows, d, s, carry, fresh), true)) || ...);
}

template <class F>
inline typename F::C scan_row(size_t n, typename F::T *d, const typename F::T *s,
                              typename F::C carry) {
    using T = typename F::T;
    using C = typename F::C;
    if constexpr (Vectorised<F>) {
        constexpr size_t LANES = BLOCK / sizeof(C);
        L<C> before = carry - L<C>{}; // x - 0 is x, the sign of zero included
        size_t i = 0;
        for (; i + LANES <= n; i += LANES) {
            Block<F> block(s + i);
            before = block.scan(before);
            block.put(d + i);
        }
        if (i == n) return before[0];
        if (LANES <= FEW || n - i <= FEW) return scan_few<F>(n - i, d + i, s + i, before[0]);
        if constexpr (LANES > FEW) {
            T rest[LANES] = {};
            std::copy(s + i, s + n, rest);
            Block<F> block(rest);
            block.scan(before);
            C found[LANES];
            block.put(found);
            for (size_t l = 0; i + l < n; l++) d[i + l] = static_cast<T>(found[l]);
            return found[n - i - 1];
        }
    } else {
        size_t i = 0;
        if constexpr (std::is_floating_point_v<C>) {
            for (; i + PIECE * PIECE <= n; i += PIECE * PIECE)
                carry = scan_pieces<F>(d + i, s + i, carry);
            if (n - i >= WORTH_FILLING_UP) { // neutral elements: the last one is what is carried
                T rest[PIECE * PIECE];
                std::fill(std::copy(s + i, s + n, rest), rest + PIECE * PIECE, T(F::neutral()));
                carry = scan_pieces<F>(rest, rest, carry);
                std::copy(rest, rest + (n - i), d + i);
                return carry;
            }
        }
        for (; i < n; i++) d[i] = static_cast<T>(carry = F::apply(carry, C(s[i])));
        return carry;
    }
}

template <class F>
void scan_cols(size_t rows, size_t cols, void *d, const void *source, void *carry, bool fresh) {
    using T = typename F::T;
    using C = typename F::C;
    auto *to = static_cast<T *>(d);
    auto *s = static_cast<const T *>(source);
    auto *c = static_cast<C *>(carry);
    if (fresh) std::fill_n(c, cols, F::neutral());
    if (cols < FEW_LINES) {
        for (size_t j = 0; j < cols; j++) {
            C before = c[j];
            for (size_t at = j; at < rows * cols; at += cols)
                to[at] = static_cast<T>(before = F::apply(before, C(s[at])));
            c[j] = before;
        }
        return;
    }
    for (size_t i = 0; i < rows; i++, to += cols, s += cols) {
#pragma GCC ivdep
        for (size_t j = 0; j < cols; j++) to[j] = static_cast<T>(c[j] = F::apply(c[j], C(s[j])));
    }
}

// Rows of a function that costs much, side by side: as columns.
constexpr size_t LINES = 32, ELEMENTS = 32;
template <class F>
void scan_as_columns(size_t rows, size_t cols, typename F::T *d, const typename F::T *s,
                     typename F::C *carry, bool fresh) {
    using T = typename F::T;
    alignas(64) T block[LINES * ELEMENTS];
    const auto stride = ptrdiff_t(cols);
    for (size_t i = 0; i < rows; i += LINES) {
        const size_t lines = std::min(LINES, rows - i);
        for (size_t j = 0; j < cols; j += ELEMENTS) {
            const size_t n = std::min(ELEMENTS, cols - j), at = i * cols + j;
            transpose<T>(n, lines, block, ptrdiff_t(lines), s + at, stride);
            scan_cols<F>(n, lines, block, block, carry + i, fresh && j == 0);
            transpose<T>(lines, n, d + at, stride, block, ptrdiff_t(lines));
        }
    }
}

template <class F>
void scan_rows(size_t rows, size_t cols, void *d, const void *source, void *carry, bool fresh) {
    auto *to = static_cast<typename F::T *>(d);
    auto *s = static_cast<const typename F::T *>(source);
    auto *c = static_cast<typename F::C *>(carry);
    if constexpr (Vectorised<F>) {
        constexpr auto LENGTHS = std::make_index_sequence<FEW - 2>(); // a block is no less
        if (scan_if_short<F>(rows, cols, to, s, c, fresh, LENGTHS)) return;
    } else if constexpr (std::is_floating_point_v<typename F::C>) {
        if (rows >= FEW_LINES) return scan_as_columns<F>(rows, cols, to, s, c, fresh);
    }
    for (size_t i = 0; i < rows; i++, to += cols, s += cols)
        c[i] = scan_row<F>(cols, to, s, fresh ? F::neutral() : c[i]);
}

} // namespace

void fill_scans(LoopTable &t) {
#define X(OP, TYPE, ...)                                                                           \
    t.scan[GI_OP_##OP][GI_##TYPE] = {scan_rows<OP##_##TYPE>, scan_cols<OP##_##TYPE>};
    GI_SCAN(X)
#undef X
}

} // namespace gint::GINT_SIMD_NAMESPACE
