// The instruction sets built in, and which of them this CPU uses.
#pragma once

#include <cstddef>

namespace gint {

struct AttentionTable;
struct DenseTable;
struct LoopTable;
struct QuantizedF32Table;
struct QuantizedTable;
struct RowTable;
struct ScatterTable;

struct SimdUnit {
    const char *name;
    bool (*supported)();
    const LoopTable *(*table)();                 // the interpreter's loops
    const QuantizedTable *(*quantized)();        // the loops of quantised products
    const QuantizedF32Table *(*quantized_f32)(); // those with float32 activations; packing
    const AttentionTable *(*attention)();        // the loops of one row's attention
    const RowTable *(*row)();                    // the loops of its smaller steps
    const ScatterTable *(*scatter)();            // the loops of scatters
    const DenseTable *(*dense)();                // the loops of float32 products and convolutions
};

// The instruction sets built in, best first, and the first of them that this CPU has.
const SimdUnit *simd_units(size_t *count);
// Null where this CPU has none of them.
const SimdUnit *simd_unit();

} // namespace gint
