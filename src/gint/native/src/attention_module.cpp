// What Python sees of one row's attention, in _native.
#include "attention_module.h"

#include <algorithm>
#include <utility>

#include "arrays.h"
#include "attention/attention.h"
#include "released_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

Array attended_array(nb::handle object, int rank, bool may_be_half) {
    if (!is_array(object.ptr())) throw nb::type_error("Attention is of NumPy arrays.");
    const Array found(object.ptr());
    const bool is_half = may_be_half && found.type() == NPY_HALF;
    if ((found.type() != NPY_FLOAT && !is_half) || found.rank() != rank || !found.is_behaved())
        throw nb::value_error("Attention is of aligned float32 arrays of the ranks it documents, "
                              "keys and values of these or of float16.");
    return found;
}
Array floats(nb::handle object, int rank) { return attended_array(object, rank, false); }
// Keys, or values.
Array cached(nb::handle object, int rank) { return attended_array(object, rank, true); }

size_t stride(const Array &a, int d) {
    const auto size = int64_t(a.plain_size());
    if (a.stride(d) < 0 || a.stride(d) % size)
        throw nb::value_error("Attention takes strides of whole elements, forwards.");
    return size_t(a.stride(d) / size);
}

AttentionLayout layout_of(const Array &q, const Array &k, const Array &v) {
    const AttentionLayout l{size_t(q.length(0)), size_t(q.length(1)), size_t(v.length(1)),
                            size_t(q.length(2)), size_t(k.length(3)), stride(k, 0),
                            stride(k, 1),        stride(k, 2),        stride(v, 0),
                            stride(v, 1),        k.type() == NPY_HALF};
    const auto is = [](const Array &a, std::initializer_list<size_t> lengths) {
        int d = 0;
        return std::all_of(lengths.begin(), lengths.end(),
                           [&](size_t n) { return size_t(a.length(d++)) == n; });
    };
    const size_t blocks = size_t(k.length(1));
    if (k.type() != v.type()) throw nb::value_error("Keys and values are of one type.");
    if (!q.is_contiguous() || !is(k, {l.heads, blocks, l.size, l.block}) ||
        blocks * l.block != l.keys || !is(v, {l.heads, l.keys, l.size}) ||
        (l.block > 1 && stride(k, 3) != 1) || (l.size > 1 && stride(v, 2) != 1))
        throw nb::value_error("The shapes or strides of q, k and v do not match.");
    return l;
}

// Made for one layout.
struct RowAttention {
    AttentionLayout layout;
    int threads;

    void operator()(const uint64_t *pointers, const NextRead &next = {}) const {
        attend(layout,
               {reinterpret_cast<const float *>(pointers[0]),
                reinterpret_cast<const void *>(pointers[1]),
                reinterpret_cast<const void *>(pointers[2]),
                reinterpret_cast<const uint8_t *>(pointers[3]),
                reinterpret_cast<float *>(pointers[4]), reinterpret_cast<float *>(pointers[5])},
               threads, next);
    }
};

void check_shape(const Array &a, size_t x, size_t y, size_t z) {
    if (!a.is_contiguous() || !a.is_writable() || size_t(a.length(0)) != x ||
        size_t(a.length(1)) != y || size_t(a.length(2)) != z)
        throw nb::value_error("The results' shapes do not match, or they have gaps.");
}

void call_attention(const RowAttention &self, nb::handle q, nb::handle k, nb::handle v,
                    nb::handle keep, nb::handle scores, nb::handle out) {
    const Array from = floats(q, 3), keys = cached(k, 4), values = cached(v, 3);
    const AttentionLayout l = layout_of(from, keys, values);
    const Array made = floats(scores, 3), to = floats(out, 3);
    check_shape(made, l.heads, l.queries, l.keys);
    check_shape(to, l.heads, l.queries, l.size);
    if (!is_array(keep.ptr())) throw nb::type_error("keep is a NumPy array.");
    const Array kept(keep.ptr());
    if (kept.type() != NPY_BOOL || kept.rank() != 1 || !kept.is_contiguous() ||
        size_t(kept.length(0)) != l.keys)
        throw nb::value_error("keep is bool, one for each key, without gaps.");
    const uint64_t pointers[] = {from.address(), keys.address(), values.address(),
                                 kept.address(), made.address(), to.address()};
    const ReleasedGil released;
    RowAttention{l, self.threads}(pointers);
}

} // namespace

StepFunction attention_step(nb::handle attention, Following next) {
    const RowAttention *row = nullptr;
    if (!nb::try_cast(attention, row)) return {};
    return [row = *row, next = std::move(next)](const uint64_t *pointers) { row(pointers, *next); };
}

void add_attention(nb::module_ &m) {
    nb::class_<RowAttention>(m, "RowAttention")
        .def("__init__",
             [](RowAttention *self, nb::handle q, nb::handle k, nb::handle v, int threads) {
                 new (self)
                     RowAttention{layout_of(floats(q, 3), cached(k, 4), cached(v, 3)), threads};
             })
        .def("__call__", &call_attention, "q"_a, "k"_a, "v"_a, "keep"_a, "scores"_a, "out"_a);
}

} // namespace gint
