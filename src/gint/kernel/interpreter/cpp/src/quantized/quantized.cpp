#include "quantized/quantized.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "cpu/aligned.h"
#include "cpu/simd_unit.h"
#include "cpu/threads.h"

namespace gint {

namespace {

constexpr size_t LARGE_PAGE = size_t(2) << 20;
// What a thread does in a microsecond, roughly: bytes of weights read, products, values quantised.
constexpr double READ_PER_US = 16e3, PRODUCTS_PER_US = 150e3, QUANTIZED_PER_US = 2e3;
constexpr double US_PER_THREAD = 8; // work that is worth waking a thread for
// Activations that are multiplied with one group after the other stay in the second cache.
constexpr size_t ACTIVATION_BYTES = size_t(768) << 10;

int threads_for(double us, int allowed) {
    return int(std::clamp(us / US_PER_THREAD, 1.0, double(allowed)));
}

// Rows of x in tiles, for the loops of one format.
class Activations {
  public:
    struct Tile {
        size_t first, size_log2; // rows of x
        size_t at;               // bytes into the memory

        size_t rows() const { return size_t(1) << size_log2; }
    };

    Activations(const Product &p, const QuantizedTable &table, size_t first, size_t count)
        : product(p), form(table.loops[p.matrix.format].form),
          functions(p.quantize_activations
                        ? table.loops[p.matrix.format].product
                        : simd_unit()->quantized_f32()->loops[p.matrix.format].product),
          block_bytes(p.quantize_activations ? form.block_bytes() : BLOCK_FLOATS),
          tiles(cut(first, count, table.max_tile)), memory(count * row_bytes()) {}

    size_t row_bytes() const { return product.matrix.inputs / BLOCK * block_bytes; }

    // Returns the rows that have no form in 8 bits.
    std::vector<size_t> fill(int threads) {
        const size_t first = tiles[0].first,
                     count = tiles.back().first + tiles.back().rows() - first;
        std::vector<uint8_t> unfit(count);
        const double us = double(count * product.matrix.inputs) / QUANTIZED_PER_US;
        share(tiles.size(), threads_for(us, threads), [&](size_t n, size_t) {
            const Tile &tile = tiles[n];
            for (size_t row = 0; row < tile.rows(); row++)
                unfit[tile.first + row - first] = !fill_row(tile, row);
        });
        std::vector<size_t> rows;
        for (size_t row = 0; row < count; row++)
            if (unfit[row]) rows.push_back(first + row);
        return rows;
    }

    // Group `n` of a product whose rows of x these are.
    void multiply(const Product &of, const uint8_t *group, size_t n) const {
        const size_t lanes = std::min(LANES, of.matrix.outputs - n * LANES);
        for (const Tile &tile : tiles)
            functions[tile.size_log2](of.matrix.blocks(), group, memory.get() + tile.at,
                                      of.out + ptrdiff_t(tile.first) * of.out_stride + n * LANES,
                                      of.out_stride, lanes);
    }

  private:
    const Product &product;
    const ActivationForm &form;
    const ProductFn *const functions; // by log2 of a tile's rows
    const size_t block_bytes;
    const std::vector<Tile> tiles;
    const Memory memory;

    std::vector<Tile> cut(size_t first, size_t count, size_t most) const {
        std::vector<Tile> made;
        size_t log2 = 0, at = 0;
        while (size_t(2) << log2 <= most) log2++;
        for (const size_t end = first + count; first < end;) {
            while (size_t(1) << log2 > end - first) log2--;
            made.push_back({first, log2, at});
            first += made.back().rows(), at += made.back().rows() * row_bytes();
        }
        return made;
    }

