// The loops of one row's attention. Compiled once per instruction set; everything lives in unnamed
// namespaces so that no symbol is shared between the sets.
//
// Both products keep a block of results in registers, up to 4 queries by 4 vectors, so that a
// vector of keys or values that was read meets all queries that share it. Lanes are keys in the
// first and values of a head in the second: nothing is added up across a register.
#include "attention/attention_table.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "loops/half_vectors.h"
#include "loops/wide.h"

namespace gint::GINT_SIMD_NAMESPACE {

const AttentionTable *attention_table();

namespace {

constexpr float NOTHING = -std::numeric_limits<float>::infinity();

// How many lines may have been asked for that are not yet read: a quarter of a second cache.
constexpr size_t MOST_LEAD = (size_t(256) << 10) / 64;

inline void ask(Ahead &ahead, size_t lines) {
    while (lines--) {
        if (ahead.lines == 0) {
            if (ahead.next == ahead.end) return;
            ahead.at = static_cast<const uint8_t *>(ahead.next->at);
            ahead.lines = ahead.next++->bytes / 64;
        }
        __builtin_prefetch(ahead.at);
        ahead.at += 64, ahead.lines--;
    }
}

// So many bytes are being read: as many are asked for, and as many again until the lead is enough.
inline void went_on(Ahead *ahead, size_t bytes) {
    if (!ahead) return;
    const size_t lines = bytes / 64;
    ask(*ahead, lines);
    if (ahead->lead >= MOST_LEAD) return;
    ask(*ahead, lines);
    ahead->lead += lines;
}

// Rows of float32, or of float16.
inline Floats register_of(const float *row, int n) { return load<float>(row, n); }
inline Floats register_of(const uint16_t *row, int n) {
    return Half<GI_f16>::widen(load_halves(row, n));
}
inline float value_of(float x) { return x; }
inline float value_of(uint16_t x) { return gi_f16_to_f32(x); }

// result[n][lane] <- sum over i < count of x[n * x_stride + i] * rows[i * stride + lane]
template <int Q, int N, class T>
void multiply_block(size_t count, const float *x, size_t x_stride, const T *rows, size_t stride,
                    float *result, size_t result_stride, Ahead *ahead) {
    Floats sums[Q][N] = {};
    for (size_t i = 0; i < count; i++) {
        went_on(ahead, N * LANES * sizeof(T));
        Floats row[N];
        for (int n = 0; n < N; n++) row[n] = register_of(rows + i * stride, n);
        for (int q = 0; q < Q; q++) {
            const Floats value = x[size_t(q) * x_stride + i] - Floats{};
            for (int n = 0; n < N; n++) sums[q][n] = muladd(value, row[n], sums[q][n]);
        }
    }
    for (int q = 0; q < Q; q++)
        for (int n = 0; n < N; n++) put<float>(result + size_t(q) * result_stride, n, sums[q][n]);
}

// The same for Q queries and any number of lanes.
template <int Q, class T>
void multiply_rows(size_t count, size_t lanes, const float *x, size_t x_stride, const T *rows,
                   size_t stride, float *result, size_t result_stride, Ahead *ahead) {
    size_t at = 0;
    for (; at + 4 * LANES <= lanes; at += 4 * LANES)
        multiply_block<Q, 4>(count, x, x_stride, rows + at, stride, result + at, result_stride,
                             ahead);
    for (; at + LANES <= lanes; at += LANES)
        multiply_block<Q, 1>(count, x, x_stride, rows + at, stride, result + at, result_stride,
                             ahead);
    for (; at < lanes; at++)
        for (int q = 0; q < Q; q++) {
            float sum = 0;
            for (size_t i = 0; i < count; i++)
                sum += x[size_t(q) * x_stride + i] * value_of(rows[i * stride + at]);
            result[size_t(q) * result_stride + at] = sum;
        }
}

template <class T>
void multiply(size_t queries, size_t count, size_t lanes, const float *x, size_t x_stride,
              const T *rows, size_t stride, float *result, size_t result_stride,
              Ahead *ahead = nullptr) {
    size_t q = 0;
    for (; q + 4 <= queries; q += 4, ahead = nullptr) // the first queries find what the rest reads
        multiply_rows<4>(count, lanes, x + q * x_stride, x_stride, rows, stride,
                         result + q * result_stride, result_stride, ahead);
    for (; q < queries; q++, ahead = nullptr)
        multiply_rows<1>(count, lanes, x + q * x_stride, x_stride, rows, stride,
                         result + q * result_stride, result_stride, ahead);
}

// x <- exp(x - largest); their sum, in an order that depends on the number of keys alone.
float exponentials(size_t keys, float largest, float *x) {
    Wide sums(0.0f);
    size_t at = 0;
    for (; at + WIDE * LANES <= keys; at += WIDE * LANES) {
        const Wide powers = gi_exp_f32(load(x + at) - Wide(largest));
        sums = sums + powers;
        put(x + at, powers);
    }
    float lanes[WIDE * LANES], total = 0;
    put(lanes, sums);
    for (float lane : lanes) total += lane;
    for (; at < keys; at++) total += x[at] = gi_exp_f32(x[at] - largest);
    return total;
}

float largest_of(size_t keys, const float *x) {
    Floats most = NOTHING - Floats{};
    size_t at = 0;
    for (; at + LANES <= keys; at += LANES) most = maximum(most, load<float>(x + at, 0));
    float lanes[LANES], largest = NOTHING;
    put<float>(lanes, 0, most);
    for (float lane : lanes) largest = lane > largest ? lane : largest;
    for (; at < keys; at++) largest = x[at] > largest ? x[at] : largest;
    return largest;
}

// scores <- their share of 1 each; all 0 where every one is -inf.
void share(size_t keys, float *scores) {
    // exp(-inf - -inf) would be NaN.
    const float largest = largest_of(keys, scores);
    const float total = exponentials(keys, largest == NOTHING ? 0 : largest, scores);
    const float part = total == 0 ? 1 : 1 / total;
    for (size_t t = 0; t < keys; t++) scores[t] *= part;
}

// Keys in blocks, whose lanes are keys.

template <class T> void attend_blocks(const HeadGroup &g) {
    const T *k = static_cast<const T *>(g.k) + g.first / g.block * g.k_block;
    const T *v = static_cast<const T *>(g.v) + g.first * g.v_stride;
    for (size_t at = g.first; at < g.stop; at += g.block, k += g.k_block)
        multiply(g.queries, g.size, std::min(g.block, g.stop - at), g.q, g.size, k, g.k_stride,
                 g.scores + at, g.keys, g.ahead);
    // The scores of a whole block are computed on, which is as fast; keys and values are not read.
    const size_t count = g.stop - g.first, of_blocks = (count + g.block - 1) / g.block * g.block;
    const uint8_t *const keep = g.keep + g.first;
    for (size_t q = 0; q < g.queries; q++) {
        float *const scores = g.scores + q * g.keys + g.first;
        for (size_t t = 0; t < count; t++) scores[t] = keep[t] ? scores[t] * g.scale : NOTHING;
        std::fill(scores + count, scores + of_blocks, NOTHING);
        share(of_blocks, scores);
    }
    multiply(g.queries, count, g.size, g.scores + g.first, g.keys, v, g.v_stride, g.out, g.size,
             g.ahead);
}

void attend(const HeadGroup &g) {
    g.is_half ? attend_blocks<uint16_t>(g) : attend_blocks<float>(g);
}

// Keys in rows: as many as a register has lanes are multiplied with a query, each in a register of
// its own, and then added up together.

template <size_t HALF, size_t... I> Floats halved(Floats a, Floats b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, int(I & HALF ? I - HALF + LANES : I)...) +
           __builtin_shufflevector(a, b, int(I & HALF ? I + LANES : I + HALF)...);
}

// The sum of each of LANES registers, in its lane.
template <size_t HALF = LANES / 2> Floats sums_of(Floats *x) {
    for (size_t n = 0; n < HALF; n++)
        x[n] = halved<HALF>(x[n], x[n + HALF], std::make_index_sequence<LANES>());
    if constexpr (HALF == 1)
        return x[0];
    else
        return sums_of<HALF / 2>(x);
}

// scores[n] <- q k[n], for `keys` of them: LANES, or fewer.
void multiply_keys(size_t keys, size_t size, const float *q, const float *k, size_t stride,
                   float *scores) {
    Floats sums[LANES] = {};
    size_t at = 0;
    if (keys == LANES) {
        for (; at + LANES <= size; at += LANES) {
            const Floats x = load<float>(q + at, 0);
            for (size_t n = 0; n < LANES; n++)
                sums[n] = muladd(x, load<float>(k + n * stride + at, 0), sums[n]);
        }
    } else {
        for (; at + LANES <= size; at += LANES)
            for (size_t n = 0; n < keys; n++)
                sums[n] =
                    muladd(load<float>(q + at, 0), load<float>(k + n * stride + at, 0), sums[n]);
    }
    float lanes[LANES];
    put<float>(lanes, 0, sums_of(sums));
    for (size_t n = 0; n < keys; n++) {
        float sum = lanes[n];
        for (size_t i = at; i < size; i++) sum += q[i] * k[n * stride + i];
        scores[n] = sum;
    }
}

void attend_rows(const QueryGroup &g) {
    for (size_t q = 0; q < g.queries; q++) {
        const float *const mask = g.mask ? g.mask + q * g.mask_stride : nullptr;
        float *const scores = g.scores + q * g.keys;
        for (size_t at = 0; at < g.keys; at += LANES)
            multiply_keys(std::min(LANES, g.keys - at), g.size, g.q + q * g.q_stride,
                          g.k + at * g.k_stride, g.k_stride, scores + at);
        for (size_t t = 0; t < g.keys; t++) scores[t] *= g.scale;
        for (size_t t = 0; mask && t < g.keys; t++) scores[t] += mask[t * g.mask_step];
        share(g.keys, scores);
    }
    multiply(g.queries, g.keys, g.size, g.scores, g.keys, g.v, g.v_stride, g.out, g.out_stride);
}

} // namespace

const AttentionTable *attention_table() {
    static constexpr AttentionTable TABLE{attend, attend_rows};
    return &TABLE;
}

} // namespace gint::GINT_SIMD_NAMESPACE
