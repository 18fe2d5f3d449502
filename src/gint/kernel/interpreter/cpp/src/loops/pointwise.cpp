// The pointwise loops: one per opcode, type and choice of scalar operands, written once as a
// template that the compiler vectorises. Compiled once per instruction set; everything lives in
// unnamed namespaces so that no symbol is shared between the sets.
#include "loops/loops.h"
#include "loops/numeric.h"
#include "loops/wide.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// One struct per row of the table: OPCODE_type, with the expression as `apply`.
#define X(OP, TYPE, R, A, EXPR)                                                                    \
    struct OP##_##TYPE {                                                                           \
        using Result = R;                                                                          \
        static inline R apply(A a, int &error) {                                                   \
            (void)error;                                                                           \
            return EXPR;                                                                           \
        }                                                                                          \
        template <class W> [[gnu::always_inline]] static inline auto wide(W a) -> decltype(EXPR) { \
            return EXPR;                                                                           \
        }                                                                                          \
        using First = A;                                                                           \
    };
GI_POINTWISE_1(X)
#undef X
#define X(OP, TYPE, R, A, B, EXPR)                                                                 \
    struct OP##_##TYPE {                                                                           \
        using Result = R;                                                                          \
        using First = A;                                                                           \
        using Second = B;                                                                          \
        static inline R apply(A a, B b, int &error) {                                              \
            (void)error;                                                                           \
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
        static inline R apply(A a, B b, C c, int &error) {                                         \
            (void)error;                                                                           \
            return EXPR;                                                                           \
        }                                                                                          \
    };
GI_POINTWISE_3(X)
#undef X

// An operand of a loop: packed elements, or one scalar read before the loop starts.
template <class T, bool SCALAR> struct Operand;
// gcc 12 makes a jump of every bool that it reads as one, and a mask of a byte that it compares.
template <> struct Operand<bool, false> {
    const uint8_t *p;
    explicit Operand(const void *s) : p(static_cast<const uint8_t *>(s)) {}
    bool operator[](size_t i) const { return p[i] != 0; }
};
template <class T> struct Operand<T, false> {
    const T *p;
    explicit Operand(const void *s) : p(static_cast<const T *>(s)) {}
    T operator[](size_t i) const { return p[i]; }
};
template <class T> struct Operand<T, true> {
    T value;
    explicit Operand(const void *s) : value(*static_cast<const T *>(s)) {}
    T operator[](size_t) const { return value; }
};

template <class F> void unary_wide(size_t n, float *r, const float *a) {
    constexpr size_t COUNT = sizeof(Wide) / sizeof(float);
    size_t i = 0;
    for (; i + COUNT <= n; i += COUNT) put(r + i, F::wide(load(a + i)));
    if (i == n) return;
    float rest[COUNT] = {};
    memcpy(rest, a + i, (n - i) * sizeof(float));
    put(rest, F::wide(load(rest)));
    memcpy(r + i, rest, (n - i) * sizeof(float));
}

template <class F>
void unary(size_t n, void *d, const void *pa, const void *, const void *, int32_t *error) {
    auto *r = static_cast<typename F::Result *>(d);
    if constexpr (std::same_as<typename F::First, float> && HasWide<F, Wide>) {
        unary_wide<F>(n, r, static_cast<const float *>(pa));
    } else {
        const Operand<typename F::First, false> a(pa);
        int flag = 0;
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++) r[i] = F::apply(a[i], flag);
        *error |= flag;
    }
}

template <class F, unsigned S>
void binary(size_t n, void *d, const void *pa, const void *pb, const void *, int32_t *error) {
    auto *r = static_cast<typename F::Result *>(d);
    const Operand<typename F::First, S & SCALAR_A> a(pa);
    const Operand<typename F::Second, S & SCALAR_B> b(pb);
    int flag = 0;
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) r[i] = F::apply(a[i], b[i], flag);
    *error |= flag;
}

template <class F, unsigned S>
void ternary(size_t n, void *d, const void *pa, const void *pb, const void *pc, int32_t *error) {
    auto *r = static_cast<typename F::Result *>(d);
    const Operand<typename F::First, S & SCALAR_A> a(pa);
    const Operand<typename F::Second, S & SCALAR_B> b(pb);
    const Operand<typename F::Third, S & SCALAR_C> c(pc);
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
    t.apply[GI_OP_##OP][GI_##TYPE][SCALAR_A] = binary<OP##_##TYPE, SCALAR_A>;                      \
    t.apply[GI_OP_##OP][GI_##TYPE][SCALAR_B] = binary<OP##_##TYPE, SCALAR_B>;
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
