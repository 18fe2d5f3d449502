// How a link of a chain reads what it combines the accumulator with.
#pragma once

#include "loops/half_vectors.h"
#include "loops/loops.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

template <class T> inline V<T> broadcast(const void *p) {
    const T value = *static_cast<const T *>(p);
    return value - V<T>{}; // x - 0 is x for every x, the sign of zero included
}

constexpr uint8_t half_type(ChainForm form) { return form == CHAIN_F16 ? GI_f16 : GI_bf16; }

// What a link combines with: elements, or a scalar broadcast once per block.
template <class T, ChainForm FORM> struct Operand {
    const char *p;
    Operand(const void *operand, ptrdiff_t offset)
        : p(static_cast<const char *>(operand) + offset / 2) {}
    V<T> operator[](int n) const { return Half<half_type(FORM)>::widen(load_halves(p, n)); }
};
template <class T> struct Operand<T, CHAIN_PACKED> {
    const char *p;
    Operand(const void *operand, ptrdiff_t offset)
        : p(static_cast<const char *>(operand) + offset) {}
    V<T> operator[](int n) const { return load<T>(p, n); }
};
template <class T> struct Operand<T, CHAIN_SCALAR> {
    V<T> value;
    Operand(const void *operand, ptrdiff_t) : value(broadcast<T>(operand)) {}
    V<T> operator[](int) const { return value; }
};

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
