#include "run/kernel.h"

#include <numeric>
#include <stdexcept>

#include "cpu/simd_unit.h"

namespace gint {

namespace {

// Iteration spaces from here on would never end.
constexpr double MOST_POINTS = 9e18;

bool is_finite(const Binding &binding) {
    double points = 1;
    for (int64_t extent : binding.extents) points *= double(extent);
    return points < MOST_POINTS;
}

const LoopTable &loops() {
    const SimdUnit *unit = simd_unit();
    if (!unit) throw std::runtime_error("No instruction set that was built in runs on this CPU.");
    return *unit->table();
}

} // namespace

Launch::Launch(std::shared_ptr<const Program> p, Binding b, Regions r, int n)
    : program(std::move(p)), binding(std::move(b)), regions(std::move(r)), threads(n) {
    for (bool writes : {true, false}) {
        for (size_t slot = 0; slot < program->slots.size(); slot++) {
            if (!regions.touched[slot] || program->slots[slot].writes != writes) continue;
            const Region &region = regions.of[slot];
            ranges.push_back({uint16_t(slot), int64_t(region.low), int64_t(region.high),
                              uint64_t(region.itemsize)});
        }
        if (writes) written = ranges.size();
    }
    std::vector<uint16_t> groups(program->slots.size());
    std::iota(groups.begin(), groups.end(), uint16_t(0));
    apart = std::make_unique<Run>(make_schedule(*program, binding, groups, loops()), binding);
}

std::optional<int32_t> Launch::operator()(const uint64_t *pointers) const {
    if (all_apart(pointers)) return (*apart)(pointers, threads);
    return run_sharing(pointers);
}

// The common case in a few comparisons: addresses are aligned and no output's bytes touch another
// slot's.
bool Launch::all_apart(const uint64_t *pointers) const {
    for (const Range &r : ranges)
        if (pointers[r.slot] == 0 || pointers[r.slot] & (r.align - 1)) return false;
    for (size_t w = 0; w < written; w++) {
        const uint64_t low = pointers[ranges[w].slot] + uint64_t(ranges[w].low);
        const uint64_t high = pointers[ranges[w].slot] + uint64_t(ranges[w].high);
        for (size_t o = w + 1; o < ranges.size(); o++) {
            const uint64_t at = pointers[ranges[o].slot];
            if (low < at + uint64_t(ranges[o].high) && at + uint64_t(ranges[o].low) < high)
                return false;
        }
    }
    return true;
}

std::optional<int32_t> Launch::run_sharing(const uint64_t *pointers) const {
    std::vector<uint16_t> groups;
    if (!verify_overlaps(*program, regions, pointers, groups)) return std::nullopt;
    std::shared_ptr<const Run> run;
    {
        const std::lock_guard lock(sharing_mutex);
        for (auto &[known, made] : sharing)
            if (known == groups) run = made;
        if (!run) {
            run = std::make_shared<Run>(make_schedule(*program, binding, groups, loops()), binding);
            sharing.emplace_back(groups, run);
        }
    }
    return (*run)(pointers, threads);
}

Kernel::Kernel(Program p) {
    p.finish();
    loops();
    program = std::make_shared<const Program>(std::move(p));
}

std::shared_ptr<Launch> Kernel::prepare(Binding binding, int threads) const {
    Regions regions;
    if (!is_finite(binding) || !verify_regions(*program, binding, regions)) return nullptr;
    return std::make_shared<Launch>(program, std::move(binding), std::move(regions), threads);
}

} // namespace gint
