#include "attention/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "cpu/simd_unit.h"
#include "cpu/team.h"
#include "cpu/threads.h"

namespace gint {

namespace {

// What a thread does in a microsecond, roughly: products; and what is worth waking one for.
constexpr double PRODUCTS_PER_US = 30e3, US_PER_THREAD = 8;

} // namespace

void attend(const AttentionLayout &l, const AttentionOperands &o, int threads) {
    const double us = 2.0 * double(l.heads * l.queries) * double(l.keys * l.size) / PRODUCTS_PER_US;
    const double most = std::min(double(l.heads), double(allowed_threads(threads)));
    const auto &table = *simd_unit()->attention();
    const float scale = 1 / std::sqrt(float(l.size));
    std::atomic<size_t> next = 0;
    work_together(int(std::clamp(us / US_PER_THREAD, 1.0, std::max(most, 1.0))), [&](int) {
        for (size_t n; (n = next.fetch_add(1, std::memory_order_relaxed)) < l.heads;)
            table.attend({l.queries, l.keys, l.size, l.block, o.q + n * l.queries * l.size,
                          o.k + n * l.k_head, l.k_block, l.k_stride, o.v + n * l.v_head, l.v_stride,
                          o.keep, scale, o.scores + n * l.queries * l.keys,
                          o.out + n * l.queries * l.size});
    });
}

} // namespace gint
