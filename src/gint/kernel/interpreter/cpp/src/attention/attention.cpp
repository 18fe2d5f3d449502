#include "attention/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "cpu/simd_unit.h"
#include "cpu/threads.h"

namespace gint {

namespace {

// What a thread does in a microsecond, roughly: products, bytes of keys and values read; and what
// is worth waking one for.
constexpr double PRODUCTS_PER_US = 30e3, READ_PER_US = 16e3, US_PER_THREAD = 4;

// How many threads share `jobs` that take so long together.
int threads_for(double us, size_t jobs, int threads) {
    const double most = std::min(double(jobs), double(allowed_threads(threads)));
    return int(std::clamp(us / US_PER_THREAD, 1.0, std::max(most, 1.0)));
}

// From the first key that is kept to the last one, by whole blocks and by whole vectors.
struct Kept {
    size_t first, stop, of_blocks;

    Kept(const uint8_t *keep, size_t keys, size_t block) : first(0), stop(keys) {
        constexpr size_t LANES = 16;
        while (first < keys && !keep[first]) first++;
        while (stop > first && !keep[stop - 1]) stop--;
        first -= first % block;
        of_blocks = (stop - first + block - 1) / block * block;
        stop = std::min((stop + LANES - 1) / LANES * LANES, first + of_blocks);
    }
};

size_t element_bytes(const AttentionLayout &l) { return l.is_half ? 2 : sizeof(float); }

// An element of keys or values.
const void *element(const AttentionLayout &l, const void *all, size_t n) {
    return static_cast<const char *>(all) + n * element_bytes(l);
}

// What threads read of a head's keys and values, where that lies in one piece each.
void add_pieces(const AttentionLayout &l, const AttentionOperands &o, const Kept &kept, size_t head,
                std::vector<Piece> &pieces) {
    if (l.k_stride != l.block || l.k_block != l.size * l.block || l.v_stride != l.size) return;
    const size_t row = l.size * element_bytes(l);
    pieces.push_back(
        {element(l, o.k, head * l.k_head + kept.first * l.size), kept.of_blocks * row});
    pieces.push_back(
        {element(l, o.v, head * l.v_head + kept.first * l.size), (kept.stop - kept.first) * row});
}

} // namespace

void attend(const AttentionLayout &l, const AttentionOperands &o, int most, const NextRead &next) {
    const size_t block = std::max<size_t>(l.block, 1); // no keys may be blocks of none
    const Kept kept(o.keep, l.keys, block);
    const double values = 2.0 * double(l.heads) * double((kept.stop - kept.first) * l.size);
    const double us = std::max(values * double(l.queries) / PRODUCTS_PER_US,
                               values * double(element_bytes(l)) / READ_PER_US);
    const size_t threads = size_t(threads_for(us, l.heads, most));
    const auto &table = *simd_unit()->attention();
    const float scale = 1 / std::sqrt(float(l.size));

    std::vector<std::vector<Piece>> pieces(threads);
    std::vector<Ahead> ahead(threads);
    for (size_t thread = 0; thread < threads; thread++) {
        std::vector<Piece> &own = pieces[thread];
        for (size_t n = l.heads * thread / threads; n < l.heads * (thread + 1) / threads; n++)
            add_pieces(l, o, kept, n, own);
        if (next) own.push_back(next(thread, threads));
        ahead[thread].next = own.data(), ahead[thread].end = own.data() + own.size();
    }
    const auto attend_head = [&](size_t n, size_t thread) {
        table.attend({l.queries, l.keys, l.size, block, kept.first, kept.stop,
                      o.q + n * l.queries * l.size, l.is_half, element(l, o.k, n * l.k_head),
                      l.k_block, l.k_stride, element(l, o.v, n * l.v_head), l.v_stride, o.keep,
                      scale, o.scores + n * l.queries * l.keys, o.out + n * l.queries * l.size,
                      &ahead[thread]});
    };
    share(l.heads, int(threads), attend_head);
}

namespace {

// The keys from the first to the last that the mask lets any of a group's heads see.
struct Seen {
    size_t first = 0, stop;

    Seen(const RowsLayout &l, const float *mask) : stop(l.keys) {
        if (!mask) return;
        while (stop > 0 && is_hidden(l, mask, stop - 1)) stop--;
        while (first < stop && is_hidden(l, mask, first)) first++;
    }

  private:
    static bool is_hidden(const RowsLayout &l, const float *mask, size_t key) {
        const size_t masks = l.mask.head == 0 ? 1 : l.group;
        for (size_t n = 0; n < masks; n++)
            if (mask[n * l.mask.head + key * l.mask_step] != NOTHING) return false;
        return true;
    }
    static constexpr float NOTHING = -std::numeric_limits<float>::infinity();
};

} // namespace

void attend_rows(const RowsLayout &l, const RowsOperands &o, int threads, const NextRead &next) {
    const size_t groups = l.heads / l.group, jobs = l.batch * groups * l.rows;
    const double products = 2.0 * double(jobs * l.group) * double(l.keys * l.size);
    const int count = threads_for(products / PRODUCTS_PER_US, jobs, threads);
    const auto &table = *simd_unit()->attention();
    std::vector<float> scores(size_t(count) * l.group * l.keys);
    std::atomic<size_t> job = 0;
    work_together(count, [&](int thread) {
        float *const own = scores.data() + size_t(thread) * l.group * l.keys;
        for (size_t n; (n = job.fetch_add(1, std::memory_order_relaxed)) < jobs;) {
            const size_t row = n % l.rows, g = n / l.rows % groups, b = n / l.rows / groups;
            const auto first = [&](const RowsLayout::Strides &s) {
                return b * s.batch + g * l.group * s.head + row * s.row;
            };
            const float *mask = o.mask ? o.mask + first(l.mask) : nullptr;
            const Seen seen(l, mask);
            if (mask) mask += seen.first * l.mask_step;
            const auto from = [&](const float *x, const RowsLayout::Strides &s) {
                return x + b * s.batch + g * s.head + seen.first * s.row;
            };
            table.attend_rows({l.group, seen.stop - seen.first, l.size, o.q + first(l.q), l.q.head,
                               from(o.k, l.k), from(o.v, l.v), l.k.row, l.v.row, mask, l.mask.head,
                               l.mask_step, l.scale, own, o.out + first(l.out), l.out.head});
        }
        if (next) ask_for(next(size_t(thread), size_t(count)));
    });
}

} // namespace gint
