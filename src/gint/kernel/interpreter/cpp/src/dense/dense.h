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

// out (batch, results, columns) <- windows of x (batch, sizes..., channels) times w (columns, taps,
// channels) without gaps, plus bias (columns) where there is one.
struct DenseConvolution {
    Window windows[2];
    size_t batch, channels, columns;
    const float *x, *w, *bias;
    float *out;
    size_t x_next, x_line, x_pixel, out_next, out_stride;
};

void convolve(const DenseConvolution &c, int threads);

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
