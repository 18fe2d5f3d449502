// What Python sees of scatters, in _native: on torch's tensors, read through its C shim.
#include "scatter_module.h"

#include <nanobind/stl/optional.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "released_gil.h"
#include "scatter/scatter.h"
#include "torch_shim.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

// What became of a scatter. The caller has ATen do what is not `done`, or raise for it.
enum class Outcome { done, outside, refused };

// torch's numbers of types, which its files and its shim hold; none of ours: nothing.
std::optional<uint8_t> type_of(int32_t dtype) {
    switch (dtype) {
    case 0:
        return GI_u8;
    case 1:
        return GI_i8;
    case 2:
        return GI_i16;
    case 3:
        return GI_i32;
    case 4:
        return GI_i64;
    case 5:
        return GI_f16;
    case 6:
        return GI_f32;
    case 7:
        return GI_f64;
    case 11:
        return GI_bool;
    case 15:
        return GI_bf16;
    default:
        return std::nullopt;
    }
}

struct Refused {};

// A tensor on the CPU. With `as_vector` one of no dimensions counts as a vector of one element.
class View {
  public:
    View(nb::handle object, bool as_vector) {
        const TorchShim *shim = torch_shim();
        handle = handle_of(object.ptr());
        int32_t device, dtype;
        int64_t *size_list, *stride_list;
        if (!handle || shim->device_type(handle, &device) || device != 0 ||
            shim->dtype(handle, &dtype) || !type_of(dtype) || shim->rank(handle, &rank) ||
            shim->sizes(handle, &size_list) || shim->strides(handle, &stride_list) ||
            shim->data_ptr(handle, &data))
            throw Refused{};
        type = *type_of(dtype), sizes = size_list, strides = stride_list;
        is_number = rank == 0;
        if (is_number && as_vector) rank = 1, sizes = strides = &ONE;
    }

    TensorHandle handle;
    void *data;
    uint8_t type;
    bool is_number;
    int64_t rank;
    const int64_t *sizes, *strides;

    int64_t elements() const { // from the first to the last
        int64_t last = 0;
        for (int64_t d = 0; d < rank; d++) {
            if (sizes[d] == 0) return 0;
            last += (sizes[d] - 1) * strides[d];
        }
        return last + 1;
    }
    int64_t count() const {
        int64_t product = 1;
        for (int64_t d = 0; d < rank; d++) product *= sizes[d];
        return product;
    }
    bool is_like(const View &other) const {
        return type == other.type &&
               std::equal(sizes, sizes + rank, other.sizes, other.sizes + other.rank) &&
               std::equal(strides, strides + rank, other.strides);
    }
    // Whether no two elements share memory, as far as strides tell.
    bool is_apart() const {
        std::vector<std::pair<int64_t, int64_t>> steps;
        for (int64_t d = 0; d < rank; d++)
            if (sizes[d] > 1) steps.emplace_back(strides[d], sizes[d]);
        std::sort(steps.begin(), steps.end());
        int64_t reached = 0;
        for (const auto &[stride, size] : steps) {
            if (stride <= reached) return false;
            reached += stride * (size - 1);
        }
        return true;
    }

  private:
    static constexpr int64_t ONE = 1;
};

// A scatter into `out`, whose axes are still to be said.
class Making {
  public:
    Making(int fold, const View &to, nb::handle initial, const View &from) : out(to) {
        if (fold < 0 || fold >= int(Fold::COUNT) || out.type != from.type || !out.is_apart())
            throw Refused{};
        s.type = out.type, s.fold = Fold(fold), s.destination = out.data, s.source = from.data;
        s.elements = out.elements();
        if (initial.is_none()) {
            if (s.elements != out.count()) throw Refused{};
            s.is_cleared = true;
        } else {
            start_from(View(initial, true));
        }
    }

    void add_positions(const View &index, int64_t dim, bool wraps) {
        if ((index.type != GI_i64 && index.type != GI_i32) || s.positions.size() == MOST_POSITIONS)
            throw Refused{};
        s.positions.push_back(
            {index.data, index.type == GI_i64, out.strides[dim], {out.sizes[dim], wraps}});
    }

    Outcome run() {
        if (copied && torch_shim()->copy(out.handle, copied, 0)) throw Refused{};
        const ReleasedGil released;
        return scatter(s, 0) ? Outcome::done : Outcome::outside;
    }

    const View &out;
    Scatter s{};

  private:
    TensorHandle copied = nullptr;

    void start_from(const View &initial) {
        if (initial.data == out.data && initial.is_like(out)) return;
        if (initial.is_like(out) && s.elements == out.count())
            s.initial = initial.data;
        else
            copied = initial.handle;
    }
};

// The strides of a tensor that is broadcast to `sizes`.
std::vector<int64_t> broadcast(const View &view, const std::vector<int64_t> &sizes) {
    if (size_t(view.rank) > sizes.size()) throw Refused{};
    std::vector<int64_t> strides(sizes.size(), 0);
    const size_t ahead = sizes.size() - size_t(view.rank);
    for (size_t d = ahead; d < sizes.size(); d++) {
        const int64_t size = view.sizes[d - ahead];
        if (size != 1 && size != sizes[d]) throw Refused{};
        if (size != 1) strides[d] = view.strides[d - ahead];
    }
    return strides;
}

