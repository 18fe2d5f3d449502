#include "cases.h"

namespace gint {

namespace {

// Lines of 5000 elements; one map section from x, w (one per column) and r (one for all) to y.
struct Lines : Sketch {
    uint8_t i = axis(4), j = axis(5000);
    uint16_t x, w, r, y;
    explicit Lines(uint8_t type = GI_f32)
        : x(slot(type, {i, j}, {6000, 1})), w(slot(type, {j})), r(slot(type, {})),
          y(slot(type, {i, j}, {6000, 1})) {
        section(SectionKind::MAP);
    }
};

// Rows of 5000 elements that are reduced.
struct Rows : Sketch {
    uint8_t i = axis(4), j = axis(5000, true);
    uint16_t x = slot(GI_f32, {i, j}), s = slot(GI_f32, {i});
    Rows() { section(SectionKind::REDUCE); }
    void finish(uint16_t fold) {
        section(SectionKind::SCALAR);
        store(s, fold);
    }
};

std::vector<ChainOp> ops(const Chain &chain) {
    std::vector<ChainOp> ops;
    for (const Chain::Link &link : chain.links) ops.push_back(link.op);
    return ops;
}

using Ops = std::vector<ChainOp>;
using Kinds = std::vector<Step::Kind>;

} // namespace

CASE(a_comparison_is_done_again_for_each_choice_by_it) {
    Sketch s;
    const uint8_t n = s.axis(5000);
    const uint16_t x = s.slot(GI_f32, {n}), y = s.slot(GI_f32, {n}), w = s.slot(GI_f32, {n});
    const uint16_t one = s.slot(GI_f32, {n}), other = s.slot(GI_f32, {n});
    s.section(SectionKind::MAP);
    const uint16_t a = s.load(x), b = s.load(y), c = s.load(w);
    const uint16_t mask = s.emit(GI_OP_GT, GI_f32, {a, b});
    const uint16_t first = s.emit(GI_OP_WHERE, GI_f32, {mask, a, c});
    const uint16_t second = s.emit(GI_OP_WHERE, GI_f32, {mask, c, b});
    s.store(one, first), s.store(other, second);
    const auto made = s.schedule();
    check(kinds(made->sections[0].steps) == std::vector{Step::SELECT, Step::SELECT});
}

CASE(results_read_once_by_the_next_instruction_are_one_chain) {
    Lines s;
    const uint16_t x = s.load(s.x), w = s.load(s.w);
    const uint16_t sum = s.emit(GI_OP_ADD, GI_f32, {x, w});
    const uint16_t rest = s.emit(GI_OP_SUB, GI_f32, {w, sum});
    s.store(s.y, s.emit(GI_OP_EXP, GI_f32, {rest}));
    const auto made = s.schedule();
    const SectionSchedule &section = made->sections[0];
    check(kinds(section.steps) == Kinds{Step::CHAIN});
    check(ops(section.chains[0]) == Ops{CHAIN_ADD, CHAIN_SUB_REVERSED, CHAIN_EXP});
    check(made->places[section.chains[0].start].kind == Place::SLOT);
    check(made->places[section.steps[0].d].kind == Place::SLOT);
}

CASE(an_instruction_of_its_own_is_a_loop_not_a_chain) {
    Lines s;
    s.store(s.y, s.emit(GI_OP_ADD, GI_f32, {s.load(s.x), s.load(s.w)}));
    const auto made = s.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::APPLY});
    check(made->sections[0].steps[0].apply == table().apply[GI_OP_ADD][GI_f32][0]);
}

CASE(a_value_for_all_points_is_a_scalar_operand) {
    Lines s;
    const uint16_t r = s.load(s.r);
    const uint16_t product = s.emit(GI_OP_MUL, GI_f32, {r, s.load(s.x)});
    s.store(s.y, s.emit(GI_OP_DIV, GI_f32, {product, r}));
    const auto made = s.schedule();
    const Chain &chain = made->sections[0].chains.at(0);
    check(ops(chain) == Ops{CHAIN_MUL, CHAIN_DIV});
    check(chain.links[0].form == CHAIN_SCALAR && chain.links[1].form == CHAIN_SCALAR);
    check(chain.links[0].one == table().apply[GI_OP_MUL][GI_f32][SCALAR_A]);
    check(chain.links[1].one == table().apply[GI_OP_DIV][GI_f32][SCALAR_B]);
    check(chain.links[0].operand == chain.links[1].operand);
}

