// What the loops of one row's attention offer to the rest of the interpreter.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace gint {

// A head of keys and values, and the queries that share it. Strides in elements.
struct HeadGroup {
    size_t queries, keys, size, block;
    const float *q; // (queries, size)
    const float *k; // (keys / block, size, block): a block's first values, its second ones ...
    size_t k_block, k_stride;
    const float *v; // (keys, size)
    size_t v_stride;
    const uint8_t *keep; // (keys): 0 leaves one out
    float scale;
    float *scores; // (queries, keys), overwritten
    float *out;    // (queries, size)
};

struct AttentionTable {
    // out <- softmax(q k * scale, over the keys that are kept) v; 0 where none counts.
    void (*attend)(const HeadGroup &);
};

} // namespace gint
