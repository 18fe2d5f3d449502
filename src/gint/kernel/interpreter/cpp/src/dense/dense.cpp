#include "dense/dense.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <vector>

#include "cpu/aligned.h"
#include "cpu/simd_unit.h"
#include "cpu/threads.h"
#include "dense/dense_table.h"

namespace gint {

namespace {

// What a thread does in a microsecond, roughly: multiplications; and what is worth waking one for.
constexpr double PRODUCTS_PER_US = 60e3, CHANNEL_PRODUCTS_PER_US = 20e3, US_PER_THREAD = 8;
// Elements of a sum that are packed at a time: 64 columns of them, those that are asked for, and as
// many of a hundred rows, stay in the second cache.
constexpr size_t DEPTH = 512;
// Floats of a cache line: channels are cut into whole ones.
constexpr size_t LINE = 16;
static_assert(MOST_TAPS * LINE <= DEPTH);
// Packing a panel costs as much as some ten rows of it.
constexpr size_t LEAST_ROWS = 96;
constexpr size_t PIECES_PER_THREAD = 4;

int threads_for(double products, double per_us, int threads) {
    const double most = std::max(1.0, products / per_us / US_PER_THREAD);
    return int(std::min(double(allowed_threads(threads)), most));
}

// body(n, thread) for n < count, on `threads` threads: those that launches before and after have,
// which spin for a while on their cores.
template <class Body> void share(size_t count, int threads, const Body &body) {
    std::atomic<size_t> next = 0;
    const auto part = [&](int thread) {
        for (size_t n; (n = next.fetch_add(1, std::memory_order_relaxed)) < count;)
            body(n, size_t(thread));
    };
    threads = int(std::min(size_t(threads), count));
    if (threads < 2) return part(0);
    in_team(threads, [&] { part(thread_number()); });
}

// For the panels that all threads of a product pack; kept for the caller's next one.
class Scratch {
  public:
    ~Scratch() { free_aligned(memory); }
    float *of(size_t floats) {
        if (floats <= size) return memory;
        free_aligned(memory);
        size = 0;
        constexpr size_t PAGE = 4096;
        const size_t bytes = (floats * sizeof(float) + PAGE - 1) / PAGE * PAGE;
        memory = static_cast<float *>(allocate_aligned(PAGE, bytes));
        if (!memory) throw std::bad_alloc();
        size = bytes / sizeof(float);
        return memory;
    }

  private:
    float *memory = nullptr;
    size_t size = 0;
};
thread_local Scratch scratch;

// How a product is cut: panels of columns by pieces of rows, of each matrix of a batch.
struct Cut {
    size_t batch, rows, columns, panel, piece, panels, pieces;

