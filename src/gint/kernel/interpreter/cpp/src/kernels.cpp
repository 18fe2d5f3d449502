// Placeholder: compiled once per instruction set, each time into its own namespace.
#include <cstddef>

namespace gint::GINT_SIMD_NAMESPACE {

void add(const float *x, const float *y, float *out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) out[i] = x[i] + y[i];
}

} // namespace gint::GINT_SIMD_NAMESPACE
