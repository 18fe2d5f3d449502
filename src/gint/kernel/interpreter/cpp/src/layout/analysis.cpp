#include "layout/analysis.h"

#include <array>
#include <utility>

#include "layout/positions.h"

namespace gint {

namespace {

constexpr unsigned WORTH_KEEPING = 3;      // op_cost from which a row is kept, not recomputed
constexpr int64_t KEPT_BYTES = 256 * 1024; // per worker: what stays in the second cache

class Analyser {
  public:
    Analyser(const Program &program, const Binding &b, const Layout &l,
             const std::vector<uint16_t> &alias)
        : p(program), binding(b), layout(l), groups(alias), version(p.slots.size(), 0) {
        out.values.resize(p.register_types.size());
        out.home.assign(p.register_types.size(), -1);
        out.roles.resize(p.code.size());
        number_of_register.resize(p.register_types.size());
        defined.resize(p.register_types.size());
        tile = shape_of(layout, ~AxisSet(0));
    }

    Analysis run() {
        for (size_t s = 0; s < p.sections.size(); s++)
            for (uint32_t i = 0; i < p.sections[s].count; i++)
                describe(p.sections[s].first + i, int(s));
        for (size_t s = 0; s < p.sections.size(); s++) demand(p.sections[s]);
        return std::move(out);
    }

  private:
    const Program &p;
    const Binding &binding;
    const Layout &layout;
    const std::vector<uint16_t> &groups;
    std::vector<uint32_t> version; // per group of slots, raised by every store
    using Key = std::array<int64_t, 7>;
    std::map<Key, uint32_t> numbers;
    std::vector<uint32_t> number_of_register,
        defined;                           // per register; `defined`: by which instruction
    std::map<uint32_t, uint32_t> computed; // number -> instruction of an earlier section
    uint32_t next_number = 1;
    uint8_t tile;
    int64_t kept_bytes = 0;
    Analysis out;

    void describe(uint32_t at, int section) {
        const Instruction &i = p.code[at];
        if (i.op == GI_OP_STORE) {
            note_reads(i, section);
            version[groups[i.n]]++;
            return;
        }
        Value &v = out.values[i.d];
        out.home[i.d] = section;
        defined[i.d] = at;
        note_reads(i, section);
        const uint16_t reads[] = {i.a, i.b, i.c};
        const int count = operand_count(i);
        v.constant =
            i.op != GI_OP_LOAD && !is_gather(i.op) && !is_reduction(i.op) && !is_scan(i.op);
        for (int k = 0; k < count; k++) {
            v.varies |= out.values[reads[k]].varies;
            v.constant &= out.values[reads[k]].constant;
            v.at_point |= out.values[reads[k]].at_point;
        }
        v.at_point |= i.op == GI_OP_INDEX;
        if (i.op == GI_OP_LOAD || is_gather(i.op)) v.varies |= varies_of_slot(layout, i.n);
        if (i.op == GI_OP_INDEX && layout.from_program[i.n] >= 0) {
            v.varies = AxisSet(1) << layout.from_program[i.n];
            v.constant = false;
        }
        for (int a = 0; a < layout.rank; a++) {
            if (!layout.reduced[a]) continue;
            if (is_reduction(i.op)) v.varies &= ~(AxisSet(1) << a);
            if (is_scan(i.op)) v.varies |= AxisSet(1) << a;
        }
        v.shape = shape_of(layout, v.varies);
        out.roles[at].number = number_of_register[i.d] = number(i, count);
    }

    void note_reads(const Instruction &i, int section) {
        const uint16_t reads[] = {i.a, i.b, i.c};
        for (int k = 0; k < operand_count(i); k++)
            if (out.home[reads[k]] != section) out.values[reads[k]].outlives = true;
    }

    uint32_t number(const Instruction &i, int count) {
        if (is_reduction(i.op)) return next_number++;
        const uint16_t reads[] = {i.a, i.b, i.c};
        Key key = {i.op, i.type, 0, 0, 0, i.n, i.imm};
        for (int k = 0; k < count; k++) key[2 + k] = number_of_register[reads[k]];
        if (i.op == GI_OP_LOAD) key[2] = version[groups[i.n]];
        auto [entry, fresh] = numbers.try_emplace(key, next_number);
        if (fresh) next_number++;
        return entry->second;
    }

