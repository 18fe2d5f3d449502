// Quantised products: packed weights, and products with them on several threads.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cpu/share.h"
#include "quantized/quantized_table.h"

namespace gint {

// A matrix of `outputs` rows of `inputs` values in whole blocks of GGUF's, row by row.
struct QuantizedMatrix {
    QuantizedFormat format;
    size_t outputs, inputs;

    const QuantizedFacts &facts() const { return QUANTIZED_FACTS[format]; }
    size_t blocks() const { return inputs / facts().block; }
    size_t groups() const { return (outputs + LANES - 1) / LANES; }
    size_t row_bytes() const { return blocks() * facts().row_block; }
    size_t group_bytes() const { return facts().group_bytes(blocks()); }
};

// Memory aligned to a cache line; much of it is of its own, in large pages.
class Memory {
  public:
    explicit Memory(size_t bytes); // throws std::bad_alloc
    uint8_t *get() const { return at.get(); }

  private:
    struct Free {
        size_t mapped; // bytes that are the system's; 0 for malloc's memory
        void operator()(uint8_t *p) const;
    };
    std::unique_ptr<uint8_t, Free> at{nullptr, Free{0}};
};

// Weights in the loops' own layout.
class PackedWeights {
  public:
    PackedWeights(const QuantizedMatrix &matrix, const uint8_t *rows, int threads);

    const QuantizedMatrix matrix;
    const size_t bytes;
    const uint8_t *group(size_t n) const { return memory.get() + n * matrix.group_bytes(); }
    void unpack(uint8_t *rows) const;
    // The values of the rows of these numbers, one after the other; negative ones count from the
    // end. Throws std::out_of_range, and nothing is written.
    void decode(const int64_t *numbers, size_t count, float *values) const;

  private:
    Memory memory;
};

// What a thread of so many reads first in products with these, made at once.
Piece read_by(const std::vector<const PackedWeights *> &weights, size_t thread, size_t threads);

// Float32 matrices; strides in elements, rows without gaps.
struct Product {
    QuantizedMatrix matrix;
    const PackedWeights *packed; // or null, and the weights are `rows`
    const uint8_t *rows;
    size_t count; // rows of x and out
    const float *x;
    ptrdiff_t x_stride;
    float *out;
    ptrdiff_t out_stride;
    bool quantize_activations;
};

// Products that have one x, to be made at once: x is rounded once, and threads meet once.
using Products = std::span<const Product>;
bool have_one_x(const Product &a, const Product &b);

// out[i, o] <- sum of x[i, k] * weights[o, k], of one product or more. Up to `threads` threads (0:
// OpenMP's own number); the results do not depend on it, nor on whether the weights are packed, nor
// on the other rows or products. The beginning of what is read next, if that is known, is asked for
// at the end.
void multiply(Products products, int threads, const NextRead &next = {});

// Reads all bytes as the products would; for benchmarks. Returns something that depends on them.
uint64_t read_all(const uint8_t *p, size_t bytes, int threads);

} // namespace gint