CASE(both_operands_may_be_the_result_so_far) {
    Lines s;
    const uint16_t shifted = s.emit(GI_OP_SUB, GI_f32, {s.load(s.x), s.load(s.w)});
    s.store(s.y, s.emit(GI_OP_MUL, GI_f32, {shifted, shifted}));
    const auto made = s.schedule();
    check(ops(made->sections[0].chains.at(0)) == Ops{CHAIN_SUB, CHAIN_MUL_SELF});
}

CASE(a_result_that_is_read_once_more_is_kept_on_the_way) {
    Lines s;
    const uint16_t x = s.load(s.x), sum = s.emit(GI_OP_ADD, GI_f32, {x, s.load(s.w)});
    const uint16_t root = s.emit(GI_OP_SQRT, GI_f32, {sum});
    s.store(s.y, s.emit(GI_OP_MUL, GI_f32, {root, sum}));
    const auto made = s.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::CHAIN});
    const Chain &chain = made->sections[0].chains.at(0);
    check(ops(chain) == Ops{CHAIN_ADD, CHAIN_KEEP, CHAIN_SQRT, CHAIN_MUL});
    check(chain.links[1].operand == chain.links[3].operand);
    check(made->places[chain.links[1].operand].kind == Place::FRAME);
}

CASE(a_result_that_is_stored_and_read_once_more_ends_the_chain) {
    Lines s;
    const uint16_t x = s.load(s.x), sum = s.emit(GI_OP_ADD, GI_f32, {x, s.load(s.w)});
    const uint16_t z = s.slot(GI_f32, {s.i, s.j}, {5000, 1});
    const uint16_t root = s.emit(GI_OP_SQRT, GI_f32, {sum});
    s.store(s.y, s.emit(GI_OP_MUL, GI_f32, {root, sum}));
    s.store(z, sum);
    const auto made = s.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::APPLY, Step::CHAIN});
    check(ops(made->sections[0].chains.at(0)) == Ops{CHAIN_SQRT, CHAIN_MUL});
}

CASE(integers_and_opcodes_without_a_link_are_loops) {
    Lines integers(GI_i32), functions;
    const uint16_t x = integers.load(integers.x);
    const uint16_t sum = integers.emit(GI_OP_ADD, GI_i32, {x, x});
    integers.store(integers.y, integers.emit(GI_OP_MUL, GI_i32, {sum, x}));
    const uint16_t sine = functions.emit(GI_OP_SIN, GI_f32, {functions.load(functions.x)});
    functions.store(functions.y, functions.emit(GI_OP_COS, GI_f32, {sine}));
    for (const Sketch &s : {Sketch(integers), Sketch(functions)}) {
        const auto made = Sketch(s).schedule();
        check(kinds(made->sections[0].steps) == Kinds{Step::APPLY, Step::APPLY});
    }
}

CASE(a_long_chain_is_cut) {
    Lines s;
    const uint16_t x = s.load(s.x);
    uint16_t value = x;
    for (int n = 0; n < 70; n++) value = s.emit(GI_OP_ADD, GI_f32, {value, x});
    s.store(s.y, value);
    const auto made = s.schedule();
    size_t links = 0;
    for (const Chain &chain : made->sections[0].chains) {
        links += chain.links.size();
        check(chain.links.size() <= 30);
    }
    check(links == 70 && made->sections[0].steps.size() == 3);
}

CASE(halves_are_read_and_written_by_the_chain_itself) {
    Lines s(GI_f16);
    const uint16_t sum = s.emit(GI_OP_ADD, GI_f32, {s.load(s.x), s.load(s.w)});
    s.store(s.y, s.emit(GI_OP_EXP, GI_f32, {sum}));
    const auto made = s.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::CHAIN});
    const Chain &chain = made->sections[0].chains[0];
    check(chain.start_form == CHAIN_F16 && chain.links[0].form == CHAIN_F16);
    check(chain.result_form == CHAIN_F16 && !chain.streamed);
}

CASE(a_chain_takes_instructions_only_of_the_tiles_shape) {
    Lines s;
    const uint16_t w = s.load(s.w), column = s.emit(GI_OP_EXP, GI_f32, {w});
    s.store(s.y, s.emit(GI_OP_ADD, GI_f32, {s.load(s.r), s.load(s.r)}));
    Parts parts(s);
    check(parts.inputs.tile == COLS && parts.inputs.value(column).shape == COLS);
    check(parts.chains.take(s.program.code[1], 1));
    check(parts.chains.ends_at(1) && !parts.chains.ends_at(0));
    check(!parts.chains.take(s.program.code[4], 4));
    check(parts.chains.ends_at(1) && parts.steps.take().empty());
    parts.chains.close();
    check(!parts.chains.ends_at(1) && parts.steps.take().size() == 1);
}

