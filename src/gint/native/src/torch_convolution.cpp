// What a run does by itself of convolutions: those in channels-last memory that the loops of
// `dense/` suit.
#include "torch_steps.h"

#include <algorithm>
#include <array>

#include "dense/dense.h"
#include "torch_tensor.h"

namespace gint {

namespace {

// The dimensions of (batch, channels, height, width).
enum Dimension : int { BATCH, CHANNELS, HEIGHT, WIDTH };

bool is_image(const Tensor &t) {
    return t.rank == 4 && t.dtype == FLOAT && t.strides[CHANNELS] == 1 &&
           std::all_of(t.sizes, t.sizes + 4, [](int64_t n) { return n > 0; }) &&
           std::all_of(t.strides, t.strides + 4, [](int64_t n) { return n >= 0; });
}

// Whether dimensions, the closest first, lie without gaps.
bool is_dense(const Tensor &t, std::array<int, 4> order) {
    int64_t stride = 1;
    return std::all_of(order.begin(), order.end(), [&](int d) {
        const bool fits = t.sizes[d] == 1 || t.strides[d] == stride;
        stride *= t.sizes[d];
        return fits;
    });
}

bool is_bias(TensorHandle handle, int64_t results) {
    Tensor bias;
    return bias.read(handle) && bias.rank == 1 && bias.dtype == FLOAT && bias.sizes[0] == results &&
           (results == 1 || bias.strides[0] == 1);
}

} // namespace

std::optional<Outcome> ConvolutionStep::run_dense(RunValue *values) const {
    Tensor x, w;
    if (is_transposed || stride.size() != 2 || padding.size() != 2 || dilation.size() != 2 ||
        groups < 1 || !x.read(values[input].handle) || !w.read(values[weight].handle) ||
        !is_image(x) || w.rank != 4 || w.dtype != FLOAT)
        return {};
    const int64_t results = w.sizes[BATCH], channels = w.sizes[CHANNELS];
    const int64_t taps = w.sizes[HEIGHT] * w.sizes[WIDTH];
    if (x.sizes[CHANNELS] != channels * groups || results % groups || taps < 1 ||
        !suits_convolution(size_t(results / groups), size_t(channels), size_t(taps)) ||
        (bias != NONE && !is_bias(values[bias].handle, results)))
        return {};
    const bool channels_closest = is_dense(w, {CHANNELS, WIDTH, HEIGHT, BATCH});
    if (!channels_closest && !is_dense(w, {WIDTH, HEIGHT, CHANNELS, BATCH})) return {};
    Window windows[2];
    int64_t counts[2];
    for (size_t n = 0; n < 2; n++) {
        const int64_t size = x.sizes[HEIGHT + n], kernel = w.sizes[HEIGHT + n];
        const int64_t reach = dilation[n] * (kernel - 1) + 1, room = size + 2 * padding[n] - reach;
        if (stride[n] < 1 || dilation[n] < 1 || padding[n] < 0 || room < 0) return {};
        counts[n] = room / stride[n] + 1;
        windows[n] = {size_t(kernel),     size_t(stride[n]), size_t(dilation[n]),
                      size_t(padding[n]), size_t(size),      size_t(counts[n])};
    }
    const int64_t sizes[] = {x.sizes[BATCH], results, counts[0], counts[1]};
    const int64_t strides[] = {counts[0] * counts[1] * results, 1, counts[1] * results, results};
    TensorHandle made = nullptr;
    const ShimError error = torch_shim()->empty_strided(4, sizes, strides, FLOAT, CPU, 0, &made);
    const Outcome kept = keep(error, made, &values[value]);
    if (kept != Outcome::done) return kept;
    const auto floats = [&](Number n) { return reinterpret_cast<float *>(values[n].address); };
    convolve({{windows[0], windows[1]},
              size_t(x.sizes[BATCH]),
              size_t(groups),
              size_t(channels),
              size_t(results / groups),
              floats(input),
              floats(weight),
              bias == NONE ? nullptr : floats(bias),
              floats(value),
              size_t(x.strides[BATCH]),
              size_t(x.strides[HEIGHT]),
              size_t(x.strides[WIDTH]),
              size_t(results),
              !channels_closest},
             0);
    return Outcome::done;
}

} // namespace gint