    Cut(size_t count, size_t row_count, size_t column_count, const DenseTable &table, int threads)
        : batch(count), rows(row_count), columns(column_count), panel(table.columns), piece(rows),
          panels((columns + panel - 1) / panel), pieces(1) {
        const size_t wanted = threads > 1 ? PIECES_PER_THREAD * size_t(threads) : 1;
        if (batch * panels >= wanted || rows <= LEAST_ROWS) return;
        const size_t each = (wanted + batch * panels - 1) / (batch * panels);
        piece = std::max(LEAST_ROWS, (rows + each - 1) / each);
        piece = (piece + table.rows - 1) / table.rows * table.rows;
        pieces = (rows + piece - 1) / piece;
    }
    size_t count() const { return batch * panels * pieces; }
    struct Part {
        size_t matrix, column, columns, row, rows;
    };
    Part part(size_t n) const {
        const size_t row = n % pieces * piece, column = n / pieces % panels * panel;
        return {n / pieces / panels, column, std::min(panel, columns - column), row,
                std::min(piece, rows - row)};
    }
};

const float ZEROS[DEPTH] = {};

// Of every window along a dimension its taps' places, below 0 where one is outside; of the first
// dimension for every image.
std::vector<int64_t> places_of(const Window &w, size_t stride, size_t images = 1, size_t next = 0) {
    constexpr int64_t OUTSIDE = std::numeric_limits<int64_t>::min() / 2;
    std::vector<int64_t> at;
    at.reserve(images * w.results * w.kernel);
    for (size_t image = 0; image < images; image++)
        for (size_t n = 0; n < w.results; n++)
            for (size_t k = 0; k < w.kernel; k++) {
                const size_t place = n * w.step + k * w.dilation;
                const bool is_inside = place >= w.before && place - w.before < w.size;
                at.push_back(is_inside ? int64_t(image * next + (place - w.before) * stride)
                                       : OUTSIDE);
            }
    return at;
}

// Of a convolution's sum what is packed at a time: some channels of some taps.
struct Block {
    size_t tap, taps, channel, channels;
};

std::vector<Block> blocks_of(const DenseConvolution &c, size_t taps) {
    std::vector<Block> blocks;
    // Where a channel's taps lie side by side a block has all of them, else as many as fit.
    const size_t fit = c.taps_closest ? std::max<size_t>(DEPTH / taps / LINE * LINE, LINE) : DEPTH;
    const size_t count = (c.channels + fit - 1) / fit, each = (c.channels + count - 1) / count,
                 channels = std::min((each + LINE - 1) / LINE * LINE, c.channels);
    const size_t together = c.taps_closest ? taps : std::max<size_t>(DEPTH / channels, 1);
    const bool is_whole = channels == c.channels;
    for (size_t tap = 0; tap < taps;) {
        const size_t many = is_whole || c.taps_closest ? std::min(together, taps - tap) : 1;
        for (size_t at = 0; at < c.channels; at += channels)
            blocks.push_back({tap, many, at, std::min(channels, c.channels - at)});
        tap += many;
    }
    return blocks;
}

} // namespace

void multiply(const DenseProduct &p, int allowed) {
    const DenseTable &table = *simd_unit()->dense();
    const double products = double(p.batch * p.rows) * double(p.columns) * double(p.depth);
    const int threads = threads_for(products, PRODUCTS_PER_US, allowed);
    const Cut cut(p.batch, p.rows, p.columns, table, threads);
    float *const memory = scratch.of(size_t(threads) * DEPTH * table.columns);
    share(cut.count(), threads, [&](size_t n, size_t thread) {
        const auto part = cut.part(n);
        float *const packed = memory + thread * DEPTH * table.columns;
        const float *const x =
            p.x + ptrdiff_t(part.matrix) * p.x_next + ptrdiff_t(part.row * p.x_stride);
        const float *const w = p.w + ptrdiff_t(part.matrix) * p.w_next;
        float *const out = p.out + ptrdiff_t(part.matrix) * p.out_next +
                           ptrdiff_t(part.row * p.out_stride + part.column);
        // Of a panel in w the elements of a block of sums, from `at` on.
        const auto source = [&](size_t column, size_t columns, size_t at) -> LinesAhead {
            const size_t depth = std::min(DEPTH, p.depth - at);
            if (p.by_columns) return {w + column * p.w_stride + at, columns, depth, p.w_stride};
            return {w + at * p.w_stride + column, depth, columns, p.w_stride};
        };
        // Nobody knows which panel this thread will have next; by turns it is this one.
        const auto after = cut.part(std::min(n + size_t(threads) * cut.pieces, cut.count() - 1));
        const auto pack = p.by_columns ? table.pack_rows : table.pack_lines;
        size_t at = 0;
        do {
            const LinesAhead here = source(part.column, part.columns, at);
            const size_t depth = std::min(DEPTH, p.depth - at);
            pack(part.columns, depth, here.first, p.w_stride, packed);
            const bool is_last = at + depth == p.depth;
            table.multiply({{x + at, p.x_stride, nullptr, 0, 0, 1, depth, ZEROS},
                            part.rows,
                            part.columns,
                            packed,
                            out,
                            p.out_stride,
                            at > 0,
                            is_last && p.bias ? p.bias + part.column : nullptr,
                            is_last ? source(after.column, after.columns, 0)
                                    : source(part.column, part.columns, at + depth)});
            at += depth;
        } while (at < p.depth);
    });
}

void convolve(const DenseConvolution &c, int allowed) {
    const DenseTable &table = *simd_unit()->dense();
    const Window &over = c.windows[0], &in = c.windows[1];
    const std::vector<int64_t> down = places_of(over, c.x_line, c.batch, c.x_next),
                               along = places_of(in, c.x_pixel);
    const WindowPlaces places{in.results, over.kernel, in.kernel, down.data(), along.data()};
    const size_t taps = over.kernel * in.kernel, results = c.batch * over.results * in.results;
    const size_t depth = taps * c.channels;
    const double products = double(results) * double(c.groups * c.columns) * double(depth);
    const int threads = threads_for(products, PRODUCTS_PER_US, allowed);
    const Cut cut(c.groups, results, c.columns, table, threads);
    const std::vector<Block> blocks = blocks_of(c, taps);
    float *const memory = scratch.of(size_t(threads) * DEPTH * table.columns);
    share(cut.count(), threads, [&](size_t n, size_t thread) {
        const auto part = cut.part(n);
        float *const packed = memory + thread * DEPTH * table.columns;
        const auto column = [&](const Cut::Part &of) { return of.matrix * c.columns + of.column; };
        float *const out = c.out + part.row * c.out_stride + column(part);
        // Of a panel in w the elements of a block.
        const auto source = [&](const Cut::Part &of, const Block &b) -> LinesAhead {
            const size_t at = c.taps_closest ? b.channel * taps : b.tap * c.channels + b.channel;
            return {c.w + column(of) * depth + at, of.columns, b.taps * b.channels, depth};
        };
        const auto after = cut.part(std::min(n + size_t(threads) * cut.pieces, cut.count() - 1));
        for (size_t i = 0; i < blocks.size(); i++) {
            const Block &b = blocks[i];
            const bool is_last = i + 1 == blocks.size();
            const float *const w = source(part, b).first;
            if (c.taps_closest)
                table.pack_taps(part.columns, b.channels, taps, w, depth, packed);
            else
                table.pack_rows(part.columns, b.taps * b.channels, w, depth, packed);
            table.multiply({{c.x + part.matrix * c.channels + b.channel, 0, &places, part.row,
                             b.tap, b.taps, b.channels, ZEROS},
                            part.rows,
                            part.columns,
                            packed,
                            out,
                            c.out_stride,
                            i > 0,
                            is_last && c.bias ? c.bias + column(part) : nullptr,
                            is_last ? source(after, blocks[0]) : source(part, blocks[i + 1])});
        }
    });
}

bool suits_convolution(size_t columns, size_t channels, size_t taps) {
    constexpr size_t LEAST_LANES = 8, LEAST = 16;
    return simd_unit() && simd_unit()->dense()->lanes >= LEAST_LANES && channels >= LEAST &&
           columns >= LEAST && taps <= MOST_TAPS;
}

void convolve_channels(const ChannelConvolution &c, int allowed) {
    const DenseTable &table = *simd_unit()->dense();
    const Window &down = c.windows[0], &along = c.windows[1];
    const size_t lines = down.results;
    const double products =
        double(c.batch * lines * along.results * c.channels) * double(down.kernel * along.kernel);
    const int threads = threads_for(products, CHANNEL_PRODUCTS_PER_US, allowed);
    share(c.batch * lines, threads, [&](size_t n, size_t) {
        const size_t image = n / lines, line = n % lines;
        table.each_channel({along.results, c.channels, down.kernel, along.kernel,
                            c.x + image * c.x_next + line * down.step * c.x_line,
                            along.step * c.x_pixel, down.dilation * c.x_line,
                            along.dilation * c.x_pixel, c.kernel, c.bias,
                            c.out + image * c.out_next + line * c.out_line, c.out_pixel});
    });
}

} // namespace gint
