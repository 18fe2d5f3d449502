// Choices by a comparison, without a mask in memory.
#include "loops/comparisons.h"
#include "loops/operand.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

template <class T, class Comparison, unsigned S>
void select(size_t n, void *d, const void *pa, const void *pb, const void *px, const void *py) {
    auto *r = static_cast<T *>(d);
    auto *a = static_cast<const T *>(pa);
    const Operand<T, (S & SCALAR_A) != 0> b(pb);
    const Operand<T, (S & SCALAR_B) != 0> x(px);
    const Operand<T, (S & SCALAR_C) != 0> y(py);
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) {
        const T then = x[i], otherwise = y[i]; // both are read: no jump
        r[i] = Comparison::of(a[i], b[i]) ? then : otherwise;
    }
}

template <class T, class Comparison> void add_variants(SelectFn *fn) {
    fn[0] = select<T, Comparison, 0>, fn[1] = select<T, Comparison, 1>;
    fn[2] = select<T, Comparison, 2>, fn[3] = select<T, Comparison, 3>;
    fn[4] = select<T, Comparison, 4>, fn[5] = select<T, Comparison, 5>;
    fn[6] = select<T, Comparison, 6>, fn[7] = select<T, Comparison, 7>;
}
template <class Comparison> void add(LoopTable &t, GiOpcode op) {
    add_variants<float, Comparison>(t.select[op - GI_OP_NE][GI_f32]);
    add_variants<double, Comparison>(t.select[op - GI_OP_NE][GI_f64]);
}

} // namespace

void fill_selects(LoopTable &t) {
#define X(OP, NAME) add<NAME>(t, GI_OP_##OP);
    GI_COMPARISONS(X)
#undef X
}

} // namespace gint::GINT_SIMD_NAMESPACE
