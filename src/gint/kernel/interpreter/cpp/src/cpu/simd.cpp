// Choosing the instruction set, once per process: the best one built in that this CPU has, or the
// one named by GINT_CPP_ISA (for tests and comparisons).
#include "cpu/simd_unit.h"

#include <cstdlib>
#include <cstring>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h> // simd_units.inc asks for features
#endif

// A set that adds nothing to the interpreter's loops takes those of INTERPRETER.
#define GINT_SIMD_UNIT(NAMESPACE, INTERPRETER, SUPPORTED)                                          \
    namespace gint::INTERPRETER {                                                                  \
    const LoopTable *table();                                                                      \
    const QuantizedF32Table *quantized_f32_table();                                                \
    const AttentionTable *attention_table();                                                       \
    const ScatterTable *scatter_table();                                                           \
    const RowTable *row_table();                                                                   \
    const DenseTable *dense_table();                                                               \
    }                                                                                              \
    namespace gint::NAMESPACE {                                                                    \
    const QuantizedTable *quantized_table();                                                       \
    }
#include "simd_units.inc"
#undef GINT_SIMD_UNIT

namespace gint {

#define GINT_SIMD_UNIT(NAMESPACE, INTERPRETER, SUPPORTED)                                          \
    SimdUnit{#NAMESPACE,                                                                           \
             [] { return static_cast<bool>(SUPPORTED); },                                          \
             INTERPRETER::table,                                                                   \
             NAMESPACE::quantized_table,                                                           \
             INTERPRETER::quantized_f32_table,                                                     \
             INTERPRETER::attention_table,                                                         \
             INTERPRETER::row_table,                                                               \
             INTERPRETER::scatter_table,                                                           \
             INTERPRETER::dense_table},
static const SimdUnit UNITS[] = {
#include "simd_units.inc"
};
#undef GINT_SIMD_UNIT

const SimdUnit *simd_units(size_t *count) {
    *count = sizeof UNITS / sizeof *UNITS;
    return UNITS;
}

static const SimdUnit *choose() {
    const char *wanted = std::getenv("GINT_CPP_ISA");
    for (const SimdUnit &unit : UNITS) {
        const char *name = unit.name + std::strlen("simd_");
        if (unit.supported() && (!wanted || !*wanted || !std::strcmp(name, wanted))) return &unit;
    }
    return nullptr;
}

const SimdUnit *simd_unit() {
    static const SimdUnit *chosen = choose();
    return chosen;
}

} // namespace gint
