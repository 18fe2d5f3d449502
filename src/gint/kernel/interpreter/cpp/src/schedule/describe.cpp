#include "schedule/describe.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

namespace gint {

namespace {

constexpr size_t WIDEST_COLUMN = 32; // a longer cell moves what follows it

using Row = std::vector<std::string>; // one cell: a line of its own

// Rows as lines with aligned columns. `sides` has 'l' or 'r' for each, the last for those after it.
std::string aligned(const std::vector<Row> &rows, const std::string &sides = "l") {
    std::vector<size_t> width;
    for (const Row &row : rows)
        for (size_t k = 0; row.size() > 1 && k < row.size(); k++) {
            if (k == width.size()) width.push_back(0);
            if (row[k].size() <= WIDEST_COLUMN) width[k] = std::max(width[k], row[k].size());
        }
    std::string text;
    for (const Row &row : rows) {
        std::string line;
        for (size_t k = 0; k < row.size(); k++) {
            const size_t wide = row.size() > 1 ? width[k] : 0, own = row[k].size();
            const std::string fill(own < wide ? wide - own : 0, ' ');
            const bool to_right = sides[std::min(k, sides.size() - 1)] == 'r';
            line += (k ? "  " : "") + (to_right ? fill + row[k] : row[k] + fill);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

std::string joined(const Row &items, const char *between = ", ") {
    std::string text;
    for (const std::string &item : items) text += (text.empty() ? "" : between) + item;
    return text;
}

std::string count_of(int64_t n, const std::string &thing) {
    return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
}

const char *name_of(SectionKind kind) {
    switch (kind) {
    case SectionKind::MAP:
        return "map, per tile";
    case SectionKind::REDUCE:
        return "reduce, per tile";
    case SectionKind::SCALAR:
        return "scalar, per block";
    }
    return "";
}

const char *name_of(Step::Kind kind) {
#define GINT_NAME(KIND, MEANING) #KIND,
    static const char *const names[] = {GINT_STEP_KINDS(GINT_NAME)};
#undef GINT_NAME
    return names[kind];
}

#define GINT_NAME(NAME, TEXT, ...) TEXT,
const char *const CHAIN_OP_NAMES[] = {GI_CHAIN_NAMES(GINT_NAME)};
const char *const OPCODE_NAMES[] = {GI_OPCODES(GINT_NAME)};
const char *const TYPE_NAMES[] = {GI_TYPE_NAMES(GINT_NAME)};
#undef GINT_NAME

std::string operation(const Step &step) {
    return std::string(OPCODE_NAMES[step.op]) + "." + TYPE_NAMES[step.type];
}

std::string constant(const uint8_t *bits, uint8_t type) {
    double number = 0;
    if (type == GI_f32) {
        float narrow;
        std::memcpy(&narrow, bits, sizeof narrow);
        number = double(narrow);
    } else if (type == GI_f64) {
        std::memcpy(&number, bits, sizeof number);
    } else {
        const size_t size = type_size(type);
        uint64_t whole = 0;
        std::memcpy(&whole, bits, size);
        const unsigned unused = 64 - 8 * unsigned(size);
        if (type == GI_u8 || type == GI_bool) return std::to_string(whole);
        return std::to_string(int64_t(whole << unused) >> unused);
    }
    char text[32];
    std::snprintf(text, sizeof text, "%g", number);
    return text;
}

class Text {
  public:
    Text(const Schedule &schedule, const Names &its) : s(schedule), names(its) {
        for (const Step &step : s.prologue) computed[step.d] = true;
    }

    std::string run() { return layout() + numbers() + steps(); }

  private:
    const Schedule &s;
    const Names &names;
    std::map<uint16_t, bool> computed; // constants that the prologue fills in

    std::string layout() const {
        const Layout &l = s.layout;
        std::vector<Row> rows{{"axis", "extent", "kind", "of", "strides:"}};
        rows[0].insert(rows[0].end(), names.slots.begin(), names.slots.end());
        for (int a = 0; a < l.rank; a++) {
            Row of;
            for (size_t k = 0; k < names.axes.size(); k++)
                if (l.from_program[k] == a) of.push_back(names.axes[k]);
            rows.push_back({std::to_string(a), std::to_string(l.extent[a]),
                            l.reduced[a] ? "reduced" : "parallel", joined(of), ""});
            for (const auto &strides : l.strides) rows.back().push_back(std::to_string(strides[a]));
        }
        if (l.rank == 0) return "one point\n";
        return aligned(rows, "rrlllr");
    }

    std::string numbers() const {
        const Layout &l = s.layout;
        std::string tile = std::to_string(l.rows) + " x " + std::to_string(l.cols);
        if (l.axis_a >= 0)
            tile += " along axes " + std::to_string(l.axis_a) + " and " + std::to_string(l.axis_b);
        else if (l.axis_b >= 0)
            tile += " along axis " + std::to_string(l.axis_b);
        std::string grid =
            count_of(s.parallel.total, "block") + " of " + count_of(s.reduced.total, "tile");
        if (s.shares_rows)
            grid += "; threads may share a block, " + std::to_string(s.tiles_per_chunk) +
                    " tiles at a time";
        if (s.at_once > 1) grid += ", up to " + std::to_string(s.at_once) + " at once";
        char work[32];
        std::snprintf(work, sizeof work, "%.0f", s.work);
        return aligned({{"tile", tile},
                        {"grid", grid},
                        {"frame", count_of(int64_t(s.frame_bytes), "byte") + " a worker"},
                        {"work", work}});
    }

    std::string steps() const {
        std::vector<Row> rows;
        if (!s.prologue.empty()) rows.push_back({"once per launch"});
        for (const Step &step : s.prologue) rows.push_back(row_of(step, nullptr));
        for (const SectionSchedule &section : s.sections) {
            if (section.steps.empty()) continue;
            rows.push_back({name_of(section.kind)});
            for (const Accumulator &acc : section.accumulators) rows.push_back({fold_of(acc)});
            for (const Step &step : section.once) rows.push_back(row_of(step, &section));
            if (!section.once.empty()) rows.push_back({"  so far once per thread"});
            for (const Step &step : section.per_block) rows.push_back(row_of(step, &section));
            if (!section.per_block.empty()) rows.push_back({"  so far once per block"});
            for (const Step &step : section.steps) rows.push_back(row_of(step, &section));
            for (const Prefetch &ahead : section.prefetches)
                rows.push_back({"  asks ahead for " + place(ahead.place) + ", " +
                                count_of(ahead.distance, "byte") + " on"});
        }
        return aligned(rows);
    }

    std::string fold_of(const Accumulator &acc) const {
        return "  " + place(acc.result) + (acc.by_rows ? " folds lines, " : " folds columns, ") +
               count_of(acc.tiles_per_group, "tile") + " at a time";
    }

    Row row_of(const Step &step, const SectionSchedule *section) const {
        std::string what, to = place(step.d), from = place(step.a);
        switch (step.kind) {
        case Step::APPLY:
            what = operation(step);
            from = operands_of(step);
            break;
        case Step::SELECT:
            what = operation(step);
            from = place(step.c) + " where " + place(step.a) + ", " + place(step.b) + "; " +
                   place(step.n);
            break;
        case Step::GATHER:
        case Step::SCATTER:
        case Step::STREAM_ROWS:
            from += ", strides " + pair(step);
            break;
        case Step::TRANSPOSE:
            from += ", lines " + pair(step) + " apart";
            break;
        case Step::LOOKUP:
            from += " at " + positions_of(section->lookups[step.n]);
            break;
        case Step::WINDOW:
            from += " in a window";
            break;
        case Step::STENCIL:
            what = operation(step);
            from =
                count_of(int64_t(section->stencils[step.n].tiles.size()), "tile") + " of " + from;
            break;
        case Step::IOTA:
            from = "position along axis " + std::to_string(step.n);
            break;
        case Step::BELOW:
            from = "a comparison of positions";
            break;
        case Step::SCAN:
            what = operation(step);
            break;
        case Step::CHAIN:
            what = links_of(section->chains[step.n]);
            from = operands_of(section->chains[step.n]);
            break;
        case Step::CHAIN_FOLD:
            what = links_of(section->chains[step.n]) + ", " + OPCODE_NAMES[step.op];
            to = place(section->accumulators[step.d].result);
            from = operands_of(section->chains[step.n]);
            break;
        case Step::REDUCE:
            what = operation(step);
            to = place(section->accumulators[step.n].result);
            if (step.b != step.a) from += ", " + place(step.b);
            if (section->accumulators[step.n].finds_index) from += ", where it lies";
            if (step.row_stride) from += ", lines " + std::to_string(step.row_stride) + " apart";
            break;
        default: // moves that have no more to say
            break;
        }
        return {std::string("  ") + name_of(step.kind), shape(step.shape), what, to, "<- " + from};
    }

    std::string operands_of(const Step &step) const {
        Instruction in{};
        in.op = step.op;
        const uint16_t places[] = {step.a, step.b, step.c};
        Row items;
        for (int o = 0; o < std::max(1, operand_count(in)); o++) items.push_back(place(places[o]));
        return joined(items);
    }

    std::string positions_of(const Lookup &lookup) const {
        Row items;
        for (int k = 0; k < lookup.count; k++) items.push_back(place(lookup.positions[k]));
        return joined(items);
    }

    std::string links_of(const Chain &chain) const {
        Row items;
        for (const Chain::Link &link : chain.links) {
            items.push_back(CHAIN_OP_NAMES[link.op]);
            if (link.op == CHAIN_CHOOSE)
                items.back() +=
                    std::string(" ") + OPCODE_NAMES[chain.choices[link.operand].comparison];
        }
        return joined(items);
    }

    // Where a chain starts; what its links read in their order.
    std::string operands_of(const Chain &chain) const {
        Row items;
        for (const Chain::Link &link : chain.links)
            if (link.op == CHAIN_CHOOSE)
                for (uint16_t p : chain.choices[link.operand].place)
                    items.push_back(p == NO_PLACE ? "it" : place(p));
            else if (has_operand(link))
                items.push_back(place(link.operand));
        return place(chain.start) + (items.empty() ? "" : "; " + joined(items)) +
               (chain.streamed ? ", past the caches" : "");
    }

    static bool has_operand(const Chain::Link &link) {
        return link.op == CHAIN_KEEP || !(link.acc_first && link.acc_second);
    }

    // The part of a tile that varies, in elements.
    std::string shape(uint8_t of) const {
        return std::to_string(of & ROWS ? s.layout.rows : 1) + "x" +
               std::to_string(of & COLS ? s.layout.cols : 1);
    }

    static std::string pair(const Step &step) {
        return std::to_string(step.row_stride) + " and " + std::to_string(step.col_stride);
    }

    std::string place(uint16_t number) const {
        const Place &p = s.places[number];
        switch (p.kind) {
        case Place::SLOT:
            return "s[" + names.slots[s.touched[p.at].slot] + "]";
        case Place::CONSTANT:
            return constant_at(number);
        case Place::KEPT:
            return "kept+" + std::to_string(p.at);
        default:
            return "frame+" + std::to_string(p.at);
        }
    }

    std::string constant_at(uint16_t number) const {
        const Place &p = s.places[number];
        for (auto [param, at] : s.param_at)
            if (at == p.at) return "p[" + names.params[param] + "]";
        if (computed.count(number)) return "pool+" + std::to_string(p.at);
        return constant(s.pool.data() + p.at, p.type);
    }
};

} // namespace

std::string describe(const Schedule &schedule, const Names &names) {
    return Text(schedule, names).run();
}

} // namespace gint
