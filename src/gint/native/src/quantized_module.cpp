// What Python sees of quantised products, in _native. Sizes have been checked by the caller:
// gint.kernel.interpreter.cpp.quantized.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "arrays.h"
#include "quantized/quantized.h"
#include "quantized_module.h"
#include "released_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

using MatrixShape = std::pair<size_t, size_t>; // outputs, inputs

Array array(nb::handle object, bool writes = false) {
    if (!is_array(object.ptr())) throw nb::type_error("Products are of NumPy arrays.");
    const Array found(object.ptr());
    if (writes && !found.is_writable()) throw nb::value_error("The array is read-only.");
    return found;
}

QuantizedMatrix matrix(int format, MatrixShape shape) {
    return {QuantizedFormat(format), shape.first, shape.second};
}

// The rows of a matrix, or of an array without gaps along its last dimension.
struct Rows {
    size_t count;
    ptrdiff_t stride; // in elements
};

// Nothing where a row's elements do not lie side by side.
std::optional<Rows> rows_of(const Array &a) {
    const int last = a.rank() - 1;
    if (last < 0) return std::nullopt;
    if (a.is_contiguous()) {
        size_t count = 1;
        for (int d = 0; d < last; d++) count *= size_t(a.length(d));
        return Rows{count, a.length(last)};
    }
    if (last != 1 || a.stride(1) != FLOAT_BYTES || a.stride(0) % FLOAT_BYTES) return std::nullopt;
    return Rows{size_t(a.length(0)), a.stride(0) / FLOAT_BYTES};
}

// What two products have in common.
struct Kind {
    QuantizedMatrix matrix;
    bool quantize_activations;
    int threads;
};

// `weights` is PackedWeights or an array of rows of blocks. Nothing where the rows of x or out are
// none.
std::optional<Product> product_of(const Kind &kind, nb::handle weights, nb::handle x_array,
                                  nb::handle out_array) {
    const Array x = array(x_array), out = array(out_array, true);
    const auto from = rows_of(x), to = rows_of(out);
    if (!from || !to) return std::nullopt;
    Product p{kind.matrix,
              nullptr,
              nullptr,
              from->count,
              x.as<const float>(),
              from->stride,
              out.as<float>(),
              to->stride,
              kind.quantize_activations};
    const PackedWeights *packed = nullptr;
    if (nb::try_cast(weights, packed))
        p.packed = packed;
    else
        p.rows = array(weights).as<const uint8_t>();
    return p;
}

bool multiply_quantized(const Kind &kind, nb::handle weights, nb::handle x, nb::handle out) {
    const std::optional<Product> p = product_of(kind, weights, x, out);
    if (!p) return false;
    const ReleasedGil released;
    multiply({&*p, 1}, kind.threads);
    return true;
}

} // namespace

const PackedWeights *packed_weights(nb::handle object) {
    const PackedWeights *packed = nullptr;
    return nb::try_cast(object, packed) ? packed : nullptr;
}

StepFunction product_step(nb::handle product, nb::handle operands, Following next) {
    const Kind *kind = nullptr;
    if (!nb::try_cast(product, kind)) return {};
    const std::optional<Product> made = product_of(*kind, operands[1], operands[0], operands[2]);
    if (!made || !made->packed)
        throw nb::value_error("A product's step takes packed weights, and rows without gaps.");
    return [p = *made, threads = kind->threads, next](const uint64_t *pointers) {
        Product own = p;
        own.x = reinterpret_cast<const float *>(pointers[0]);
        own.out = reinterpret_cast<float *>(pointers[2]);
        multiply({&own, 1}, threads, *next);
    };
}

bool RowsProducts::add(nb::handle product, nb::handle weights, size_t rows) {
    const Kind *kind = nullptr;
    const PackedWeights *packed = packed_weights(weights);
    if (!nb::try_cast(product, kind) || !packed)
        throw nb::type_error("A product of rows takes a native product and packed weights.");
    const QuantizedMatrix &m = packed->matrix;
    if (m.format != kind->matrix.format || m.outputs != kind->matrix.outputs ||
        m.inputs != kind->matrix.inputs)
        throw nb::value_error("The product is made for weights of another format or shape.");
    const Product p{m,
                    packed,
                    nullptr,
                    rows,
                    nullptr,
                    ptrdiff_t(m.inputs),
                    nullptr,
                    ptrdiff_t(m.outputs),
                    kind->quantize_activations};
    const bool is_one =
        products.empty() || (have_one_x(products[0], p) && threads == kind->threads);
    if (is_one) products.push_back(p), threads = kind->threads;
    return is_one;
}

void RowsProducts::operator()(const float *x, float *const *outs, const NextRead &next) const {
    constexpr size_t FEW = 4;
    std::vector<Product> many;
    Product few[FEW];
    if (products.size() > FEW) many.resize(products.size());
    Product *const own = products.size() > FEW ? many.data() : few;
    for (size_t n = 0; n < products.size(); n++)
        own[n] = products[n], own[n].x = x, own[n].out = outs[n];
    multiply({own, products.size()}, threads, next);
}

void add_quantized(nb::module_ &m) {
    m.def("quantized_formats", [] {
        std::vector<std::pair<std::string, size_t>> formats;
        for (const QuantizedFacts &f : QUANTIZED_FACTS) formats.emplace_back(f.name, f.row_block);
        return formats;
    });
    nb::class_<PackedWeights>(m, "PackedWeights")
        .def("__init__",
             [](PackedWeights *self, int format, MatrixShape shape, nb::handle rows, int threads) {
                 const auto *bytes = array(rows).as<const uint8_t>();
                 const ReleasedGil released;
                 new (self) PackedWeights(matrix(format, shape), bytes, threads);
             })
        .def("unpack_into",
             [](const PackedWeights &self, nb::handle rows) {
                 auto *bytes = array(rows, true).as<uint8_t>();
                 const ReleasedGil released;
                 self.unpack(bytes);
             })
        .def("decode_rows",
             [](const PackedWeights &self, nb::handle numbers, nb::handle values) {
                 const Array of = array(numbers);
                 auto *floats = array(values, true).as<float>();
                 size_t count = 1;
                 for (int d = 0; d < of.rank(); d++) count *= size_t(of.length(d));
                 const ReleasedGil released;
                 self.decode(of.as<const int64_t>(), count, floats);
             })
        .def_ro("nbytes", &PackedWeights::bytes);
    nb::class_<Kind>(m, "Product")
        .def("__init__",
             [](Kind *self, int format, MatrixShape shape, bool quantize_activations, int threads) {
                 new (self) Kind{matrix(format, shape), quantize_activations, threads};
             })
        .def("try_multiply", &multiply_quantized)
        // As a launch that is recalled: operands of a layout that `try_multiply` took.
        .def("__call__", [](const Kind &self, nb::handle x, nb::handle weights, nb::handle out) {
            if (!multiply_quantized(self, weights, x, out))
                throw nb::value_error("The rows of x or out do not lie side by side.");
        });
    m.def("read_all", [](nb::handle memory, int threads) {
        const Array all = array(memory);
        size_t bytes = all.plain_size();
        for (int d = 0; d < all.rank(); d++) bytes *= size_t(all.length(d));
        const ReleasedGil released;
        return read_all(all.as<const uint8_t>(), bytes, threads);
    });
}

} // namespace gint
