// What a run does by itself where keys and values of a cache come to it: joining them with
// new ones, and attention of few rows.
#include "torch_steps.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "attention/attention.h"

namespace gint {

namespace {

constexpr int32_t CPU = 0, FLOAT = 6; // c10::ScalarType's number
// torch's kernel multiplies blocks of rows: from so many on it is faster.
constexpr int64_t MOST_ROWS = 4;

// A tensor as the shim tells it.
struct Tensor {
    int64_t rank = 0, *sizes = nullptr, *strides = nullptr;
    int32_t dtype = 0;

    bool read(TensorHandle handle) {
        const TorchShim &torch = *torch_shim();
        return !torch.rank(handle, &rank) && !torch.sizes(handle, &sizes) &&
               !torch.strides(handle, &strides) && !torch.dtype(handle, &dtype);
    }
    bool is_rows() const { // (batch, heads, rows, size) of floats, each row without gaps
        return rank == 4 && dtype == FLOAT && (strides[3] == 1 || sizes[3] == 1) &&
               std::all_of(strides, strides + 3, [](int64_t s) { return s >= 0; });
    }
    RowsLayout::Strides of_rows() const {
        return {size_t(strides[0]), size_t(strides[1]), size_t(strides[2])};
    }
};

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

size_t item_bytes(int32_t dtype) {
    constexpr std::array<size_t, 8> BYTES{1, 1, 2, 4, 8, 2, 4, 8}; // uint8 ... float64
    constexpr int32_t BOOL = 11, BFLOAT16 = 15;
    if (dtype == BOOL) return 1;
    if (dtype == BFLOAT16) return 2;
    return dtype >= 0 && size_t(dtype) < BYTES.size() ? BYTES[size_t(dtype)] : 0;
}

// Whether there are no gaps from a dimension on.
bool is_dense_from(size_t dimension, const Tensor &t) {
    int64_t stride = 1;
    for (size_t d = size_t(t.rank); d-- > dimension; stride *= t.sizes[d])
        if (t.sizes[d] != 1 && t.strides[d] != stride) return false;
    return true;
}

size_t count_of(const int64_t *sizes, size_t first, size_t last) {
    size_t count = 1;
    for (size_t d = first; d < last; d++) count *= size_t(sizes[d]);
    return count;
}

// Where the piece of the outer dimensions' position `n` begins, in elements.
size_t first_of(const Tensor &t, size_t dimension, size_t n) {
    size_t first = 0;
    for (size_t d = dimension; d-- > 0; n /= size_t(t.sizes[d]))
        first += n % size_t(t.sizes[d]) * size_t(t.strides[d]);
    return first;
}

} // namespace

std::optional<Outcome> AttentionStep::run_rows(RunValue *values) const {
    Tensor q, k, v;
    if (is_causal || !q.read(values[query].handle) || !k.read(values[key].handle) ||
        !v.read(values[vectors].handle) || !q.is_rows() || !k.is_rows() || !v.is_rows())
        return {};
    const int64_t *const s = q.sizes, *const t = k.sizes;
    if (s[2] > MOST_ROWS || s[0] != t[0] || t[1] == 0 || s[1] % t[1] || s[3] != t[3] ||
        !std::equal(t, t + 4, v.sizes) || count_of(s, 0, 4) == 0 || t[2] == 0)
        return {};
    const double factor = is_scaled ? scale : 1 / std::sqrt(double(s[3]));
    RowsLayout l{size_t(s[0]),        size_t(s[1]), size_t(s[2]), size_t(s[3]),
                 size_t(s[1] / t[1]), size_t(t[2]), q.of_rows(),  k.of_rows(),
                 v.of_rows(),         {},           {},           0,
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
        attend_rows(
            l, {at(query), at(key), at(vectors), mask == NONE ? nullptr : at(mask), at(value)}, 0);
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

namespace {

// Whether two are of one type and of the same sizes, but for one.
bool fit_together(const Tensor &a, const Tensor &b, size_t dimension) {
    if (a.rank != b.rank || a.dtype != b.dtype || dimension >= size_t(a.rank)) return false;
    for (size_t d = 0; d < size_t(a.rank); d++)
        if (d != dimension && a.sizes[d] != b.sizes[d]) return false;
    return true;
}

// Where the pieces of a joined tensor come from and go to: in bytes, for each position of the
// dimensions before the one along which they are joined.
void copy_pieces(const std::vector<Tensor> &parts, const std::vector<const char *> &from,
                 size_t dimension, const std::vector<int64_t> &size, size_t bytes, char *out) {
    const size_t outer = count_of(size.data(), 0, dimension);
    const size_t inner = count_of(size.data(), dimension + 1, size.size()) * bytes;
    for (size_t n = 0; n < outer; n++)
        for (size_t p = 0; p < parts.size(); p++) {
            const size_t nbytes = size_t(parts[p].sizes[dimension]) * inner;
            if (nbytes == 0) continue; // what has no elements may have no address
            std::memcpy(out, from[p] + first_of(parts[p], dimension, n) * bytes, nbytes);
            out += nbytes;
        }
}

// The same by torch, part by part.
bool copy_parts(const std::vector<Tensor> &parts, const std::vector<TensorHandle> &from,
                size_t dimension, const std::vector<int64_t> &strides, TensorHandle made) {
    const TorchShim &torch = *torch_shim();
    int64_t offset = 0;
    for (size_t p = 0; p < parts.size(); p++) {
        TensorHandle place = nullptr;
        if (torch.reinterpret(made, parts[p].rank, parts[p].sizes, strides.data(), offset, &place))
            return false;
        const ShimError error = torch.copy(place, from[p], 0);
        torch.free_tensor(place);
        if (error) return false;
        offset += parts[p].sizes[dimension] * strides[dimension];
    }
    return true;
}

} // namespace

Outcome JoinStep::run(RunValue *values, const int64_t *, int32_t *) const {
    std::vector<Tensor> parts(joined.size());
    std::vector<TensorHandle> handles;
    std::vector<const char *> memory;
    for (size_t n = 0; n < joined.size(); n++) {
        handles.push_back(values[joined[n]].handle);
        memory.push_back(reinterpret_cast<const char *>(values[joined[n]].address));
        if (!parts[n].read(handles[n]) || !fit_together(parts[n], parts[0], dimension))
            return Outcome::failed;
    }
    const size_t rank = size_t(parts[0].rank), bytes = item_bytes(parts[0].dtype);
    std::vector<int64_t> size(parts[0].sizes, parts[0].sizes + rank), strides(rank);
    size[dimension] = 0;
    bool is_dense = bytes != 0;
    for (const Tensor &part : parts) {
        size[dimension] += part.sizes[dimension];
        is_dense = is_dense && is_dense_from(dimension, part);
    }
    int64_t stride = 1;
    for (size_t d = rank; d-- > 0; stride *= std::max<int64_t>(size[d], 1)) strides[d] = stride;
    TensorHandle made = nullptr;
    const ShimError error = torch_shim()->empty_strided(int64_t(rank), size.data(), strides.data(),
                                                        parts[0].dtype, CPU, 0, &made);
    const Outcome kept = keep(error, made, &values[value]);
    if (kept != Outcome::done || !values[value].address) return kept;
    if (is_dense)
        copy_pieces(parts, memory, dimension, size, bytes,
                    reinterpret_cast<char *>(values[value].address));
    else if (!copy_parts(parts, handles, dimension, strides, made))
        return Outcome::failed;
    return Outcome::done;
}

} // namespace gint
