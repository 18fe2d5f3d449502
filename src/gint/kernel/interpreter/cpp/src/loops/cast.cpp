// Casts between compute types, and the conversions of storage-only types at load and store.
#include "loops/loops.h"
#include "loops/numeric.h"
#include "loops/operand.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// Float to integer truncates. A value that does not fit gives what the conversion instruction of
// the CPU gives; to a narrow integer it goes through i32, which then wraps.
template <class To, class From> struct Convert {
    static inline To of(From x) { return static_cast<To>(x); }
};
template <class From> struct Convert<bool, From> {
    static inline bool of(From x) { return x != From(0); }
};
#define NARROW(TO)                                                                                 \
    template <> struct Convert<TO, float> {                                                        \
        static inline TO of(float x) { return static_cast<TO>(static_cast<int32_t>(x)); }          \
    };                                                                                             \
    template <> struct Convert<TO, double> {                                                       \
        static inline TO of(double x) { return static_cast<TO>(static_cast<int32_t>(x)); }         \
    };
NARROW(uint8_t)
NARROW(int8_t)
NARROW(int16_t)
#undef NARROW

template <class To, class From>
void cast(size_t n, void *d, const void *a, const void *, const void *, int32_t *) {
    auto *to = static_cast<To *>(d);
    const Operand<From, false> from(a);
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) to[i] = Convert<To, From>::of(from[i]);
}

// Storage-only types and f32. gcc does not find the float16 instructions in a loop by itself.
#define STORAGE(TYPE, WIDEN, NARROW)                                                               \
    void widen_##TYPE(size_t n, void *d, const void *a, const void *, const void *, int32_t *) {   \
        auto *to = static_cast<float *>(d);                                                        \
        auto *from = static_cast<const uint16_t *>(a);                                             \
        WIDEN;                                                                                     \
    }                                                                                              \
    void narrow_##TYPE(size_t n, void *d, const void *a, const void *, const void *, int32_t *) {  \
        auto *to = static_cast<uint16_t *>(d);                                                     \
        auto *from = static_cast<const float *>(a);                                                \
        NARROW;                                                                                    \
    }
STORAGE(f16, gi_f16_to_f32_rows(long(n), from, to), gi_f32_to_f16_rows(long(n), from, to))
STORAGE(bf16, for (size_t i = 0; i < n; i++) to[i] = gi_bf16_to_f32(from[i]),
        for (size_t i = 0; i < n; i++) to[i] = gi_f32_to_bf16(from[i]))
#undef STORAGE

} // namespace

void fill_casts(LoopTable &t) {
#define X(TO, TO_C, FROM, FROM_C) t.cast[GI_##TO][GI_##FROM] = cast<TO_C, FROM_C>;
    GI_CASTS(X)
#undef X
    t.widen[GI_f16] = widen_f16;
    t.widen[GI_bf16] = widen_bf16;
    t.narrow[GI_f16] = narrow_f16;
    t.narrow[GI_bf16] = narrow_bf16;
}

} // namespace gint::GINT_SIMD_NAMESPACE
