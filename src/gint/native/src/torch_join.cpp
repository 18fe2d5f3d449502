// How a run joins tensors: without an operator of torch's where their pieces lie without gaps.
#include "torch_steps.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "cpu/share.h"
#include "cpu/threads.h"
#include "torch_tensor.h"

namespace gint {

namespace {

// What is worth a thread, when it waits for work.
constexpr size_t BYTES_PER_THREAD = size_t(64) << 10, MOST_THREADS = 256;

using Sizes = std::vector<int64_t>;
using Order = std::vector<size_t>; // of dimensions, slowest first

size_t item_bytes(int32_t dtype) {
    constexpr std::array<size_t, 8> BYTES{1, 1, 2, 4, 8, 2, 4, 8}; // uint8 ... float64
    constexpr int32_t BOOL = 11, BFLOAT16 = 15;
    if (dtype == BOOL) return 1;
    if (dtype == BFLOAT16) return 2;
    return dtype >= 0 && size_t(dtype) < BYTES.size() ? BYTES[size_t(dtype)] : 0;
}

// Whether two are of one type and of the same sizes, but for one.
bool fit_together(const Tensor &a, const Tensor &b, size_t dimension) {
    if (a.rank != b.rank || a.dtype != b.dtype || dimension >= size_t(a.rank)) return false;
    for (size_t d = 0; d < size_t(a.rank); d++)
        if (d != dimension && a.sizes[d] != b.sizes[d]) return false;
    return true;
}

// Whether torch takes a tensor for images, or volumes, in channels-last memory: each dimension of
// that order steps over what is below, and the batch not by the channels' step alone.
bool is_channels_last(const Tensor &t, const Order &order) {
    if (t.strides[1] == 0) return false;
    int64_t below = 0;
    for (size_t n = order.size(); n-- > 0;) {
        const size_t d = order[n];
        if (t.sizes[d] == 0 || t.strides[d] < below || (d == 0 && below == t.strides[1]))
            return false;
        below = t.strides[d] * std::max<int64_t>(t.sizes[d], 1);
    }
    return true;
}

// The order in memory that torch gives to what is joined.
Order order_of(const std::vector<Tensor> &parts) {
    Order order(size_t(parts[0].rank));
    std::iota(order.begin(), order.end(), 0);
    if (order.size() != 4 && order.size() != 5) return order;
    Order last = order;
    std::rotate(last.begin() + 1, last.begin() + 2, last.end());
    const auto is_last = [&](const Tensor &t) { return is_channels_last(t, last); };
    return std::all_of(parts.begin(), parts.end(), is_last) ? last : order;
}

// A part as it is copied: pieces without gaps, one for each position of the dimensions that are
// before the joined one in memory.
class Pieces {
  public:
    Pieces(const Tensor &t, const Order &order, size_t joined, size_t item) {
        int64_t stride = 1;
        for (size_t n = order.size(); n-- > 0; stride *= t.sizes[order[n]]) {
            const size_t d = order[n];
            is_dense = is_dense && (n < joined || t.sizes[d] == 1 || t.strides[d] == stride);
            if (n == joined) nbytes = size_t(stride * t.sizes[d]) * item;
            if (n >= joined) continue;
            sizes.push_back(size_t(t.sizes[d]));
            steps.push_back(size_t(t.strides[d]) * item);
        }
    }
    bool is_dense = true;
    size_t nbytes = 0;

    // Where the n-th one begins, in bytes.
    size_t begin(size_t n) const {
        size_t offset = 0;
        for (size_t d = 0; d < sizes.size(); n /= sizes[d++]) offset += n % sizes[d] * steps[d];
        return offset;
    }

  private:
    std::vector<size_t> sizes, steps; // the closest first
};

// The parts by torch, one after the other.
bool copy_parts(const std::vector<Tensor> &parts, const std::vector<TensorHandle> &from,
                size_t dimension, const Sizes &strides, TensorHandle made) {
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
    for (size_t n = 0; n < joined.size(); n++) {
        handles.push_back(values[joined[n]].handle);
        if (!parts[n].read(handles[n]) || !fit_together(parts[n], parts[0], dimension))
            return Outcome::failed;
    }
    const size_t item = item_bytes(parts[0].dtype);
    const Order order = order_of(parts);
    const size_t place = size_t(std::find(order.begin(), order.end(), dimension) - order.begin());
    std::vector<Pieces> pieces;
    Sizes size(parts[0].sizes, parts[0].sizes + parts[0].rank), strides(size.size());
    size[dimension] = 0;
    for (const Tensor &part : parts) {
        size[dimension] += part.sizes[dimension];
        pieces.emplace_back(part, order, place, item);
    }
    int64_t stride = 1;
    for (size_t n = order.size(); n-- > 0; stride *= std::max<int64_t>(size[order[n]], 1))
        strides[order[n]] = stride;
    TensorHandle made = nullptr;
    const ShimError error = torch_shim()->empty_strided(
        int64_t(size.size()), size.data(), strides.data(), parts[0].dtype, CPU, 0, &made);
    const Outcome kept = keep(error, made, &values[value]);
    if (kept != Outcome::done || !values[value].address) return kept;
    if (!item || !std::all_of(pieces.begin(), pieces.end(), [](auto &p) { return p.is_dense; }))
        return copy_parts(parts, handles, dimension, strides, made) ? Outcome::done
                                                                    : Outcome::failed;
    size_t count = 1;
    for (size_t n = 0; n < place; n++) count *= size_t(size[order[n]]);
    size_t nbytes = 0;
    for (const Pieces &p : pieces) nbytes += p.nbytes;
    auto *out = reinterpret_cast<char *>(values[value].address);
    const auto copy = [&](size_t n, size_t) {
        char *to = out + n * nbytes;
        for (size_t p = 0; p < pieces.size(); p++) {
            if (pieces[p].nbytes == 0) continue; // what has no elements may have no address
            const auto *from = reinterpret_cast<const char *>(values[joined[p]].address);
            std::memcpy(to, from + pieces[p].begin(n), pieces[p].nbytes);
            to += pieces[p].nbytes;
        }
    };
    const int most = int(std::min<size_t>(count * nbytes / BYTES_PER_THREAD + 1, MOST_THREADS));
    share(count, std::min(most, allowed_threads(0)), copy);
    return Outcome::done;
}

} // namespace gint
