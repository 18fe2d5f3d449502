// What Python sees of quantised products, in _native. Sizes have been checked by the caller:
// gint.kernel.quantized.cpp_products.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "arrays.h"
#include "quantized.h"
#include "quantized_module.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

using Shape = std::pair<size_t, size_t>; // outputs, inputs

Array array(nb::handle object, bool writes = false) {
    if (!is_array(object.ptr())) throw nb::type_error("Products are of NumPy arrays.");
    const Array found(object.ptr());
    if (writes && !found.is_writable()) throw nb::value_error("The array is read-only.");
    return found;
}

QuantizedMatrix matrix(int format, Shape shape) {
    return {QuantizedFormat(format), shape.first, shape.second};
}

// A matrix whose rows are packed: how far apart, in elements. Nothing for another layout.
std::optional<ptrdiff_t> row_stride(const Array &a) {
    if (a.rank() != 2) throw nb::value_error("Products are of matrices.");
    constexpr int64_t SIZE = sizeof(float);
    if (a.is_contiguous()) return a.length(1);
    if (a.stride(1) != SIZE || a.stride(0) % SIZE) return std::nullopt;
    return a.stride(0) / SIZE;
}

// `weights` is PackedWeights or an array of rows of blocks. False, and nothing done, where a row of
// x or out is not packed.
bool multiply_arrays(nb::handle weights, int format, Shape shape, nb::handle x_array,
                     nb::handle out_array, bool quantize_activations, int threads) {
    const Array x = array(x_array), out = array(out_array, true);
    const auto x_stride = row_stride(x), out_stride = row_stride(out);
    if (!x_stride || !out_stride) return false;
    Product p{matrix(format, shape), nullptr,   nullptr,         size_t(x.length(0)),
              x.as<const float>(),   *x_stride, out.as<float>(), *out_stride,
              quantize_activations};
    const PackedWeights *packed = nullptr;
    if (nb::try_cast(weights, packed))
        p.packed = packed;
    else
        p.rows = array(weights).as<const uint8_t>();
    nb::gil_scoped_release released;
    multiply(p, threads);
    return true;
}

} // namespace

void add_quantized(nb::module_ &m) {
    m.def("quantized_formats", [] {
        std::vector<std::pair<std::string, size_t>> formats;
        for (const QuantizedFacts &f : QUANTIZED_FACTS) formats.emplace_back(f.name, f.row_block);
        return formats;
    });
    nb::class_<PackedWeights>(m, "PackedWeights")
        .def("__init__",
             [](PackedWeights *self, int format, Shape shape, nb::handle rows, int threads) {
                 const auto *bytes = array(rows).as<const uint8_t>();
                 nb::gil_scoped_release released;
                 new (self) PackedWeights(matrix(format, shape), bytes, threads);
             })
        .def("unpack",
             [](const PackedWeights &self, nb::handle rows) {
                 auto *bytes = array(rows, true).as<uint8_t>();
                 nb::gil_scoped_release released;
                 self.unpack(bytes);
             })
        .def_ro("nbytes", &PackedWeights::bytes);
    m.def("quantized_multiply", &multiply_arrays);
    m.def("read_all", [](nb::handle memory, int threads) {
        const Array all = array(memory);
        size_t bytes = all.plain_size();
        for (int d = 0; d < all.rank(); d++) bytes *= size_t(all.length(d));
        nb::gil_scoped_release released;
        return read_all(all.as<const uint8_t>(), bytes, threads);
    });
}

} // namespace gint