    bool fill_row(const Tile &tile, size_t row) const {
        const size_t rows = tile.rows(), blocks = product.matrix.inputs / BLOCK;
        const float *x = product.x + ptrdiff_t(tile.first + row) * product.x_stride;
        uint8_t *to = memory.get() + tile.at;
        if (product.quantize_activations)
            return simd_unit()->quantized_f32()->quantize(blocks, rows, row, form, to, x);
        for (size_t block = 0; block < blocks; block++)
            std::memcpy(to + (block * rows + row) * BLOCK_FLOATS, x + block * BLOCK, BLOCK_FLOATS);
        return true;
    }
};

void pack(const QuantizedMatrix &m, const uint8_t *rows, size_t n, uint8_t *group) {
    const size_t lanes = std::min(LANES, m.outputs - n * LANES);
    simd_unit()->quantized_f32()->loops[m.format].pack(
        m.blocks(), lanes, group, rows + n * LANES * m.row_bytes(), m.row_bytes());
}

// Some rows of x: all groups of all products with them.
void multiply_rows(Products products, size_t first, size_t count, int allowed,
                   const NextRead &next) {
    const QuantizedTable &table = *simd_unit()->quantized();
    const Product &p = products[0];
    Activations activations(p, table, first, count);
    const std::vector<size_t> unfit = activations.fill(allowed);

    // Rows that have no form in 8 bits are multiplied again, one by one, as they are.
    Product exact = p;
    exact.quantize_activations = false;
    std::vector<std::unique_ptr<Activations>> again;
    for (size_t row : unfit) {
        again.push_back(std::make_unique<Activations>(exact, table, row, 1));
        again.back()->fill(1);
    }

    size_t groups = 0;
    for (const Product &of : products) groups += of.matrix.groups();
    const double read = double(groups * p.matrix.group_bytes());
    const double work = double(groups * LANES) * double(p.matrix.inputs) * double(count);
    const int threads = threads_for(std::max(read / READ_PER_US, work / PRODUCTS_PER_US), allowed);
    const Memory scratch(p.packed ? 0 : size_t(threads) * p.matrix.group_bytes());
    const auto multiply_group = [&](size_t n, size_t thread) {
        const Product *of = products.data();
        while (n >= of->matrix.groups()) n -= (of++)->matrix.groups();
        const uint8_t *group;
        if (of->packed) {
            group = of->packed->group(n);
        } else {
            uint8_t *made = scratch.get() + thread * of->matrix.group_bytes();
            pack(of->matrix, of->rows, n, made);
            group = made;
        }
        activations.multiply(*of, group, n);
        for (const auto &row : again) row->multiply(*of, group, n);
    };
    share(groups, size_t(threads), multiply_group, [&](size_t thread) {
        if (next) ask_for(next(thread, size_t(threads)));
    });
}

#ifdef __linux__
// Memory at a multiple of a large page, which `bytes` fill; null where there is none. Of malloc's,
// some may have been another's large pages, and would be large again where small ones are meant.
uint8_t *map_aligned(size_t bytes) {
    void *found = mmap(nullptr, bytes + LARGE_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) return nullptr;
    uint8_t *const first = static_cast<uint8_t *>(found);
    const size_t before = -reinterpret_cast<uintptr_t>(first) % LARGE_PAGE;
    if (before) munmap(first, before);
    munmap(first + before + bytes, LARGE_PAGE - before);
    return first + before;
}
#endif

} // namespace

void Memory::Free::operator()(uint8_t *p) const {
#ifdef __linux__
    if (mapped) {
        munmap(p, mapped);
        return;
    }
#endif
    free_aligned(p);
}

Memory::Memory(size_t bytes) {
    if (bytes == 0) return;
#ifdef __linux__
    if (bytes >= 2 * LARGE_PAGE) {
        const size_t rounded = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
        at = std::unique_ptr<uint8_t, Free>(map_aligned(rounded), Free{rounded});
        if (!at) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
        // A large page is resident as a whole, so the last one must be worth it.
        const bool is_worth_it = rounded - bytes <= bytes / 16;
        madvise(at.get(), is_worth_it ? rounded : bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
        return;
    }
#endif
    at.reset(static_cast<uint8_t *>(allocate_aligned(LINE, (bytes + LINE - 1) / LINE * LINE)));
    if (!at) throw std::bad_alloc();
}

PackedWeights::PackedWeights(const QuantizedMatrix &of, const uint8_t *rows, int threads)
    : matrix(of), bytes(of.groups() * of.group_bytes()), memory(bytes) {
    share(
        matrix.groups(), threads_for(double(bytes) / READ_PER_US, allowed_threads(threads)),
        [&](size_t n, size_t) { pack(matrix, rows, n, memory.get() + n * matrix.group_bytes()); });
}

void PackedWeights::unpack(uint8_t *rows) const {
    const size_t pitch = matrix.row_bytes();
    for (size_t n = 0; n < matrix.groups(); n++)
        simd_unit()->quantized_f32()->loops[matrix.format].unpack(
            matrix.blocks(), 0, std::min(LANES, matrix.outputs - n * LANES), group(n),
            rows + n * LANES * pitch, pitch);
}

void PackedWeights::decode(const int64_t *numbers, size_t count, float *values) const {
    const auto outputs = int64_t(matrix.outputs);
    for (size_t n = 0; n < count; n++)
        if (numbers[n] < -outputs || numbers[n] >= outputs)
            throw std::out_of_range("There is no row " + std::to_string(numbers[n]) + " of " +
                                    std::to_string(outputs) + ".");
    const auto row = simd_unit()->quantized_f32()->loops[matrix.format].decode;
    for (size_t n = 0; n < count; n++) {
        const size_t at = size_t(numbers[n] < 0 ? numbers[n] + outputs : numbers[n]);
        row(matrix.blocks(), at % LANES, group(at / LANES), values + n * matrix.inputs);
    }
}

uint64_t read_all(const uint8_t *p, size_t bytes, int threads) {
    constexpr size_t PIECE = size_t(64) << 10;
    std::atomic<uint64_t> all = 0;
    share((bytes + PIECE - 1) / PIECE, allowed_threads(threads), [&](size_t n, size_t) {
        const size_t at = n * PIECE;
        all ^= simd_unit()->quantized_f32()->read(std::min(PIECE, bytes - at), p + at);
    });
    return all;
}

Piece read_by(const std::vector<const PackedWeights *> &weights, size_t thread, size_t threads) {
    size_t groups = 0;
    for (const PackedWeights *one : weights) groups += one->matrix.groups();
    const size_t shares = std::min(threads, groups);
    if (thread >= shares) return {nullptr, 0};
    size_t first = groups * thread / shares, count = groups * (thread + 1) / shares - first, at = 0;
    while (first >= weights[at]->matrix.groups()) first -= weights[at++]->matrix.groups();
    const QuantizedMatrix &m = weights[at]->matrix;
    return {weights[at]->group(first), std::min(count, m.groups() - first) * m.group_bytes()};
}

bool have_one_x(const Product &a, const Product &b) {
    return a.matrix.format == b.matrix.format && a.matrix.inputs == b.matrix.inputs &&
           a.quantize_activations == b.quantize_activations && a.count == b.count && a.x == b.x &&
           a.x_stride == b.x_stride && !a.packed == !b.packed;
}

void multiply(Products products, int threads, const NextRead &next) {
    const Product &p = products[0];
    if (p.count == 0) return;
    if (p.matrix.inputs == 0) {
        for (const Product &of : products)
            for (size_t row = 0; row < of.count; row++)
                std::fill_n(of.out + ptrdiff_t(row) * of.out_stride, of.matrix.outputs, 0.0f);
        return;
    }
    const size_t row_bytes =
        p.matrix.inputs / BLOCK * (p.quantize_activations ? BLOCK + 8 : BLOCK_FLOATS);
    const size_t most = std::max<size_t>(ACTIVATION_BYTES / row_bytes / MAX_TILE, 4) * MAX_TILE;
    threads = allowed_threads(threads);
    for (size_t first = 0; first < p.count; first += most)
        multiply_rows(products, first, std::min(most, p.count - first), threads, next);
}

} // namespace gint
