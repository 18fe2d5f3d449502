#include "layout/work.h"

#include <algorithm>

#include "layout/positions.h"

namespace gint {

namespace {

constexpr unsigned MOST_COST = 4;      // op_cost of what is folded on the way
constexpr unsigned FUNCTION_COST = 25; // of what is a function, not an operation or two

} // namespace

double Work::elements(size_t n) const {
    double count = 1;
    for (int a = 0; a < layout.rank; a++)
        if (layout.strides[n][a]) count *= double(layout.extent[a]);
    return count;
}

double Work::bytes(size_t n) const { return elements(n) * double(type_size(p.slots[n].type)); }

bool Work::is_one_loop() const {
    for (const Instruction &in : p.code)
        if (in.op == GI_OP_INDEX || is_gather(in.op) || is_reduction(in.op) || is_scan(in.op))
            return false;
    const auto [operations, halves] = operations_and_halves();
    for (size_t n = 0; n < p.slots.size(); n++)
        if (p.slots[n].used && uint64_t(layout.strides[n][0]) > 1) return false;
    return layout.rank == 1 && operations <= 1 && (operations == 0 || halves == 0);
}

std::pair<int, int> Work::operations_and_halves() const {
    std::pair<int, int> found{0, 0};
    for (const Instruction &in : p.code) {
        found.first += in.op != GI_OP_STORE && operand_count(in) > 0;
        found.second += is_storage_only(in.type);
    }
    return found;
}

bool Work::is_one_fold() const {
    bool has_index = false;
    for (const Instruction &in : p.code) has_index |= is_index_reduction(in.op);
    return layout.reduced[layout.axis_b] && passes() == 1 && !p.has_scan && !has_index &&
           (folds_what_it_loads() || folds_one_chain());
}

bool Work::folds_one_chain() const {
    int loads = 0, links = 0, folds = 0;
    for (const Section &section : p.sections)
        for (uint32_t i = 0; i < section.count && section.kind != SectionKind::SCALAR; i++) {
            const Instruction &in = p.code[section.first + i];
            const bool is_fold = is_reduction(in.op), is_load = in.op == GI_OP_LOAD;
            loads += is_load;
            folds += is_fold;
            if (is_fold || is_load || operand_count(in) == 0) continue;
            if (chain_op(in, 0) == CHAIN_OPS || op_cost(in) > MOST_COST) return false;
            links++;
        }
    for (size_t n = 0; n < p.slots.size(); n++)
        if (p.slots[n].used && !p.slots[n].stored && layout.strides[n][layout.axis_b] != 1)
            return false;
    const bool is_chain = links == 1 || links == 2;
    return layout.extent[layout.axis_b] >= LONG_LINE && is_chain && loads <= 2 && folds == 1;
}

bool Work::copies_lines() const {
    if (p.has_reduction || p.has_scan) return false;
    bool loads = true;
    for (const Instruction &in : p.code) {
        if (!is_gather(in.op) && in.op != GI_OP_STORE && operand_count(in) > 0) return false;
        loads &= in.op == GI_OP_LOAD || in.op == GI_OP_STORE;
    }
    return gathers_lines() || (loads && writes_lines());
}

bool Work::writes_lines() const {
    const int b = layout.axis_b;
    if (b < 1 || layout.cols != layout.extent[b]) return false;
    for (size_t n = 0; n < p.slots.size(); n++) {
        const auto &along = layout.strides[n];
        if (!p.slots[n].stored || !p.slots[n].used) continue;
        if (along[b] != 1 || along[b - 1] != layout.extent[b] || bytes(n) >= MEMORY_BYTES)
            return false;
    }
    return true;
}

int64_t Work::narrowest_stored() const {
    size_t size = 8;
    for (const Slot &slot : p.slots)
        if (slot.stored) size = std::min(size, type_size(slot.type));
    return int64_t(size);
}

bool Work::lines_go_on() const {
    if (p.has_reduction || p.has_scan || p.positions_read || layout.rank < 2) return false;
    const auto [operations, halves] = operations_and_halves();
    if (operations < 2 && halves == 0) return false;
    const int b = layout.axis_b, a = b - 1;
    if (a < 0) return false;
    bool is_repeated = false;
    for (size_t n = 0; n < p.slots.size(); n++) {
        if (!p.slots[n].used) continue;
        const int64_t sa = layout.strides[n][a], sb = layout.strides[n][b];
        if (!p.slots[n].indexed.empty()) return false;
        if (sa == 0 && sb == 1)
            is_repeated = true;
        else if ((sb != 1 || sa != layout.extent[b]) && (sa != 0 || sb != 0))
            return false;
    }
    return is_repeated;
}

bool Work::scans_at_a_cost() const {
    return std::any_of(p.code.begin(), p.code.end(), [](const Instruction &in) {
        return is_scan(in.op) && op_cost(in) >= FUNCTION_COST;
    });
}

int64_t Work::widest() const {
    size_t size = 1;
    for (const Slot &slot : p.slots) size = std::max(size, type_size(slot.type));
    return int64_t(size);
}

int64_t Work::column_bytes() const {
    int64_t sum = 0;
    for (size_t n = 0; n < p.slots.size(); n++)
        if (!p.slots[n].stored && layout.strides[n][layout.axis_b])
            sum += int64_t(type_size(p.slots[n].type));
    return sum;
}

bool Work::gathers_lines() const {
    bool gathers = false;
    for (size_t n = 0; n < p.slots.size(); n++) {
        gathers |= !p.slots[n].indexed.empty();
        const bool all =
            layout.strides[n][layout.axis_b] != 0 && elements(n) == double(layout.points());
        if (p.slots[n].type == GI_i64 && !p.slots[n].stored && all) return false;
    }
    return gathers;
}

int Work::passes() const {
    int count = 0;
    for (const Section &section : p.sections) count += section.kind != SectionKind::SCALAR;
    return count;
}

bool Work::folds_what_it_loads() const {
    bool halves = false, indices = false;
    for (const Section &section : p.sections) {
        if (section.kind != SectionKind::REDUCE) continue;
        for (uint32_t i = section.first; i < section.first + section.count; i++) {
            const Instruction &in = p.code[i];
            const bool plain = in.op == GI_OP_LOAD && in.type != GI_bool;
            halves |= plain && is_storage_only(in.type);
            indices |= is_index_reduction(in.op);
            if (is_index_reduction(in.op) && !linear_index(p, binding, in.b)) return false;
            if (!plain && !is_reduction(in.op) && !linear_index(p, binding, in.d)) return false;
        }
    }
    return !(halves && indices); // an index is found among elements that can be compared
}

bool Work::folds_whole_tiles(int inner) const {
    for (size_t n = 0; n < p.slots.size(); n++)
        if (p.slots[n].used && !p.slots[n].stored &&
            (layout.strides[n][layout.axis_b] != 1 ||
             layout.strides[n][inner] != layout.extent[layout.axis_b]))
            return false;
    return passes() == 1;
}

bool Work::folds_rows_twice(int inner) const {
    int read = 0;
    for (size_t n = 0; n < p.slots.size(); n++) {
        if (!p.slots[n].used || layout.strides[n][layout.axis_b] == 0) continue;
        if (p.slots[n].stored || !p.slots[n].indexed.empty() ||
            layout.strides[n][layout.axis_b] != 1 ||
            layout.strides[n][inner] != layout.extent[layout.axis_b])
            return false;
        read++;
    }
    for (const Section &section : p.sections)
        for (uint32_t i = 0; i < section.count && section.kind != SectionKind::SCALAR; i++) {
            const Instruction &in = p.code[section.first + i];
            if (in.op == GI_OP_INDEX || is_index_reduction(in.op)) return false;
            if (operand_count(in) > 1 && chain_op(in, 0) == CHAIN_OPS) return false;
        }
    return passes() == 2 && read == 1;
}

} // namespace gint