    // From the last instruction to the first: what stores, reductions and later sections ask for,
    // and what may set the error flag, which is a result as well. A value that an earlier section
    // computed for the same row is kept if that is cheaper.
    void demand(const Section &section) {
        for (uint32_t k = section.count; k-- > 0;) {
            const uint32_t at = section.first + k;
            const Instruction &i = p.code[at];
            Role &role = out.roles[at];
            const bool root = i.op == GI_OP_STORE || is_reduction(i.op) || p.may_fail[at] ||
                              (section.kind == SectionKind::SCALAR && out.values[i.d].outlives);
            if (!root && !role.needed) continue;
            role.needed = true;
            if (section.kind != SectionKind::SCALAR && keep(at, section)) continue;
            const uint16_t reads[] = {i.a, i.b, i.c};
            const int computed_ones = finds_indices(at)                    ? 1
                                      : finds_sign(at) || finds_window(at) ? 0
                                                                           : operand_count(i);
            for (int o = 0; o < computed_ones; o++) need(reads[o], section);
        }
        for (uint32_t k = 0; k < section.count; k++) {
            const uint32_t at = section.first + k;
            if (section.kind == SectionKind::REDUCE && out.roles[at].needed)
                computed.try_emplace(out.roles[at].number, at);
        }
    }

    bool finds_indices(uint32_t at) {
        const Instruction &i = p.code[at];
        if (!is_index_reduction(i.op)) return false;
        const std::optional<LinearIndex> index = linear_index(p, binding, i.b);
        if (!index) return false;
        for (size_t a = 0; a < p.reduced.size(); a++)
            if (!p.reduced[a] && index->per_axis[a]) return false;
        Linear found;
        if (!translate(*index, found) || !increases(found)) return false;
        out.indices.emplace(at, found);
        return true;
    }

    // a < b where a - b < 0, a <= b where a - b - 1 < 0, and so on.
    bool finds_sign(uint32_t at) {
        const Instruction &i = p.code[at];
        const bool less = i.op == GI_OP_LT || i.op == GI_OP_LE;
        const bool equal = i.op == GI_OP_LE || i.op == GI_OP_GE;
        if (!less && i.op != GI_OP_GT && i.op != GI_OP_GE) return false;
        if (i.type != GI_i64 || out.values[i.d].constant) return false;
        const auto a = linear_index(p, binding, i.a), b = linear_index(p, binding, i.b);
        Linear from, to;
        if (!a || !b || !translate(*a, from) || !translate(*b, to)) return false;
        if (!less) std::swap(from, to);
        from.constant -= to.constant + equal;
        for (int k = 0; k < layout.rank; k++) from.per_axis[k] -= to.per_axis[k];
        out.signs.emplace(at, from);
        return true;
    }

    bool finds_window(uint32_t at) {
        const Instruction &i = p.code[at];
        if (!fills_outside(i.op)) return false;
        const uint16_t reads[] = {i.a, i.b, i.c};
        WindowPositions found{};
        for (int k = 0; k < operand_count(i); k++) {
            const auto position = linear_index(p, binding, reads[k]);
            if (!position || !translate(*position, found.along[k])) return false;
        }
        out.windows.emplace(at, found);
        return true;
    }

    // Along the axes of the layout; false where a quarter of the range of i64 might be left.
    bool translate(const LinearIndex &index, Linear &to) const {
        to = {index.constant, {}};
        const auto magnitude = [](int64_t x) { return x < 0 ? -Int128(x) : Int128(x); };
        Int128 largest = magnitude(index.constant);
        for (size_t a = 0; a < p.reduced.size(); a++) {
            if (layout.from_program[a] < 0) continue;
            to.per_axis[layout.from_program[a]] += index.per_axis[a];
            largest += magnitude(index.per_axis[a]) * Int128(binding.extents[a]);
        }
        return largest < INT64_MAX / 4;
    }

