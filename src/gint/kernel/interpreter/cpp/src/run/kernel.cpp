#include "run/kernel.h"

#include <numeric>
#include <stdexcept>
#include <utility>

#include "cpu/simd_unit.h"

namespace gint {

namespace {

// Iteration spaces from here on would never end.
constexpr double MOST_POINTS = 9e18;

bool is_finite(const Program &program, const Binding &binding) {
    double points = 1;
    for (size_t a = 0; a < binding.extents.size(); a++)
        if (!(program.indexed >> a & 1)) points *= double(binding.extents[a]);
    return points < MOST_POINTS;
}

// Numbers that reach no element may be any: they become 0, so that nothing overflows in bytes.
void clear_unreached(const Program &program, const Regions &regions, Binding &binding) {
    for (size_t n = 0; n < program.slots.size(); n++) {
        SlotBinding &bound = binding.slots[n];
        if (!regions.touched[n]) bound.offset = 0;
        for (int k = 0; k < regions.of[n].rank; k++)
            if (!regions.touched[n] || regions.of[n].extents[k] <= 1) bound.strides[k] = 0;
    }
}

const LoopTable &loops() {
    const SimdUnit *unit = simd_unit();
    if (!unit) throw std::runtime_error("No instruction set that was built in runs on this CPU.");
    return *unit->table();
}

} // namespace

BoundLaunch::BoundLaunch(std::shared_ptr<const Program> p, Binding b, Regions r, int n)
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
    Groups groups(program->slots.size());
    std::iota(groups.begin(), groups.end(), uint16_t(0));
    run = make_run(groups);
}

BoundLaunch::~BoundLaunch() {
    for (const Overlapping *last = overlapping; last;) delete std::exchange(last, last->next);
}

std::optional<int32_t> BoundLaunch::operator()(const uint64_t *pointers) const {
    if (is_disjoint(pointers)) return (*run)(pointers, threads);
    Groups groups;
    if (!verify_overlaps(*program, regions, pointers, groups)) return std::nullopt;
    return (*find_run(groups))(pointers, threads);
}

// The common case in a few comparisons: addresses are aligned and no output's bytes touch another
// slot's.
bool BoundLaunch::is_disjoint(const uint64_t *pointers) const {
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

std::shared_ptr<const Run> BoundLaunch::make_run(const Groups &groups) const {
    return std::make_shared<Run>(make_schedule(*program, binding, groups, loops()), binding);
}

std::shared_ptr<const Run> BoundLaunch::find_run(const Groups &groups) const {
    const Overlapping *first = overlapping.load(std::memory_order_acquire);
    for (const Overlapping *known = first; known; known = known->next)
        if (known->groups == groups) return known->run;
    // Two threads that make it at once leave two, of which one is found.
    auto *made = new Overlapping{groups, make_run(groups), first};
    while (!overlapping.compare_exchange_weak(made->next, made, std::memory_order_acq_rel)) {
    }
    return made->run;
}

Kernel::Kernel(Program p) {
    p.finish();
    loops();
    program = std::make_shared<const Program>(std::move(p));
}

std::shared_ptr<BoundLaunch> Kernel::prepare(Binding binding, int threads) const {
    Regions regions;
    if (!is_finite(*program, binding) || !verify_regions(*program, binding, regions))
        return nullptr;
    clear_unreached(*program, regions, binding);
    return std::make_shared<BoundLaunch>(program, std::move(binding), std::move(regions), threads);
}

std::optional<std::string> Kernel::describe(Binding binding, const Names &names) const {
    const std::shared_ptr<BoundLaunch> made = prepare(std::move(binding), 0);
    if (!made) return std::nullopt;
    return gint::describe(made->schedule(), names);
}

} // namespace gint
