// What the loops of one row's attention offer to the rest of the interpreter.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cpu/share.h"

namespace gint {

// Memory that will be read soon, in this order. The loops ask for it while they compute, and move
// on in it: so memory is never idle, whoever reads what.
struct Ahead {
    const Piece *next = nullptr, *end = nullptr;
    const uint8_t *at = nullptr;
    size_t lines = 0; // left of the piece at hand
    size_t lead = 0;  // lines that were asked for and not yet read
};

// A head of keys and values, and the queries that share it. Strides in elements. Keys from `first`
// on, a multiple of `block`, and before `stop` count, if they are kept.
struct HeadGroup {
    size_t queries, keys, size, block, first, stop;
    const float *q; // (queries, size)
    bool is_half;   // whether keys and values are float16, otherwise float32
    const void *k;  // (keys / block, size, block): a block's first values, its second ones ...
    size_t k_block, k_stride;
    const void *v; // (keys, size)
    size_t v_stride;
    const uint8_t *keep; // (keys): 0 leaves one out
    float scale;
    float *scores; // (queries, keys), overwritten
    float *out;    // (queries, size)
    Ahead *ahead;
};

// Queries that share a row of keys and one of values, all of them rows. Strides in elements.
struct QueryGroup {
    size_t queries, keys, size;
    const float *q; // (queries, size)
    size_t q_stride;
    const float *k, *v; // (keys, size)
    size_t k_stride, v_stride;
    const float *mask; // (queries, keys), is added; or null
    size_t mask_stride, mask_step;
    float scale;
    float *scores; // (queries, keys) without gaps, overwritten
    float *out;    // (queries, size)
    size_t out_stride;
};

struct AttentionTable {
    // out <- softmax(q k * scale, over the keys that are kept) v; 0 where none counts.
    void (*attend)(const HeadGroup &);
    // out <- softmax(q k * scale + mask, over the keys) v; 0 where all of that is -inf.
    void (*attend_rows)(const QueryGroup &);
};

} // namespace gint