    // Along the elements of a tile that are folded together?
    bool increases(const Linear &index) const {
        const int a = layout.axis_a, b = layout.axis_b;
        const bool along_a = a >= 0 && layout.reduced[a], along_b = b >= 0 && layout.reduced[b];
        if (along_b && index.per_axis[b] <= 0) return false;
        const Int128 line = along_b ? Int128(index.per_axis[b]) * layout.cols : 1;
        return !along_a || index.per_axis[a] >= line;
    }

    void need(uint16_t reg, const Section &section) {
        if (defined[reg] >= section.first) out.roles[defined[reg]].needed = true;
    }

    bool keep(uint32_t at, const Section &section) {
        const Instruction &i = p.code[at];
        if (i.op == GI_OP_STORE || is_reduction(i.op)) return false;
        const auto found = computed.find(out.roles[at].number);
        const Value &v = out.values[i.d];
        if (found == computed.end() || v.constant || v.shape != tile || tile == 0) return false;
        if (cost(i.d, section) < WORTH_KEEPING) return false;
        Role &first = out.roles[found->second];
        if (!first.writes_kept && !first.reads_kept && !reserve(p.register_types[i.d]))
            return false;
        if (!first.reads_kept) first.writes_kept = true;
        out.roles[at].reads_kept = true;
        return true;
    }

    bool reserve(uint8_t type) {
        int64_t elements = 1;
        for (int a = 0; a < layout.rank; a++) {
            int64_t part = layout.reduced[a] ? layout.extent[a] : 1;
            if (!layout.reduced[a] && a == layout.axis_a) part = layout.rows;
            if (!layout.reduced[a] && a == layout.axis_b) part = layout.cols;
            if (part > KEPT_BYTES || (elements *= part) > KEPT_BYTES) return false;
        }
        const int64_t bytes = elements * int64_t(type_size(type));
        if (kept_bytes + bytes > KEPT_BYTES) return false;
        kept_bytes += bytes;
        return true;
    }

    // Of computing a register of this section once more, per element.
    unsigned cost(uint16_t reg, const Section &section) {
        if (out.values[reg].shape != tile || defined[reg] < section.first) return 0;
        const Instruction &i = p.code[defined[reg]];
        if (i.op == GI_OP_LOAD) {
            if (!is_packed(layout, i.n, tile)) return 6;
            return is_storage_only(i.type) ? 3 : 0;
        }
        unsigned sum = op_cost(i);
        const uint16_t reads[] = {i.a, i.b, i.c};
        for (int k = 0; k < operand_count(i) && sum < WORTH_KEEPING; k++)
            sum += cost(reads[k], section);
        return sum;
    }
};

} // namespace

Analysis analyse(const Program &program, const Binding &binding, const Layout &layout,
                 const std::vector<uint16_t> &groups) {
    return Analyser(program, binding, layout, groups).run();
}

bool is_packed(const Layout &layout, size_t slot, uint8_t shape) {
    const auto &strides = layout.strides[slot];
    const int64_t along_a = layout.axis_a < 0 ? 0 : strides[layout.axis_a];
    const int64_t along_b = layout.axis_b < 0 ? 0 : strides[layout.axis_b];
    switch (shape) {
    case 0:
        return true;
    case 1:
        return along_a == 1;
    case 2:
        return along_b == 1;
    default:
        return along_b == 1 && along_a == layout.cols &&
               layout.cols == layout.extent[layout.axis_b];
    }
}

uint8_t shape_of(const Layout &layout, AxisSet varies) {
    uint8_t shape = 0;
    if (layout.axis_a >= 0 && varies >> layout.axis_a & 1) shape |= 1;
    if (layout.axis_b >= 0 && varies >> layout.axis_b & 1) shape |= 2;
    return shape;
}

AxisSet varies_of_slot(const Layout &layout, size_t slot) {
    AxisSet varies = 0;
    for (int a = 0; a < layout.rank; a++)
        if (layout.strides[slot][a]) varies |= AxisSet(1) << a;
    return varies;
}

} // namespace gint
