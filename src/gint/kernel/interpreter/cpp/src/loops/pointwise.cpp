// The pointwise loops: one per opcode, type and choice of scalar operands, written once as a
// template that the compiler vectorises. Compiled once per instruction set; everything lives in
// unnamed namespaces so that no symbol is shared between the sets.
#include "loops/loops.h"
#include "loops/near.h"
#include "loops/numeric.h"
#include "loops/operand.h"
#include "loops/wide.h"

#include <algorithm>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

constexpr unsigned COST[] = {
#define X(OP, NAME, READS, OP_COST, ...) OP_COST,
    GI_OPCODES(X)
#undef X
};

// One struct per row of the table: OPCODE_type, with the expression as `apply`. (A call that gcc
// does not inline, since it is long and made in several loops, would keep them from vectors.)
#define X(OP, TYPE, R, A, EXPR)                                                                    \
    struct OP##_##TYPE {                                                                           \
        using Result = R;                                                                          \
        [[gnu::always_inline]] static inline R apply(A a, int &error) {                            \
            (void)error;                                                                           \
            return EXPR;                                                                           \
        }                                                                                          \
        template <class W> [[gnu::always_inline]] static inline auto wide(W a) -> decltype(EXPR) { \
            return EXPR;                                                                           \
        }                                                                                          \
        template <class W> static inline auto near(int &, W a) -> decltype(EXPR) { return EXPR; }  \
        using First = A;                                                                           \
    };
GI_POINTWISE_1(X)
#undef X
#define X(OP, TYPE, R, A, B, EXPR)                                                                 \
    struct OP##_##TYPE {                                                                           \
        using Result = R;                                                                          \
        using First = A;                                                                           \
        using Second = B;                                                                          \
        static constexpr GiOpcode OPCODE = GI_OP_##OP;                                             \
        [[gnu::always_inline]] static inline R apply(A a, B b, int &error) {                       \
            (void)error;                                                                           \
            return EXPR;                                                                           \
        }                                                                                          \
        template <class W>                                                                         \
        static inline auto near([[maybe_unused]] int &error, W a, W b) -> decltype(EXPR) {         \
            return EXPR;                                                                           \
        }                                                                                          \
    };
GI_POINTWISE_2(X)
#undef X
#define X(OP, TYPE, R, A, B, C, EXPR)                                                              \
    struct OP##_##TYPE {                                                                           \
        using Result = R;                                                                          \
        using First = A;                                                                           \
        using Second = B;                                                                          \
        using Third = C;                                                                           \
        [[gnu::always_inline]] static inline R apply(A a, B b, C c, int &error) {                  \
            (void)error;                                                                           \
            return EXPR;                                                                           \
        }                                                                                          \
    };
GI_POINTWISE_3(X)
#undef X

template <class F> void unary_wide(size_t n, float *r, const float *a) {
    constexpr size_t COUNT = sizeof(Wide) / sizeof(float), FEW = 4;
    size_t i = 0;
    for (; i + COUNT <= n; i += COUNT) put(r + i, F::wide(load(a + i)));
    if (i == n) return;
    // A row's own value is one element: a whole block of them would cost more than computing it.
    if (n - i < FEW) {
        int flag = 0;
        for (; i < n; i++) r[i] = F::apply(a[i], flag);
        return;
    }
    float rest[COUNT] = {};
    memcpy(rest, a + i, (n - i) * sizeof(float));
    put(rest, F::wide(load(rest)));
    memcpy(r + i, rest, (n - i) * sizeof(float));
}

// Whether F has a quick form for most arguments.
template <class F, class... T>
concept HasNear = requires(int error, T... x) {
    { F::near(error, Near<T>{x}...) } -> IsGuess;
};

// A block at a time by the quick form; then those of its elements that are far, if there are any.
// The results come last, as they may be the very same elements as an operand.
template <class F, class... Operands>
void guess(size_t n, typename F::Result *r, int &flag, const Operands &...x) {
    constexpr size_t BLOCK = 256;
    typename F::Result found[BLOCK];
    auto near = [&](size_t i) { return F::near(flag, Near<typename F::First>{x[i]}...); };
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t count = std::min(BLOCK, n - first);
        decltype(near(0).is_far) any_far = 0;
        for (size_t i = 0; i < count; i++) {
            const auto one = near(first + i);
            found[i] = one.value;
            any_far |= one.is_far;
        }
        if (any_far)
            for (size_t i = 0; i < count; i++)
                if (near(first + i).is_far) found[i] = F::apply(x[first + i]..., flag);
        memcpy(r + first, found, count * sizeof found[0]);
    }
}

