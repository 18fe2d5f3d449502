// What Python sees of quantised products, in _native. Sizes have been checked by the caller:
// gint.kernel.quantized.cpp_products.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "quantized.h"
#include "quantized_module.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

using Shape = std::pair<size_t, size_t>; // outputs, inputs

// An array's memory, for the time of a call: a tenth of what asking NumPy for its address costs.
class Array {
  public:
    explicit Array(nb::handle array, bool writes = false) {
        const int flags = writes ? PyBUF_STRIDES | PyBUF_WRITABLE : PyBUF_STRIDES;
        if (PyObject_GetBuffer(array.ptr(), &view, flags)) throw nb::python_error();
    }
    ~Array() { PyBuffer_Release(&view); }
    Array(const Array &) = delete;

    template <class T> T *as() const { return static_cast<T *>(view.buf); }
    size_t bytes() const { return size_t(view.len); }
    size_t rows() const { return size_t(view.shape[0]); }
    ptrdiff_t row_stride() const { return view.strides[0] / view.itemsize; }

  private:
    Py_buffer view;
};

QuantizedMatrix matrix(int format, Shape shape) {
    return {QuantizedFormat(format), shape.first, shape.second};
}

// `weights` is PackedWeights or an array of rows of blocks.
void multiply_arrays(nb::handle weights, int format, Shape shape, nb::handle x_array,
                     nb::handle out_array, bool quantize_activations, int threads) {
    const Array x(x_array), out(out_array, true);
    Product p{matrix(format, shape), nullptr,        nullptr,         x.rows(),
              x.as<const float>(),   x.row_stride(), out.as<float>(), out.row_stride(),
              quantize_activations};
    const PackedWeights *packed = nullptr;
    std::optional<Array> rows;
    if (nb::try_cast(weights, packed))
        p.packed = packed;
    else
        p.rows = rows.emplace(weights).as<const uint8_t>();
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
             [](PackedWeights *self, int format, Shape shape, nb::handle rows, int threads) {
                 const Array array(rows);
                 nb::gil_scoped_release released;
                 new (self)
                     PackedWeights(matrix(format, shape), array.as<const uint8_t>(), threads);
             })
        .def("unpack",
             [](const PackedWeights &self, nb::handle rows) {
                 const Array array(rows, true);
                 nb::gil_scoped_release released;
                 self.unpack(array.as<uint8_t>());
             })
        .def_ro("nbytes", &PackedWeights::bytes);
    m.def("quantized_multiply", &multiply_arrays);
    m.def("read_all", [](nb::handle memory, int threads) {
        const Array array(memory);
        nb::gil_scoped_release released;
        return read_all(array.as<const uint8_t>(), array.bytes(), threads);
    });
}

} // namespace gint
