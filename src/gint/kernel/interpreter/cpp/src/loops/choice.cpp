// Choices by a comparison as links of chains: no mask leaves the registers.
#include "loops/chain_operand.h"
#include "loops/comparisons.h"

#include <utility>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// An operand of a choice: the accumulator's own register, or as any link's.
template <class T, ChoiceForm FORM> struct Chosen;
template <class T> struct Chosen<T, CHOICE_ACCUMULATOR> {
    Chosen(const void *, ptrdiff_t) {}
    V<T> of(V<T> accumulator, int) const { return accumulator; }
};
template <class T, ChainForm FORM> struct Read {
    Operand<T, FORM> operand;
    Read(const void *p, ptrdiff_t offset) : operand(p, offset) {}
    V<T> of(V<T>, int n) const { return operand[n]; }
};
template <class T> struct Chosen<T, CHOICE_SCALAR> : Read<T, CHAIN_SCALAR> {
    using Read<T, CHAIN_SCALAR>::Read;
};
template <class T> struct Chosen<T, CHOICE_PACKED> : Read<T, CHAIN_PACKED> {
    using Read<T, CHAIN_PACKED>::Read;
};
template <class T> struct Chosen<T, CHOICE_BF16> : Read<T, CHAIN_BF16> {
    using Read<T, CHAIN_BF16>::Read;
};

// a compares with b ? x : y
template <class T, class Comparison, ChoiceForm A, ChoiceForm X, ChoiceForm Y>
void choice(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h, const ChainArgument *at,
            ptrdiff_t offset) {
    const Chosen<T, A> compared(at[0].operand, offset);
    const V<T> edge = broadcast<T>(at[1].operand);
    const Chosen<T, X> x(at[2].operand, offset);
    const Chosen<T, Y> y(at[3].operand, offset);
    auto step = [&](V<T> acc, int n) {
        return Comparison::of(compared.of(acc, n), edge) ? x.of(acc, n) : y.of(acc, n);
    };
    const ChainArgument *next = at + CHOICE_OPERANDS;
    return reinterpret_cast<Link<T>>(next->link)(step(a, 0), step(b, 1), step(c, 2), step(d, 3),
                                                 step(e, 4), step(f, 5), step(g, 6), step(h, 7),
                                                 next, offset);
}

constexpr bool exists(bool is_float, ChoiceForm a, ChoiceForm x, ChoiceForm y) {
    const bool has_accumulator =
        a == CHOICE_ACCUMULATOR || x == CHOICE_ACCUMULATOR || y == CHOICE_ACCUMULATOR;
    const bool has_half = a == CHOICE_BF16 || x == CHOICE_BF16 || y == CHOICE_BF16;
    return has_accumulator && a != CHOICE_SCALAR && (is_float || !has_half);
}

template <class T, class Comparison, size_t N> void add_one(ChoiceLinks &links) {
    constexpr auto A = ChoiceForm(N / 16), X = ChoiceForm(N / 4 % 4), Y = ChoiceForm(N % 4);
    if constexpr (exists(sizeof(T) == sizeof(float), A, X, Y))
        links[A][X][Y] = erase<T>(choice<T, Comparison, A, X, Y>);
}
template <class T, class Comparison, size_t... N>
void add_all(ChoiceLinks &links, std::index_sequence<N...>) {
    (add_one<T, Comparison, N>(links), ...);
}
template <class T> void add(ChainLoops &k) {
    constexpr std::make_index_sequence<64> all;
#define X(OP, NAME) add_all<T, NAME>(k.choose[GI_OP_##OP - GI_OP_NE], all);
    GI_COMPARISONS(X)
#undef X
}

} // namespace

void fill_choices(LoopTable &t) { add<float>(t.chain[GI_f32]), add<double>(t.chain[GI_f64]); }

} // namespace gint::GINT_SIMD_NAMESPACE