template <class F>
void unary(size_t n, void *d, const void *pa, const void *, const void *, int32_t *error) {
    auto *r = static_cast<typename F::Result *>(d);
    if constexpr (std::same_as<typename F::First, float> && HasWide<F, Wide>) {
        unary_wide<F>(n, r, static_cast<const float *>(pa));
    } else {
        const Operand<typename F::First, false> a(pa);
        int flag = 0;
        if constexpr (HasNear<F, typename F::First>) return guess<F>(n, r, flag, a);
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++) r[i] = F::apply(a[i], flag);
        *error |= flag;
    }
}

// (Not inlined: the repeated form, below, calls what the table has anyway.)
template <class F, unsigned S>
[[gnu::noinline]] void binary(size_t n, void *d, const void *pa, const void *pb, const void *,
                              int32_t *error) {
    auto *r = static_cast<typename F::Result *>(d);
    const Operand<typename F::First, (S & SCALAR_A) != 0> a(pa);
    const Operand<typename F::Second, (S & SCALAR_B) != 0> b(pb);
    int flag = 0;
    if constexpr (HasNear<F, typename F::First, typename F::Second>) {
        guess<F>(n, r, flag, a, b);
    } else {
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++) r[i] = F::apply(a[i], b[i], flag);
    }
    *error |= flag;
}

// The same with one scalar operand, which is repeated: gcc 12 makes jumps of what a long function
// asks of an operand that does not change, and then no vectors.
template <class F, unsigned S>
void binary_repeated(size_t n, void *d, const void *pa, const void *pb, const void *,
                     int32_t *error) {
    using Scalar = std::conditional_t<S == SCALAR_A, typename F::First, typename F::Second>;
    constexpr size_t BLOCK = 512;
    Scalar repeated[BLOCK];
    std::fill_n(repeated, std::min(BLOCK, n),
                *static_cast<const Scalar *>(S == SCALAR_A ? pa : pb));
    auto *r = static_cast<typename F::Result *>(d);
    for (size_t first = 0; first < n; first += BLOCK) {
        const void *a = repeated, *b = repeated;
        if (S == SCALAR_A)
            b = static_cast<const typename F::Second *>(pb) + first;
        else
            a = static_cast<const typename F::First *>(pa) + first;
        binary<F, 0>(std::min(BLOCK, n - first), r + first, a, b, b, error);
    }
}

template <class F, unsigned S> constexpr ApplyFn binary_with_scalar() {
    constexpr unsigned LONG = 5; // the cost of a division
    if constexpr (COST[F::OPCODE] > LONG)
        return binary_repeated<F, S>;
    else
        return binary<F, S>;
}

template <class F, unsigned S>
void ternary(size_t n, void *d, const void *pa, const void *pb, const void *pc, int32_t *error) {
    auto *r = static_cast<typename F::Result *>(d);
    const Operand<typename F::First, (S & SCALAR_A) != 0> a(pa);
    const Operand<typename F::Second, (S & SCALAR_B) != 0> b(pb);
    const Operand<typename F::Third, (S & SCALAR_C) != 0> c(pc);
    int flag = 0;
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) r[i] = F::apply(a[i], b[i], c[i], flag);
    *error |= flag;
}

} // namespace

void fill_pointwise(LoopTable &t) {
#define X(OP, TYPE, ...) t.apply[GI_OP_##OP][GI_##TYPE][0] = unary<OP##_##TYPE>;
    GI_POINTWISE_1(X)
#undef X
#define X(OP, TYPE, ...)                                                                           \
    t.apply[GI_OP_##OP][GI_##TYPE][0] = binary<OP##_##TYPE, 0>;                                    \
    t.apply[GI_OP_##OP][GI_##TYPE][SCALAR_A] = binary_with_scalar<OP##_##TYPE, SCALAR_A>();        \
    t.apply[GI_OP_##OP][GI_##TYPE][SCALAR_B] = binary_with_scalar<OP##_##TYPE, SCALAR_B>();
    GI_POINTWISE_2(X)
#undef X
#define X(OP, TYPE, ...)                                                                           \
    t.apply[GI_OP_##OP][GI_##TYPE][0] = ternary<OP##_##TYPE, 0>;                                   \
    t.apply[GI_OP_##OP][GI_##TYPE][SCALAR_B] = ternary<OP##_##TYPE, SCALAR_B>;                     \
    t.apply[GI_OP_##OP][GI_##TYPE][SCALAR_C] = ternary<OP##_##TYPE, SCALAR_C>;                     \
    t.apply[GI_OP_##OP][GI_##TYPE][SCALAR_B | SCALAR_C] = ternary<OP##_##TYPE, SCALAR_B | SCALAR_C>;
    GI_POINTWISE_3(X)
#undef X
}

} // namespace gint::GINT_SIMD_NAMESPACE
