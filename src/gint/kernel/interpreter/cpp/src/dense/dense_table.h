// What the loops of float32 products and convolutions offer to the rest of the interpreter.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace gint {

// Where the taps of windows over two dimensions lie. Window n is in line n / length, at n % length;
// its tap t in line t / taps of the kernel, at t % taps. The tap lies at down[window's line * lines
// + tap's line] + along[window's place * taps + tap's place], outside where that is negative.
struct WindowPlaces {
    size_t length, lines, taps;
    const int64_t *down, *along;
};

// Rows of a matrix, or windows as rows: `count` pieces of `channels` floats each. With `windows`
// piece t of row r is tap `tap` + t of window `row` + r, from `first` on, or zeros; else there is
// one piece, r * stride from `first` on.
struct Pieces {
    const float *first;
    size_t stride;
    const WindowPlaces *windows;
    size_t row, tap, count, channels;
    const float *zeros; // as many as channels
};

// What is read next, lines of `count` floats: it is asked for while something else is multiplied.
struct LinesAhead {
    const float *first;
    size_t lines, count, stride;
};

// Some columns of a product: out[r * out_stride + n] <- the sum over i of x[r][i] * packed[i][n],
// plus what is there where `adds`, plus bias[n] where there is one.
struct Panel {
    Pieces x;
    size_t rows, columns;
    const float *packed; // (count * channels, packed_width(columns))
    float *out;
    size_t out_stride;
    bool adds;
    const float *bias;
    LinesAhead ahead;
};

// Results of a line of windows in which every channel meets a kernel of its own. Strides in floats.
struct ChannelLine {
    size_t results, channels, lines, taps; // results in the line; the kernel is (lines, taps)
    const float *x;                        // of the first window, its first channel
    size_t step, line, tap;                // to the next window, and within one
    const float *kernel;                   // (lines, taps, channels)
    const float *bias;                     // (channels), or null
    float *out;
    size_t out_step;
};

struct DenseTable {
    size_t columns; // of a panel, at most
    size_t rows;    // that are multiplied at once: a multiple of them is best
    size_t lanes;   // packed_width is the next multiple of them
    // packed[i][n] <- w[n * stride + i], and 0 beyond `columns`
    void (*pack_rows)(size_t columns, size_t count, const float *w, size_t stride, float *packed);
    // packed[t * channels + c][n] <- w[n * stride + c * taps + t], and 0 beyond `columns`
    void (*pack_taps)(size_t columns, size_t channels, size_t taps, const float *w, size_t stride,
                      float *packed);
    // packed[i][n] <- w[i * stride + n]
    void (*pack_lines)(size_t columns, size_t count, const float *w, size_t stride, float *packed);
    void (*multiply)(const Panel &);
    void (*each_channel)(const ChannelLine &);

    size_t packed_width(size_t n) const { return (n + lanes - 1) / lanes * lanes; }
};

} // namespace gint