CASE(what_a_later_section_wants_is_kept_on_the_way) {
    Rows s;
    const uint16_t e = s.emit(GI_OP_EXP, GI_f32, {s.load(s.x)});
    const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {e});
    const uint16_t y = s.slot(GI_f32, {s.i, s.j});
    s.section(SectionKind::MAP);
    const uint16_t again = s.emit(GI_OP_EXP, GI_f32, {s.load(s.x)});
    s.store(y, s.emit(GI_OP_DIV, GI_f32, {again, sum}));
    const auto made = s.schedule();
    const SectionSchedule &first = made->sections[0], &second = made->sections[1];
    check(kinds(first.steps) == Kinds{Step::CHAIN_FOLD});
    check(ops(first.chains[0]) == Ops{CHAIN_EXP, CHAIN_KEEP});
    check(first.kept.size() == 1 && first.kept == second.kept);
    check(first.chains[0].links[1].operand == first.kept[0]);
    check(kinds(second.steps) == Kinds{Step::APPLY} && second.steps[0].a == second.kept[0]);
}

CASE(a_chain_that_only_a_reduction_of_rows_reads_is_folded) {
    Rows s;
    const uint16_t x = s.load(s.x);
    s.finish(s.emit(GI_OP_SUM, GI_f32, {s.emit(GI_OP_MUL, GI_f32, {x, x})}));
    const auto made = s.schedule();
    const SectionSchedule &section = made->sections[0];
    check(kinds(section.steps) == Kinds{Step::CHAIN_FOLD} && section.steps[0].d == 0);
    check(section.chains[0].fold == &table().chain[GI_f32].fold[GI_OP_SUM] &&
          section.chains[0].whole == WHOLE_SQUARES);
}

CASE(squares_of_differences_of_short_rows_are_one_loop_if_nothing_else_reads_them) {
    const auto squares = [](bool with_largest) {
        Sketch s;
        const uint8_t i = s.axis(4000), j = s.axis(20, true);
        const uint16_t x = s.slot(GI_f32, {i, j}), r = s.slot(GI_f32, {i}), y = s.slot(GI_f32, {i});
        s.section(SectionKind::REDUCE);
        const uint16_t rest = s.emit(GI_OP_SUB, GI_f32, {s.load(x), s.load(r)});
        const uint16_t square = s.emit(GI_OP_MUL, GI_f32, {rest, rest});
        uint16_t found = s.emit(GI_OP_SUM, GI_f32, {square});
        const uint16_t most = with_largest ? s.emit(GI_OP_AMAX, GI_f32, {square}) : found;
        s.section(SectionKind::SCALAR);
        s.store(y, s.emit(GI_OP_ADD, GI_f32, {found, most}));
        return s.schedule();
    };
    const auto alone = squares(false), both = squares(true);
    const Chain &chain = alone->sections[0].chains.at(0);
    check(kinds(alone->sections[0].steps) == Kinds{Step::CHAIN_FOLD});
    check(chain.whole == WHOLE_SHIFTED && chain.links[0].per_row);
    check(kinds(both->sections[0].steps) ==
          Kinds{Step::REPEAT_ROWS, Step::CHAIN, Step::REDUCE, Step::REDUCE});
}

CASE(a_chain_that_only_a_reduction_of_columns_reads_is_folded_line_by_line) {
    Sketch s;
    const uint8_t i = s.axis(4000, true), j = s.axis(700);
    const uint16_t x = s.slot(GI_f32, {i, j}), y = s.slot(GI_f32, {j});
    s.section(SectionKind::REDUCE);
    const uint16_t value = s.load(x);
    const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {s.emit(GI_OP_MUL, GI_f32, {value, value})});
    s.section(SectionKind::SCALAR);
    s.store(y, sum);
    const auto made = s.schedule();
    const SectionSchedule &section = made->sections[0];
    check(kinds(section.steps) == Kinds{Step::CHAIN_FOLD} && section.chains[0].fold);
    check(!section.accumulators.at(0).by_rows && section.chains[0].whole == WHOLE_NONE);
    check(section.chains[0].ahead.size() == 1); // 11 MB: a line ahead
    check(section.chains[0].ahead[0].apart >= 700 * 4);
}

CASE(a_chain_that_two_reductions_read_is_stored_first) {
    Rows s;
    const uint16_t e = s.emit(GI_OP_EXP, GI_f32, {s.load(s.x)});
    const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {e}), most = s.emit(GI_OP_AMAX, GI_f32, {e});
    s.section(SectionKind::SCALAR);
    s.store(s.s, s.emit(GI_OP_DIV, GI_f32, {sum, most}));
    const auto made = s.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::APPLY, Step::REDUCE, Step::REDUCE});
}

} // namespace gint
