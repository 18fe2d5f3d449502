// One row's attention over a cache of keys and values, on several threads.
#pragma once

#include "attention/attention_table.h"

namespace gint {

// Sizes and strides, in elements, of a row and a cache: queries (heads, queries, size) without
// gaps, keys (heads, keys / block, size, block), values (heads, keys, size).
struct AttentionLayout {
    size_t heads, queries, keys, size, block;
    size_t k_head, k_block, k_stride, v_head, v_stride;
    bool is_half; // whether keys and values are float16, otherwise float32
};

struct AttentionOperands {
    const float *q;
    const void *k, *v;
    const uint8_t *keep; // (keys)
    float *scores;       // (heads, queries, keys), overwritten
    float *out;          // (heads, queries, size)
};

// Scores are scaled by 1 / sqrt(size). Up to `threads` threads (0: OpenMP's own number); the result
// does not depend on it. Keys before the first and behind the last that are kept are not read. What
// comes next, if that is known, is asked for meanwhile.
void attend(const AttentionLayout &layout, const AttentionOperands &operands, int threads,
            const NextRead &next = {});

// Heads of rows as torch has them: queries (batch, heads, rows, size), keys and values (batch,
// heads / group, keys, size), a mask (batch, heads, rows, keys) that is added, a result (batch,
// heads, rows, size). Strides in elements; the last one of all but the mask is 1.
struct RowsLayout {
    size_t batch, heads, rows, size, group, keys;
    struct Strides {
        size_t batch, head, row;
    } q, k, v, mask, out;
    size_t mask_step;
    float scale;
};

struct RowsOperands {
    const float *q, *k, *v, *mask; // mask: or null
    float *out;
};

// As above, with any scale. Keys before the first and behind the last that the mask leaves are not
// read, whatever they are. Throws std::bad_alloc.
void attend_rows(const RowsLayout &layout, const RowsOperands &operands, int threads,
                 const NextRead &next = {});

} // namespace gint
