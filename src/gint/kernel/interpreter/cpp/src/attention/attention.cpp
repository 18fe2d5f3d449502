#include "attention/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "cpu/simd_unit.h"
#include "cpu/team.h"
#include "cpu/threads.h"

namespace gint {

namespace {

// What a thread does in a microsecond, roughly: products; and what is worth waking one for.
constexpr double PRODUCTS_PER_US = 30e3, US_PER_THREAD = 8;

// How many threads share `jobs` that take so many products together.
int threads_for(double products, size_t jobs, int threads) {
    const double most = std::min(double(jobs), double(allowed_threads(threads)));
    return int(std::clamp(products / PRODUCTS_PER_US / US_PER_THREAD, 1.0, std::max(most, 1.0)));
}

} // namespace

void attend(const AttentionLayout &l, const AttentionOperands &o, int threads) {
    const double products = 2.0 * double(l.heads * l.queries) * double(l.keys * l.size);
    const auto &table = *simd_unit()->attention();
    const float scale = 1 / std::sqrt(float(l.size));
    std::atomic<size_t> next = 0;
    work_together(threads_for(products, l.heads, threads), [&](int) {
        for (size_t n; (n = next.fetch_add(1, std::memory_order_relaxed)) < l.heads;)
            table.attend({l.queries, l.keys, l.size, l.block, o.q + n * l.queries * l.size,
                          o.k + n * l.k_head, l.k_block, l.k_stride, o.v + n * l.v_head, l.v_stride,
                          o.keep, scale, o.scores + n * l.queries * l.keys,
                          o.out + n * l.queries * l.size});
    });
}

void attend_rows(const RowsLayout &l, const RowsOperands &o, int threads) {
    const size_t groups = l.heads / l.group, jobs = l.batch * groups * l.rows;
    const double products = 2.0 * double(jobs * l.group) * double(l.keys * l.size);
    const int count = threads_for(products, jobs, threads);
    const auto &table = *simd_unit()->attention();
    std::vector<float> scores(size_t(count) * l.group * l.keys);
    std::atomic<size_t> next = 0;
    work_together(count, [&](int thread) {
        float *const own = scores.data() + size_t(thread) * l.group * l.keys;
        for (size_t n; (n = next.fetch_add(1, std::memory_order_relaxed)) < jobs;) {
            const size_t row = n % l.rows, g = n / l.rows % groups, b = n / l.rows / groups;
            const auto first = [&](const RowsLayout::Strides &s) {
                return b * s.batch + g * l.group * s.head + row * s.row;
            };
            table.attend_rows({l.group, l.keys, l.size, o.q + first(l.q), l.q.head,
                               o.k + b * l.k.batch + g * l.k.head,
                               o.v + b * l.v.batch + g * l.v.head, l.k.row, l.v.row,
                               o.mask ? o.mask + first(l.mask) : nullptr, l.mask.head, l.mask_step,
                               l.scale, own, o.out + first(l.out), l.out.head});
        }
    });
}

} // namespace gint