// out[..., index[i, j, ...], ...] <- fold(it, source[..., i, j, ..., ...]): elements of `source` go
// to the places that `index` holds along a dimension, elsewhere to their own.
Outcome scatter_along(int fold, nb::handle out, nb::handle initial, int64_t dim, nb::handle index,
                      nb::handle source) {
    const View to(out, true), at(index, true), from(source, true);
    Making made(fold, to, initial, from);
    if (dim < 0) dim += to.rank;
    if (at.rank != to.rank || dim < 0 || dim >= to.rank) throw Refused{};
    if (!from.is_number && from.rank != to.rank) throw Refused{};
    made.add_positions(at, dim, false);
    for (int64_t d = 0; d < to.rank; d++) {
        if (d != dim && at.sizes[d] > to.sizes[d]) throw Refused{};
        if (!from.is_number && at.sizes[d] > from.sizes[d]) throw Refused{};
        made.s.axes.push_back({at.sizes[d],
                               d == dim ? 0 : to.strides[d],
                               from.is_number ? 0 : from.strides[d],
                               {at.strides[d]}});
    }
    return made.run();
}

// The sizes that tensors of positions have in common.
std::vector<int64_t> common_sizes(const std::vector<View> &indices) {
    std::vector<int64_t> sizes;
    for (const View &view : indices) {
        if (size_t(view.rank) > sizes.size())
            sizes.insert(sizes.begin(), size_t(view.rank) - sizes.size(), 1);
        for (int64_t d = 0; d < view.rank; d++) {
            int64_t &size = sizes[sizes.size() - size_t(view.rank - d)];
            if (size == 1)
                size = view.sizes[d];
            else if (view.sizes[d] != 1 && view.sizes[d] != size)
                throw Refused{};
        }
    }
    return sizes;
}

// out[indices] <- fold(it, source), as `index_put` has it: `indexed[k]` is the dimension of
// indices[k]; their common dimensions come where the first is if they are neighbours, otherwise
// first. `source` is broadcast.
void add_axes(Making &made, const std::vector<View> &indices, const std::vector<int64_t> &indexed,
              const View &source) {
    const View &out = made.out;
    const std::vector<int64_t> common = common_sizes(indices);
    const bool together = indexed.back() - indexed.front() + 1 == int64_t(indexed.size());
    const int64_t before = together ? indexed.front() : 0;
    std::vector<ScatterAxis> axes;
    std::vector<int64_t> sizes;
    const auto add_common = [&] {
        for (size_t d = 0; d < common.size(); d++) axes.push_back({common[d], 0, 0, {}});
        for (size_t k = 0; k < indices.size(); k++) {
            const std::vector<int64_t> strides = broadcast(indices[k], common);
            for (size_t d = 0; d < common.size(); d++)
                axes[axes.size() - common.size() + d].positions[k] = strides[d];
        }
    };
    for (int64_t d = 0; d <= out.rank; d++) {
        if (d == before) add_common();
        const bool is_indexed = std::find(indexed.begin(), indexed.end(), d) != indexed.end();
        if (d < out.rank && !is_indexed) axes.push_back({out.sizes[d], out.strides[d], 0, {}});
    }
    for (const ScatterAxis &axis : axes) sizes.push_back(axis.extent);
    const std::vector<int64_t> strides = broadcast(source, sizes);
    for (size_t d = 0; d < axes.size(); d++) axes[d].source = strides[d];
    made.s.axes = std::move(axes);
}

// `indices` has a tensor of positions or None for each dimension from the first on. Positions wrap
// where `wraps`. Where `left_out` is a number, points with that position, or one outside, are left
// out.
Outcome scatter_indices(int fold, nb::handle out, nb::handle initial, nb::list indices,
                        nb::handle source, bool wraps, std::optional<int64_t> left_out) {
    const View to(out, false), from(source, false);
    Making made(fold, to, initial, from);
    std::vector<View> views;
    std::vector<int64_t> indexed;
    for (size_t d = 0; d < indices.size(); d++) {
        if (indices[d].is_none()) continue;
        if (int64_t(d) >= to.rank) throw Refused{};
        views.emplace_back(indices[d], false);
        indexed.push_back(int64_t(d));
        made.add_positions(views.back(), int64_t(d), wraps);
    }
    if (views.empty()) throw Refused{};
    if (left_out && views.size() != 1) throw Refused{};
    if (left_out) made.s.leaves_out = true, made.s.left_out = *left_out;
    add_axes(made, views, indexed, from);
    return made.run();
}

// Slices of `source` go to the places that a vector holds along a dimension.
Outcome scatter_slices(int fold, nb::handle out, nb::handle initial, int64_t dim, nb::handle index,
                       nb::handle source, bool wraps) {
    const View to(out, true), at(index, true), given(source, false), from(source, true);
    Making made(fold, to, initial, from);
    if (dim < 0) dim += to.rank;
    if (at.rank != 1 || dim < 0 || dim >= to.rank) throw Refused{};
    made.add_positions(at, dim, wraps);
    add_axes(made, {at}, {dim}, given);
    return made.run();
}

template <auto FUNCTION, class... Arguments> int guarded(Arguments... arguments) {
    try {
        return int(FUNCTION(arguments...));
    } catch (const Refused &) {
        return int(Outcome::refused);
    }
}

} // namespace

void add_scatter(nb::module_ &m) {
    m.def("scatter_along",
          &guarded<scatter_along, int, nb::handle, nb::handle, int64_t, nb::handle, nb::handle>,
          "fold"_a, "out"_a, "initial"_a.none(), "dim"_a, "index"_a, "source"_a);
    m.def("scatter_indices",
          &guarded<scatter_indices, int, nb::handle, nb::handle, nb::list, nb::handle, bool,
                   std::optional<int64_t>>,
          "fold"_a, "out"_a, "initial"_a.none(), "indices"_a, "source"_a, "wraps"_a,
          "left_out"_a.none());
    m.def("scatter_slices",
          &guarded<scatter_slices, int, nb::handle, nb::handle, int64_t, nb::handle, nb::handle,
                   bool>,
          "fold"_a, "out"_a, "initial"_a.none(), "dim"_a, "index"_a, "source"_a, "wraps"_a);
}

} // namespace gint
