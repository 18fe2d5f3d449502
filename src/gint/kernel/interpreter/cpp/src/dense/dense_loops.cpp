// The loops of float32 products and convolutions. Compiled once per instruction set; everything
// lives in unnamed namespaces so that no symbol is shared between the sets.
//
// A block of results stays in registers: ROWS rows by up to WIDTH vectors of columns. For each
// element of the sums a vector of packed columns is loaded once for all rows, and an element of a
// row once for all vectors, so that the units that multiply are what bounds it, and not loads.
#include "dense/dense_table.h"

#include <utility>

#include "loops/wide.h"

namespace gint::GINT_SIMD_NAMESPACE {

const DenseTable *dense_table();

namespace {

// Accumulators, a line of columns and one element are to fit the registers: 32 of AVX-512 and ARM,
// 16 of the others.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int ROWS = 6, WIDTH = 4;
#else
constexpr int ROWS = 6, WIDTH = 2;
#endif
constexpr size_t COLUMNS = WIDTH * LANES;

// The taps of M windows in a row, one after the other.
template <int M> class WindowTaps {
  public:
    WindowTaps(const Pieces &of, size_t row) : x(of) {
        if (!x.windows) return;
        const WindowPlaces &w = *x.windows;
        line = x.tap / w.taps, place = x.tap % w.taps;
        for (size_t m = 0; m < M; m++) {
            const size_t n = x.row + row + m;
            down[m] = w.down + n / w.length * w.lines, along[m] = w.along + n % w.length * w.taps;
        }
    }
    void next(const float *(&found)[M]) {
        for (size_t m = 0; m < M; m++) {
            const int64_t at = down[m][line] + along[m][place];
            found[m] = at < 0 ? x.zeros : x.first + at;
        }
        if (++place == x.windows->taps) place = 0, line++;
    }

  private:
    const Pieces &x;
    size_t line = 0, place = 0;
    const int64_t *down[M], *along[M];
};

// What is read next, asked for a few lines at a time while a block is multiplied: of many at once
// the processor forgets most.
class Asking {
  public:
    static constexpr size_t EACH = 16; // elements of a sum between two times

    Asking(const Panel &p, size_t row) : of(p.ahead), in_line((of.count + LINE - 1) / LINE) {
        const size_t all = of.lines * in_line, blocks = (p.rows + ROWS - 1) / ROWS;
        next = all * (row / ROWS) / blocks, end = all * (row / ROWS + 1) / blocks;
        const size_t times = p.x.count * ((p.x.channels + EACH - 1) / EACH);
        each = times ? (end - next + times - 1) / times : 0;
        if (each < FEWEST) each = FEWEST;
        if (each > MOST) each = MOST;
    }
    void some() {
        for (size_t n = 0; n < each && next < end; n++, next++)
            __builtin_prefetch(of.first + next / in_line * of.stride + next % in_line * LINE);
    }

