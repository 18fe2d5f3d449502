// What Python sees of float32 products and convolutions, in _native: see gint.backend.protocol,
// DenseProducts. Each answers False, and has done nothing, for layouts it has no loops for.
#include "dense_module.h"

#include <nanobind/stl/array.h>

#include <array>
#include <initializer_list>

#include "arrays.h"
#include "dense/dense.h"
#include "released_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

using Pair = std::array<int64_t, 2>;

struct Unfit {};

// An array whose strides are whole elements, none backwards.
class Operand {
  public:
    Operand(nb::handle object, int rank, bool is_written = false) : array(checked(object)) {
        if (array.type() != NPY_FLOAT || array.rank() != rank || !array.is_behaved() ||
            (is_written && !array.is_writable()))
            throw Unfit{};
        for (int d = 0; d < rank; d++)
            if (array.stride(d) < 0 || array.stride(d) % FLOAT_BYTES) throw Unfit{};
    }
    size_t length(int d) const { return size_t(array.length(d)); }
    size_t stride(int d) const { return size_t(array.stride(d) / FLOAT_BYTES); }
    // (NumPy gives an array without elements strides of 0.)
    bool is_unit(int d) const { return length(d) < 2 || stride(d) == 1 || is_empty(); }
    bool is_empty() const { return data() == end(); }
    float *data() const { return array.as<float>(); }
    const float *end() const { // behind the last element
        const float *last = data();
        for (int d = 0; d < array.rank(); d++) {
            if (length(d) == 0) return data();
            last += (length(d) - 1) * stride(d);
        }
        return last + 1;
    }
    bool shares_memory_with(const Operand &other) const {
        return data() < other.end() && other.data() < end();
    }
    // Whether no two elements are one, for dimensions from the widest to the closest.
    bool is_apart(std::initializer_list<int> dimensions) const {
        if (is_empty()) return true;
        size_t below = 1;
        for (auto d = std::rbegin(dimensions); d != std::rend(dimensions); d++) {
            if (length(*d) < 2) continue;
            if (stride(*d) < below) return false;
            below = stride(*d) * length(*d);
        }
        return true;
    }

  private:
    Array array;

    static Array checked(nb::handle object) {
        if (!is_array(object.ptr())) throw nb::type_error("Products are of NumPy arrays.");
        return Array(object.ptr());
    }
};

const float *bias_of(nb::handle bias, size_t columns, const Operand &out) {
    if (bias.is_none()) return nullptr;
    const Operand found(bias, 1);
    if (found.length(0) != columns || !found.is_unit(0) || found.shares_memory_with(out))
        throw Unfit{};
    return found.data();
}

template <class Run> bool where_it_fits(const Run &run) {
    try {
        run();
        return true;
    } catch (const Unfit &) {
        return false;
    }
}

DenseProduct product_of(nb::handle x_array, nb::handle w_array, nb::handle bias, nb::handle to) {
    const int rank = is_array(to.ptr()) && Array(to.ptr()).rank() == 3 ? 3 : 2, row = rank - 2,
              column = rank - 1;
    const Operand x(x_array, rank), w(w_array, rank), out(to, rank, true);
    const bool by_columns = !w.is_unit(column);
    const bool is_batch = rank == 3;
    const size_t batch = is_batch ? out.length(0) : 1;
    if (x.length(row) != out.length(row) || w.length(column) != out.length(column) ||
        x.length(column) != w.length(row) || !x.is_unit(column) || !out.is_unit(column) ||
        (by_columns && !w.is_unit(row)) || out.shares_memory_with(x) || out.shares_memory_with(w) ||
        !(is_batch ? out.is_apart({0, 1, 2}) || out.is_apart({1, 0, 2}) : out.is_apart({0, 1})) ||
        (is_batch && (x.length(0) != batch || w.length(0) != batch)))
        throw Unfit{};
    const auto next = [&](const Operand &a) {
        return is_batch && batch > 1 ? ptrdiff_t(a.stride(0)) : 0;
    };
    return {batch,
            out.length(row),
            out.length(column),
            x.length(column),
            x.data(),
            w.data(),
            bias_of(bias, out.length(column), out),
            out.data(),
            x.stride(row),
            w.stride(by_columns ? column : row),
            out.stride(row),
            next(x),
            next(w),
            next(out),
            by_columns};
}

bool multiply_arrays(nb::handle x, nb::handle w, nb::handle bias, nb::handle out, int threads) {
    return where_it_fits([&] {
        const DenseProduct p = product_of(x, w, bias, out);
        if (p.batch == 0 || p.rows == 0 || p.columns == 0) return;
        const ReleasedGil released;
        multiply(p, threads);
    });
}

// The dimensions of (batch, channels, height, width).
enum Dimension : int { BATCH, CHANNELS, HEIGHT, WIDTH };

Window window(const Operand &x, const Operand &out, size_t kernel, Dimension d, const Pair &stride,
              const Pair &padding, const Pair &dilation) {
    const size_t n = d - HEIGHT;
    constexpr int64_t MOST = int64_t(1) << 31;
    if (stride[n] < 1 || stride[n] > MOST || padding[n] < 0 || padding[n] > MOST ||
        dilation[n] < 1 || dilation[n] > MOST || kernel == 0 || kernel > size_t(MOST) ||
        out.length(d) > size_t(MOST))
        throw Unfit{};
    return {kernel,      size_t(stride[n]), size_t(dilation[n]), size_t(padding[n]),
            x.length(d), out.length(d)};
}

