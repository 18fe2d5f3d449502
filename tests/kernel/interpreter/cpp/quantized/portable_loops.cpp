// The quantised products with the loops of one instruction set, for test_portable.py: built without
// any, it runs the plain C++ that serves NEON and all else.
#include "cpu/simd_unit.h"
#include "quantized/quantized.h"

namespace gint {

namespace simd_portable {
const QuantizedTable *quantized_table();
const QuantizedF32Table *quantized_f32_table();
} // namespace simd_portable

const SimdUnit *simd_unit() {
    static const SimdUnit unit{"simd_portable", nullptr, nullptr, simd_portable::quantized_table,
                               simd_portable::quantized_f32_table};
    return &unit;
}

} // namespace gint

extern "C" void multiply(int format, size_t outputs, size_t inputs, const uint8_t *data,
                         size_t rows, const float *x, float *out, bool quantize_activations) {
    using namespace gint;
    const QuantizedMatrix matrix{QuantizedFormat(format), outputs, inputs};
    const PackedWeights packed(matrix, data, 1);
    const Product product{matrix,
                          &packed,
                          nullptr,
                          rows,
                          x,
                          ptrdiff_t(inputs),
                          out,
                          ptrdiff_t(outputs),
                          quantize_activations};
    multiply({&product, 1}, 1);
}
