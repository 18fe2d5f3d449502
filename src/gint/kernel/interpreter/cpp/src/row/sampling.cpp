#include "row/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "cpu/simd_unit.h"
#include "row/row_table.h"

namespace gint {

namespace {

using Tokens = std::vector<uint32_t>;

// Looked through, or added up, at once.
constexpr size_t PIECE = 512;

void penalise(float penalty, size_t count, float *logits, const bool *seen) {
    for (size_t n = 0; n < count; n++)
        if (seen[n]) logits[n] = logits[n] > 0 ? logits[n] / penalty : logits[n] * penalty;
}

// The first of the highest; the first NaN, if there is one.
size_t likeliest(size_t count, const float *logits) {
    const auto highest = simd_unit()->row()->highest;
    size_t best = 0;
    float most = 0;
    for (size_t at = 0; at < count && !(at && std::isnan(most)); at += PIECE) {
        const float found = highest(std::min(PIECE, count - at), logits + at);
        if (at == 0 || !(found <= most)) most = found, best = at;
    }
    while (!(logits[best] == most) && !std::isnan(logits[best])) best++;
    return best;
}

// Of equal ones the first come first.
struct Likelier {
    const float *logits;
    bool operator()(uint32_t a, uint32_t b) const {
        return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
    }
};

// So many of the likeliest, the likeliest first. Most pieces have none that is likelier than the
// least of those found before, and are not looked through.
Tokens likeliest_of(size_t wanted, size_t count, const float *logits) {
    const auto highest = simd_unit()->row()->highest;
    const Likelier likelier{logits};
    Tokens heap; // the least likely of them in front
    for (size_t at = 0; at < count; at += PIECE) {
        const size_t end = std::min(at + PIECE, count);
        if (heap.size() == wanted && highest(end - at, logits + at) <= logits[heap.front()])
            continue;
        for (uint32_t n = uint32_t(at); n < end; n++) {
            if (heap.size() == wanted) {
                if (!likelier(n, heap.front())) continue;
                std::pop_heap(heap.begin(), heap.end(), likelier);
                heap.back() = n;
            } else {
                heap.push_back(n);
            }
            std::push_heap(heap.begin(), heap.end(), likelier);
        }
    }
    std::sort_heap(heap.begin(), heap.end(), likelier);
    return heap;
}

double sum(size_t count, const float *x) {
    double sums[4] = {};
    size_t n = 0;
    for (; n + 4 <= count; n += 4)
        for (size_t k = 0; k < 4; k++) sums[k] += x[n + k];
    for (; n < count; n++) sums[0] += x[n];
    return sums[0] + sums[1] + (sums[2] + sums[3]);
}

double sum_by_piece(const std::vector<float> &x) {
    double total = 0;
    for (size_t at = 0; at < x.size(); at += PIECE)
        total += sum(std::min(PIECE, x.size() - at), &x[at]);
    return total;
}

// The tokens from which one is drawn, and their chances, of which the highest is 1.
struct Candidates {
    Tokens tokens; // or none: all, in their order
    std::vector<float> chances;

    uint32_t token(size_t n) const { return tokens.empty() ? uint32_t(n) : tokens[n]; }
};

// Leaves the fewest likeliest that have this share of all chances together, the likeliest first.
void leave_share(double share, const float *logits, Candidates *all) {
    const size_t count = all->chances.size();
    const double total = sum_by_piece(all->chances), wanted = share * total;
    // Those that are less likely than this are less than what is left out, all together: few are
    // looked at as a rule. (The factor is more than what rounding could change.)
    const double least = 0.99 * (total - wanted) / double(count);
    std::vector<std::pair<uint32_t, float>> left;
    for (size_t n = 0; n < count; n++)
        if (all->chances[n] >= least) left.emplace_back(all->token(n), all->chances[n]);
    const auto is_less = [&](const auto &a, const auto &b) {
        return Likelier{logits}(b.first, a.first);
    };
    std::make_heap(left.begin(), left.end(), is_less);
    *all = {};
    for (double reached = 0; reached < wanted && !left.empty(); left.pop_back()) {
        std::pop_heap(left.begin(), left.end(), is_less);
        const auto [token, chance] = left.back();
        all->tokens.push_back(token), all->chances.push_back(chance);
        reached += chance;
    }
}

// The one that a number from 0 to below 1 falls on.
size_t at_share(double share, const std::vector<float> &chances) {
    const double wanted = share * sum_by_piece(chances);
    double before = 0;
    size_t last = 0; // with a chance: sums in another order may end a little earlier
    for (size_t at = 0; at < chances.size(); at += PIECE) {
        const size_t end = std::min(at + PIECE, chances.size());
        const double piece = sum(end - at, &chances[at]);
        if (before + piece > wanted) {
            double reached = before;
            for (size_t n = at; n < end; n++) {
                if (chances[n] > 0) last = n;
                if ((reached += chances[n]) > wanted) return n;
            }
        }
        before += piece;
    }
    return last;
}

size_t draw(const SamplingRule &rule, size_t count, const float *logits, float highest) {
    Candidates all;
    std::vector<float> left;
    const float *values = logits;
    if (rule.top_k >= 1 && rule.top_k < double(count)) {
        all.tokens = likeliest_of(size_t(rule.top_k), count, logits);
        for (uint32_t token : all.tokens) left.push_back(logits[token]);
        values = left.data(), count = left.size();
    }
    all.chances.resize(count);
    const auto chances = simd_unit()->row()->chances;
    const double scale = std::min<double>(1 / rule.temperature, std::numeric_limits<float>::max());
    chances(count, highest, float(scale), values, all.chances.data());
    if (rule.top_p < 1) leave_share(rule.top_p, logits, &all);
    return all.token(at_share(rule.drawn, all.chances));
}

} // namespace

size_t sample_token(const SamplingRule &rule, size_t count, float *logits, bool *seen) {
    if (rule.penalty != 1) penalise(float(rule.penalty), count, logits, seen);
    const size_t best = likeliest(count, logits);
    // Beside an infinite logit, or one that is none, no other has a chance.
    const bool is_drawn = rule.temperature > 0 && std::isfinite(logits[best]);
    const size_t token = is_drawn ? draw(rule, count, logits, logits[best]) : best;
    seen[token] = true;
    return token;
}

} // namespace gint