void check_images(const Operand &x, const Operand &out) {
    if (x.length(BATCH) != out.length(BATCH) || !x.is_unit(CHANNELS) || !out.is_unit(CHANNELS) ||
        !out.is_apart({BATCH, HEIGHT, WIDTH, CHANNELS}) || out.shares_memory_with(x))
        throw Unfit{};
}

// How far apart all results of `out` lie, one image after the other without gaps between them.
size_t result_stride(const Operand &out) {
    const size_t pixel = out.length(WIDTH) > 1    ? out.stride(WIDTH)
                         : out.length(HEIGHT) > 1 ? out.stride(HEIGHT)
                                                  : out.stride(BATCH);
    const size_t line = out.length(WIDTH) * pixel, image = out.length(HEIGHT) * line;
    if ((out.length(HEIGHT) > 1 && out.stride(HEIGHT) != line) ||
        (out.length(BATCH) > 1 && out.stride(BATCH) != image))
        throw Unfit{};
    return pixel;
}

// Whether the kernels of all results lie one after the other, and in each a channel's taps, or
// else a tap's channels.
bool has_closest_taps(const Operand &w) {
    const size_t taps = w.length(HEIGHT) * w.length(WIDTH), channels = w.length(CHANNELS);
    const auto lies = [&](size_t channel, size_t tap) {
        const size_t steps[] = {taps * channels, channel, tap * w.length(WIDTH), tap};
        for (int d = 0; d < 4; d++)
            if (w.length(d) > 1 && w.stride(d) != steps[d]) return false;
        return true;
    };
    if (lies(1, channels)) return false;
    if (taps > MOST_TAPS || !lies(taps, 1)) throw Unfit{};
    return true;
}

bool convolve_arrays(nb::handle x_array, nb::handle w_array, nb::handle bias, nb::handle to,
                     const Pair &stride, const Pair &padding, const Pair &dilation, int threads) {
    return where_it_fits([&] {
        const Operand x(x_array, 4), w(w_array, 4), out(to, 4, true);
        check_images(x, out);
        const size_t channels = w.length(CHANNELS), results = w.length(BATCH);
        const size_t groups = channels ? x.length(CHANNELS) / channels : 0;
        if (groups == 0 || x.length(CHANNELS) != groups * channels || results % groups ||
            results != out.length(CHANNELS) || w.shares_memory_with(out))
            throw Unfit{};
        const DenseConvolution c{
            {window(x, out, w.length(HEIGHT), HEIGHT, stride, padding, dilation),
             window(x, out, w.length(WIDTH), WIDTH, stride, padding, dilation)},
            x.length(BATCH),
            groups,
            channels,
            results / groups,
            x.data(),
            w.data(),
            bias_of(bias, results, out),
            out.data(),
            x.stride(BATCH),
            x.stride(HEIGHT),
            x.stride(WIDTH),
            result_stride(out),
            has_closest_taps(w)};
        if (out.is_empty()) return;
        const ReleasedGil released;
        convolve(c, threads);
    });
}

bool convolve_channels_of(nb::handle x_array, nb::handle kernel_array, nb::handle bias,
                          nb::handle to, const Pair &stride, const Pair &dilation, int threads) {
    return where_it_fits([&] {
        const Operand x(x_array, 4), kernel(kernel_array, 3), out(to, 4, true);
        check_images(x, out);
        const size_t channels = x.length(CHANNELS);
        if (out.length(CHANNELS) != channels || kernel.length(2) != channels ||
            !kernel.is_unit(2) || (kernel.length(1) > 1 && kernel.stride(1) != channels) ||
            (kernel.length(0) > 1 && kernel.stride(0) != channels * kernel.length(1)) ||
            kernel.shares_memory_with(out))
            throw Unfit{};
        const ChannelConvolution c{
            {window(x, out, kernel.length(0), HEIGHT, stride, {0, 0}, dilation),
             window(x, out, kernel.length(1), WIDTH, stride, {0, 0}, dilation)},
            x.length(BATCH),
            channels,
            x.data(),
            kernel.data(),
            bias_of(bias, channels, out),
            out.data(),
            x.stride(BATCH),
            x.stride(HEIGHT),
            x.stride(WIDTH),
            out.stride(BATCH),
            out.stride(HEIGHT),
            out.stride(WIDTH)};
        for (const Window &w : c.windows) {
            if (w.results == 0) return;
            if ((w.results - 1) * w.step + (w.kernel - 1) * w.dilation >= w.size) throw Unfit{};
        }
        const ReleasedGil released;
        convolve_channels(c, threads);
    });
}

} // namespace

void add_dense(nb::module_ &m) {
    m.def("dense_multiply", &multiply_arrays, "x"_a, "w"_a, "bias"_a.none(), "out"_a,
          "threads"_a = 0);
    m.def("dense_convolve", &convolve_arrays, "x"_a, "w"_a, "bias"_a.none(), "out"_a, "stride"_a,
          "padding"_a, "dilation"_a, "threads"_a = 0);
    m.def("suits_convolution", &suits_convolution, "columns"_a, "channels"_a, "taps"_a);
    m.def("dense_convolve_channels", &convolve_channels_of, "x"_a, "kernel"_a, "bias"_a.none(),
          "out"_a, "stride"_a, "dilation"_a, "threads"_a = 0);
}

} // namespace gint
