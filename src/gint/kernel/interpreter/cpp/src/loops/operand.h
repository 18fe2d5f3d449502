// How a loop reads an operand.
#pragma once

#include "loops/loops.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

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

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
