// Products of float32 matrices, and convolutions in channels-last memory, on several threads.
// Strides count elements. A result is the same for any number of threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace gint {

// out (rows, columns) <- x (rows, depth) times w, plus bias (columns) where there is one. Elements
// of a row of x and of out lie side by side; of w those of a column where `by_columns`, else those
// of a line. Matrices of a batch lie `*_next` apart.
struct DenseProduct {
    size_t batch, rows, columns, depth;
    const float *x, *w, *bias;
    float *out;
    size_t x_stride, w_stride, out_stride;
    ptrdiff_t x_next, w_next, out_next;
    bool by_columns;
};

void multiply(const DenseProduct &p, int threads);

// Along the last two spatial dimensions; of one alone the first has sizes of 1.
struct Window {
    size_t kernel, step, dilation;
    size_t before; // zeros that are added in front
    size_t size, results;
};

// out (batch, results..., groups * columns) <- windows of x (batch, sizes..., groups * channels)
// times w without gaps, plus bias where there is one. `channels` and `columns` are a group's, and a
// group's columns meet its channels alone. w is (groups * columns, channels, taps) where
// `taps_closest`, else (groups * columns, taps, channels). All results lie `out_stride` apart.
struct DenseConvolution {
    Window windows[2];
    size_t batch, groups, channels, columns;
    const float *x, *w, *bias;
    float *out;
    size_t x_next, x_line, x_pixel, out_stride;
    bool taps_closest; // at most MOST_TAPS of them
};

constexpr size_t MOST_TAPS = 32;

void convolve(const DenseConvolution &c, int threads);

// Whether that is worth it beside a library's: where a group's channels and columns fill registers
// of 32 bytes and more, which is what was measured.
bool suits_convolution(size_t columns, size_t channels, size_t taps);

// out (batch, results..., channels) <- for each channel its windows times its kernel (taps...,
// channels), plus bias (channels) where there is one. Nothing lies outside: `before` is 0.
struct ChannelConvolution {
    Window windows[2];
    size_t batch, channels;
    const float *x, *kernel, *bias;
    float *out;
    size_t x_next, x_line, x_pixel, out_next, out_line, out_pixel;
};

void convolve_channels(const ChannelConvolution &c, int threads);

} // namespace gint