  private:
    static constexpr size_t LINE = 64 / sizeof(float), FEWEST = 4, MOST = 24;
    const LinesAhead &of;
    size_t in_line, next, end, each;
};

// Results of a vector that is not whole. A function of its own: written out for every vector of
// every block it is most of what there is to compile.
[[gnu::noinline]] void put_part(const Panel &p, Floats sums, size_t at, float *to) {
    float lanes[LANES];
    put<float>(lanes, 0, sums);
    for (size_t i = at; i < p.columns; i++) {
        const float sum = lanes[i - at] + (p.adds ? to[i] : 0);
        to[i] = p.bias ? sum + p.bias[i] : sum;
    }
}

template <int M, int N> void multiply_block(const Panel &p, size_t row) {
    const size_t channels = p.x.channels;
    const float *packed = p.packed;
    Floats sums[M][N] = {};
    WindowTaps<M> taps(p.x, row);
    Asking asking(p, row);
    for (size_t t = 0; t < p.x.count; t++) {
        const float *x[M];
        if (p.x.windows)
            taps.next(x);
        else
            for (int m = 0; m < M; m++) x[m] = p.x.first + (row + size_t(m)) * p.x.stride;
        for (size_t i = 0; i < channels; i++, packed += N * LANES) {
            if (i % Asking::EACH == 0) asking.some();
            Floats line[N];
#pragma GCC unroll 16
            for (int n = 0; n < N; n++) line[n] = load<float>(packed, n);
#pragma GCC unroll 16
            for (int m = 0; m < M; m++) {
                const Floats value = x[m][i] - Floats{};
#pragma GCC unroll 16
                for (int n = 0; n < N; n++) sums[m][n] = muladd(value, line[n], sums[m][n]);
            }
        }
    }
    float *const out = p.out + row * p.out_stride;
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
        float *const to = out + size_t(m) * p.out_stride;
#pragma GCC unroll 16
        for (int n = 0; n < N; n++) {
            const size_t at = size_t(n) * LANES;
            if (at + LANES <= p.columns) {
                Floats sum = sums[m][n];
                if (p.adds) sum += load<float>(to, n);
                if (p.bias) sum += load<float>(p.bias, n);
                put<float>(to, n, sum);
            } else {
                put_part(p, sums[m][n], at, to);
            }
        }
    }
}

using Block = void (*)(const Panel &, size_t);
template <int N, int... M> Block block_of(size_t rows, std::integer_sequence<int, M...>) {
    static constexpr Block ALL[] = {multiply_block<M + 1, N>...};
    return ALL[rows - 1];
}
template <int... N> Block block_of(size_t rows, size_t vectors, std::integer_sequence<int, N...>) {
    using Rows = std::make_integer_sequence<int, ROWS>;
    static constexpr Block (*ALL[])(size_t, Rows) = {block_of<N + 1>...};
    return ALL[vectors - 1](rows, Rows{});
}

void multiply(const Panel &p) {
    const size_t vectors = (p.columns + LANES - 1) / LANES;
    const auto block = [&](size_t rows) {
        return block_of(rows, vectors, std::make_integer_sequence<int, WIDTH>{});
    };
    const Block whole = block(ROWS);
    const size_t blocks = (p.rows + ROWS - 1) / ROWS;
    for (size_t n = 0; n < blocks; n++) {
        const size_t row = n * ROWS, rows = p.rows - row;
        (rows < ROWS ? block(rows) : whole)(p, row);
    }
}

size_t width_of(size_t columns) { return (columns + LANES - 1) / LANES * LANES; }

typedef float Quad __attribute__((vector_size(16)));

// Four elements of each of the rows, `stride` apart: of four registers each lane of 16 bytes.
template <size_t N> auto quads(const float *p, size_t stride) {
    if constexpr (N == 1) {
        Quad x;
        memcpy(&x, p, sizeof x);
        return x;
    } else {
        const auto join = [&]<int... I>(std::integer_sequence<int, I...>) {
            return __builtin_shufflevector(quads<N / 2>(p, stride),
                                           quads<N / 2>(p + N / 2 * stride, stride), I...);
        };
        return join(std::make_integer_sequence<int, int(N * 4)>{});
    }
}

// Of the lanes of a and b the elements 0 to 3 (of a) and 4 to 7 (of b) that are named.
template <int W, int X, int Y, int Z> Floats picked(Floats a, Floats b) {
    constexpr int FROM[] = {W, X, Y, Z};
    const auto pick = [&]<int... I>(std::integer_sequence<int, I...>) {
        return __builtin_shufflevector(
            a, b, (I / 4 * 4 + FROM[I % 4] % 4 + (FROM[I % 4] < 4 ? 0 : int(LANES)))...);
    };
    return pick(std::make_integer_sequence<int, int(LANES)>{});
}

// Four elements of as many rows as a register has lanes become four registers.
void transpose(const float *rows, size_t stride, float *const (&to)[4]) {
    Floats x[4];
    for (size_t i = 0; i < 4; i++) x[i] = (Floats)quads<LANES / 4>(rows + i * stride, 4 * stride);
    const Floats ab = picked<0, 4, 1, 5>(x[0], x[1]), cd = picked<0, 4, 1, 5>(x[2], x[3]),
                 more_ab = picked<2, 6, 3, 7>(x[0], x[1]), more_cd = picked<2, 6, 3, 7>(x[2], x[3]);
    put<float>(to[0], 0, picked<0, 1, 4, 5>(ab, cd));
    put<float>(to[1], 0, picked<2, 3, 6, 7>(ab, cd));
    put<float>(to[2], 0, picked<0, 1, 4, 5>(more_ab, more_cd));
    put<float>(to[3], 0, picked<2, 3, 6, 7>(more_ab, more_cd));
}

void pack_taps(size_t columns, size_t channels, size_t taps, const float *w, size_t stride,
               float *packed) {
    const size_t width = width_of(columns), count = channels * taps;
    const size_t next_tap = channels * width, back = taps * next_tap - width;
    for (size_t n = 0; n < width; n += LANES) {
        const float *const rows = w + n * stride;
        const bool is_whole = n + LANES <= columns;
        // Where element i goes: one tap further, and after the last one channel.
        float *at = packed + n;
        size_t tap = 0;
        const auto step = [&] {
            float *const here = at;
            at += next_tap;
            if (++tap == taps) tap = 0, at -= back;
            return here;
        };
        size_t i = 0;
        for (; is_whole && i + 4 <= count; i += 4) {
            float *const to[] = {step(), step(), step(), step()};
            transpose(rows + i, stride, to);
        }
        for (; i < count; i++) {
            float *const to = step();
            for (size_t r = 0; r < LANES; r++) to[r] = n + r < columns ? rows[r * stride + i] : 0;
        }
    }
}

void pack_rows(size_t columns, size_t count, const float *w, size_t stride, float *packed) {
    pack_taps(columns, count, 1, w, stride, packed);
}

void pack_lines(size_t columns, size_t count, const float *w, size_t stride, float *packed) {
    const size_t width = width_of(columns);
    for (size_t i = 0; i < count; i++, packed += width) {
        memcpy(packed, w + i * stride, columns * sizeof(float));
        for (size_t n = columns; n < width; n++) packed[n] = 0;
    }
}

// A vector of channels of R results in a line: a vector of the kernel meets all of them.
template <int R> void channel_block(const ChannelLine &p, size_t result, size_t channel) {
    Floats sums[R];
    const Floats first = p.bias ? load<float>(p.bias + channel, 0) : Floats{};
    for (int r = 0; r < R; r++) sums[r] = first;
    const float *kernel = p.kernel + channel;
    for (size_t i = 0; i < p.lines; i++) {
        const float *x = p.x + result * p.step + i * p.line + channel;
        for (size_t k = 0; k < p.taps; k++, kernel += p.channels, x += p.tap) {
            const Floats weight = load<float>(kernel, 0);
#pragma GCC unroll 16
            for (int r = 0; r < R; r++)
                sums[r] = muladd(load<float>(x + size_t(r) * p.step, 0), weight, sums[r]);
        }
    }
    for (int r = 0; r < R; r++)
        put<float>(p.out + (result + size_t(r)) * p.out_step + channel, 0, sums[r]);
}

void one_channel(const ChannelLine &p, size_t channel) {
    for (size_t r = 0; r < p.results; r++) {
        float sum = p.bias ? p.bias[channel] : 0;
        const float *kernel = p.kernel + channel;
        for (size_t i = 0; i < p.lines; i++)
            for (size_t k = 0; k < p.taps; k++, kernel += p.channels)
                sum += p.x[r * p.step + i * p.line + k * p.tap + channel] * *kernel;
        p.out[r * p.out_step + channel] = sum;
    }
}

void each_channel(const ChannelLine &p) {
    constexpr size_t MANY = 8;
    size_t channel = 0;
    for (; channel + LANES <= p.channels; channel += LANES) {
        size_t r = 0;
        for (; r + MANY <= p.results; r += MANY) channel_block<MANY>(p, r, channel);
        if (r + 4 <= p.results) channel_block<4>(p, r, channel), r += 4;
        if (r + 2 <= p.results) channel_block<2>(p, r, channel), r += 2;
        if (r < p.results) channel_block<1>(p, r, channel);
    }
    for (; channel < p.channels; channel++) one_channel(p, channel);
}

} // namespace

const DenseTable *dense_table() {
    static constexpr DenseTable TABLE{COLUMNS,   ROWS,       LANES,    pack_rows,
                                      pack_taps, pack_lines, multiply, each_channel};
    return &TABLE;
}

} // namespace gint::GINT_SIMD_NAMESPACE
