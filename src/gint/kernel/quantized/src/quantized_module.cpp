// What Python sees of quantised products, in _native. Sizes have been checked by the caller:
// gint.kernel.quantized.cpp_products.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "quantized.h"
#include "quantized_module.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

using Shape = std::pair<size_t, size_t>; // outputs, inputs

template <class T> T *address(uintptr_t pointer) { return reinterpret_cast<T *>(pointer); }

QuantizedMatrix matrix(int format, Shape shape) {
    return {QuantizedFormat(format), shape.first, shape.second};
}

// `weights` is PackedWeights or the address of rows of blocks.
void multiply_released(nb::object weights, int format, Shape shape, size_t count, uintptr_t x,
                       ptrdiff_t x_stride, uintptr_t out, ptrdiff_t out_stride,
                       bool quantize_activations, int threads) {
    Product p{matrix(format, shape),
              nullptr,
              nullptr,
              count,
              address<const float>(x),
              x_stride,
              address<float>(out),
              out_stride,
              quantize_activations};
    if (nb::isinstance<PackedWeights>(weights))
        p.packed = nb::cast<const PackedWeights *>(weights);
    else
        p.rows = address<const uint8_t>(nb::cast<uintptr_t>(weights));
    nb::gil_scoped_release released;
    multiply(p, threads);
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
             [](PackedWeights *self, int format, Shape shape, uintptr_t rows, int threads) {
                 nb::gil_scoped_release released;
                 new (self)
                     PackedWeights(matrix(format, shape), address<const uint8_t>(rows), threads);
             })
        .def("unpack",
             [](const PackedWeights &self, uintptr_t rows) {
                 nb::gil_scoped_release released;
                 self.unpack(address<uint8_t>(rows));
             })
        .def_ro("nbytes", &PackedWeights::bytes);
    m.def("read_all", [](uintptr_t at, size_t bytes, int threads) {
        nb::gil_scoped_release released;
        return read_all(address<const uint8_t>(at), bytes, threads);
    });
    m.def("quantized_multiply", &multiply_released);
}

} // namespace gint
