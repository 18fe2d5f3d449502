// What a run does by itself where keys and values of a cache come to it: attention of few rows.
#include "torch_steps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "attention/attention.h"
#include "torch_tensor.h"

namespace gint {

namespace {

// torch's kernel multiplies blocks of rows: from so many on it is faster.
constexpr int64_t MOST_ROWS = 4;

// Whether it is (batch, heads, rows, size) of floats, each row without gaps.
bool is_rows(const Tensor &t) {
    return t.rank == 4 && t.dtype == FLOAT && (t.strides[3] == 1 || t.sizes[3] == 1) &&
           std::all_of(t.strides, t.strides + 3, [](int64_t s) { return s >= 0; });
}
RowsLayout::Strides rows_of(const Tensor &t) {
    return {size_t(t.strides[0]), size_t(t.strides[1]), size_t(t.strides[2])};
}

// As torch's kernel: the queries' own where they have no gaps, otherwise without gaps in their
// order.
std::array<int64_t, 4> result_strides(const Tensor &q) {
    const int64_t *const s = q.sizes;
    std::array<int64_t, 4> order{0, 1, 2, 3};
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return std::pair(q.strides[a], s[a]) < std::pair(q.strides[b], s[b]);
    });
    int64_t next = 1;
    const bool is_dense = std::all_of(order.begin(), order.end(), [&](int64_t d) {
        return s[d] == 1 || std::exchange(next, next * s[d]) == q.strides[d];
    });
    if (is_dense) return {q.strides[0], q.strides[1], q.strides[2], q.strides[3]};
    if (q.strides[1] < q.strides[2]) return {s[1] * s[2] * s[3], s[3], s[1] * s[3], 1};
    return {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1};
}

// The mask's strides, 0 where it is broadcast; false where it is no mask of floats for this.
bool read_mask(TensorHandle handle, RowsLayout *l) {
    Tensor mask;
    if (!mask.read(handle) || mask.dtype != FLOAT || mask.rank > 4) return false;
    const std::array<size_t, 4> wanted{l->batch, l->heads, l->rows, l->keys};
    std::array<size_t, 4> strides{};
    for (int64_t d = 0; d < mask.rank; d++) {
        const size_t to = size_t(4 - mask.rank + d);
        if (mask.strides[d] < 0) return false;
        if (mask.sizes[d] == 1) continue;
        if (size_t(mask.sizes[d]) != wanted[to]) return false;
        strides[to] = size_t(mask.strides[d]);
    }
    l->mask = {strides[0], strides[1], strides[2]}, l->mask_step = strides[3];
    return true;
}

} // namespace

std::optional<Outcome> AttentionStep::run_rows(RunValue *values) const {
    Tensor q, k, v;
    if (is_causal || !q.read(values[query].handle) || !k.read(values[key].handle) ||
        !v.read(values[vectors].handle) || !is_rows(q) || !is_rows(k) || !is_rows(v))
        return {};
    const int64_t *const s = q.sizes, *const t = k.sizes;
    if (s[2] > MOST_ROWS || s[0] != t[0] || t[1] == 0 || s[1] % t[1] || s[3] != t[3] ||
        !std::equal(t, t + 4, v.sizes) || std::find(s, s + 4, 0) != s + 4 || t[2] == 0)
        return {};
    const double factor = is_scaled ? scale : 1 / std::sqrt(double(s[3]));
    RowsLayout l{size_t(s[0]),        size_t(s[1]), size_t(s[2]), size_t(s[3]),
                 size_t(s[1] / t[1]), size_t(t[2]), rows_of(q),   rows_of(k),
                 rows_of(v),          {},           {},           0,
                 float(factor)};
    if (mask != NONE && !read_mask(values[mask].handle, &l)) return {};
    const std::array<int64_t, 4> strides = result_strides(q);
    l.out = {size_t(strides[0]), size_t(strides[1]), size_t(strides[2])};
    TensorHandle made = nullptr;
    const ShimError error = torch_shim()->empty_strided(4, s, strides.data(), FLOAT, CPU, 0, &made);
    const Outcome kept = keep(error, made, &values[value]);
    if (kept != Outcome::done) return kept;
    const auto at = [&](Number n) { return reinterpret_cast<float *>(values[n].address); };
    try {
        attend_rows(l,
                    {at(query), at(key), at(vectors), mask == NONE ? nullptr : at(mask), at(value)},
                    0, *next);
    } catch (const std::bad_alloc &) {
        return Outcome::no_memory;
    }
    return Outcome::done;
}

Outcome AttentionStep::run(RunValue *values, const int64_t *, int32_t *) const {
    if (const auto outcome = run_rows(values)) return *outcome;
    TensorHandle made = nullptr, logsumexp = nullptr;
    TensorHandle masked = mask == NONE ? nullptr : values[mask].handle;
    double factor = scale;
    const ShimError error = torch_shim()->attention(
        values[query].handle, values[key].handle, values[vectors].handle, 0.0, is_causal,
        mask == NONE ? nullptr : &masked, is_scaled ? &factor : nullptr, &made, &logsumexp);
    if (!error) torch_shim()->free_tensor(logsumexp);
    return keep(error, made, &values[value]);
}

} // namespace gint
