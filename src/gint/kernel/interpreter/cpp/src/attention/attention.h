// One row's attention over a cache of keys and values, on several threads.
#pragma once

#include "attention/attention_table.h"

namespace gint {

// Sizes and strides, in elements, of a row and a cache: queries (heads, queries, size) without
// gaps, keys (heads, keys / block, size, block), values (heads, keys, size).
struct AttentionLayout {
    size_t heads, queries, keys, size, block;
    size_t k_head, k_block, k_stride, v_head, v_stride;
};

struct AttentionOperands {
    const float *q, *k, *v;
    const uint8_t *keep; // (keys)
    float *scores;       // (heads, queries, keys), overwritten
    float *out;          // (heads, queries, size)
};

// Scores are scaled by 1 / sqrt(size). Up to `threads` threads (0: OpenMP's own number); the result
// does not depend on it.
void attend(const AttentionLayout &layout, const AttentionOperands &operands, int threads);

} // namespace gint
