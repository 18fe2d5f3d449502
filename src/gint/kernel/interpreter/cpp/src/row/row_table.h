// What the loops of one row's smaller steps offer to the rest of the interpreter.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace gint {

// By the names of gint.backend.protocol's ROW_ACTIVATIONS.
enum class RowActivation : uint8_t { SILU, GELU, GELU_ERF, RELU };
constexpr const char *ROW_ACTIVATIONS[] = {"silu", "gelu", "gelu_erf", "relu"};

struct RowTable {
    // x <- x + more, where there is more; out <- x / sqrt(mean(x * x) + eps) * weight. `out` may be
    // x. The order of the sum depends on n alone.
    void (*norm)(size_t n, float eps, float *x, const float *more, const float *weight, float *out);
    // x <- x + more
    void (*add)(size_t n, float *x, const float *more);
    // Pairs of x, by their angles' cosines and sines: values (i, half + i), or neighbours.
    void (*rotate)(size_t half, bool interleaved, const float *cos, const float *sin, float *x);
    // out <- x as float16, to the nearest
    void (*to_halves)(size_t n, const float *x, uint16_t *out);
    // out <- activation(gates) * ups
    void (*gate)(RowActivation activation, size_t n, const float *gates, const float *ups,
                 float *out);
    // The highest of the values, one or more; NaN where one is.
    float (*highest)(size_t n, const float *x);
    // out <- exp((x - highest) * scale)
    void (*chances)(size_t n, float highest, float scale, const float *x, float *out);
};

} // namespace gint
