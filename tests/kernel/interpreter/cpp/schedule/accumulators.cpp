#include "cases.h"

namespace gint {

namespace {

// y[i] <- fold over j of x[i, j]; the strides of x decide along which axis tiles lie.
struct Fold : Sketch {
    Fold(int64_t rows, int64_t cols, std::vector<int64_t> strides, uint16_t op = GI_OP_SUM) {
        const uint8_t i = axis(rows), j = axis(cols, true);
        const bool index = op == GI_OP_ARGMAX;
        const uint16_t x = slot(GI_f32, {i, j}, strides), y = slot(index ? GI_i64 : GI_f32, {i});
        section(SectionKind::REDUCE);
        const uint16_t value = load(x);
        std::vector<uint16_t> operands = {value};
        if (index) {
            operands.push_back(emit(GI_OP_INDEX, GI_i64, {}));
            program.code.back().n = j;
        }
        const uint16_t result = emit(op, GI_f32, operands);
        program.register_types[result] = program.slots[y].type;
        section(SectionKind::SCALAR);
        store(y, result);
    }
};

size_t levels(const Accumulator &acc) { return (acc.partial_at - acc.levels_at) / acc.level_bytes; }

} // namespace

CASE(levels_and_partial_results_do_not_overlap) {
    Fold s(3, 100000, {}, GI_OP_ARGMAX);
    const auto made = s.schedule();
    const Accumulator &acc = made->sections[0].accumulators.at(0);
    check(acc.has_index && acc.fold_index.rows == table().reduce_index[GI_OP_ARGMAX][GI_f32].rows);
    const size_t ends[] = {acc.levels_at, acc.partial_at, acc.index_levels_at, acc.index_partial_at,
                           made->frame_bytes};
    const size_t bytes[] = {levels(acc) * acc.level_bytes, acc.level_bytes,
                            levels(acc) * acc.index_level_bytes, acc.index_level_bytes};
    for (size_t n = 0; n < 4; n++) check(ends[n] % 64 == 0 && ends[n] + bytes[n] <= ends[n + 1]);
}

CASE(a_level_holds_the_results_of_a_tile) {
    Fold s(3000, 70, {1, 3000});
    const auto made = s.schedule();
    const Accumulator &acc = made->sections[0].accumulators.at(0);
    check(acc.shape == COLS && acc.size_log2 == 2 && acc.index_level_bytes == 0);
    check(acc.level_bytes >= size_t(made->layout.cols) * 4);
}

CASE(there_are_levels_for_all_groups) {
    for (int64_t cols : {1, 4096, 5000, 1000000, 123456789}) {
        Fold s(2, cols, {});
        const auto made = s.schedule();
        const Accumulator &acc = made->sections[0].accumulators.at(0);
        const int64_t groups = made->reduced.total / acc.tiles_per_group;
        check(int64_t(1) << (levels(acc) - 2) > groups);
    }
}

CASE(pieces_of_a_row_are_groups_of_their_own) {
    Fold s(2, 100000, {});
    const auto made = s.schedule();
    const Accumulator &acc = made->sections[0].accumulators.at(0);
    check(acc.by_rows && acc.shape == UNIFORM && acc.operand_shape == COLS);
    check(acc.tiles_per_group == 1);
}

CASE(lines_are_folded_down_their_columns_in_groups_of_sixteen) {
    Fold s(3000, 70, {1, 3000});
    const auto made = s.schedule();
    const Accumulator &acc = made->sections[0].accumulators.at(0);
    check(!acc.by_rows && acc.operand_shape == FULL);
    check(made->layout.rows * acc.tiles_per_group == 16);
    check(made->tiles_per_chunk % acc.tiles_per_group == 0);
    check(made->reduced.total ==
          (70 + made->layout.rows - 1) / made->layout.rows); // one is partial
}

CASE(lines_with_gaps_are_folded_where_they_lie) {
    Fold s(3000, 70, {1, 3500});
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(steps.size() == 1 && steps[0].kind == Step::REDUCE);
    check(made->places[steps[0].a].kind == Place::SLOT && steps[0].row_stride == 3500);
}

CASE(halves_are_folded_where_they_lie) {
    Sketch s;
    const uint8_t i = s.axis(40), j = s.axis(300, true);
    const uint16_t x = s.slot(GI_bf16, {i, j}), y = s.slot(GI_f32, {i});
    s.section(SectionKind::REDUCE);
    const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {s.load(x)});
    s.section(SectionKind::SCALAR);
    s.store(y, sum);
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(steps.size() == 1 && steps[0].kind == Step::REDUCE);
    check(steps[0].fold_rows == table().reduce[GI_OP_SUM][GI_f32].rows[CHAIN_BF16]);
}

CASE(bools_are_counted_as_they_are) {
    for (const bool along_rows : {true, false}) {
        Sketch s;
        const uint8_t i = s.axis(40), j = s.axis(300, true);
        const uint16_t x = s.slot(GI_bool, {i, j}, along_rows ? std::vector<int64_t>{300, 1}
                                                              : std::vector<int64_t>{1, 40});
        const uint16_t y = s.slot(GI_i64, {i});
        s.section(SectionKind::REDUCE);
        const uint16_t wide = s.emit(GI_OP_CAST, GI_i64, {s.load(x)});
        const uint16_t sum = s.emit(GI_OP_SUM, GI_i64, {wide});
        s.section(SectionKind::SCALAR);
        s.store(y, sum);
        const auto made = s.schedule();
        const Step &last = made->sections[0].steps.back();
        const Reduction &loops = table().reduce[GI_OP_SUM][GI_i64];
        check(last.kind == Step::REDUCE && (last.fold_rows == loops.count) == along_rows);
        check((made->sections[0].steps.size() == 1) == along_rows);
    }
}

CASE(every_reduction_of_a_section_has_its_own_accumulator) {
    Sketch s;
    const uint8_t i = s.axis(4), j = s.axis(5000, true);
    const uint16_t x = s.slot(GI_f32, {i, j}), y = s.slot(GI_f32, {i});
    s.section(SectionKind::REDUCE);
    const uint16_t value = s.load(x);
    const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {value});
    const uint16_t most = s.emit(GI_OP_AMAX, GI_f32, {value});
    s.section(SectionKind::SCALAR);
    s.store(y, s.emit(GI_OP_SUB, GI_f32, {most, sum}));
    const auto made = s.schedule();
    const SectionSchedule &section = made->sections[0];
    const Accumulator &first = section.accumulators.at(0), &second = section.accumulators.at(1);
    check(section.steps.size() == 2 && section.steps[0].n == 0 && section.steps[1].n == 1);
    check(first.fold.merge == table().reduce[GI_OP_SUM][GI_f32].merge);
    check(second.fold.merge == table().reduce[GI_OP_AMAX][GI_f32].merge);
    check(second.levels_at >= first.partial_at + first.level_bytes);
    check(made->places[first.result].at != made->places[second.result].at);
    check(made->sections[1].accumulators.empty());
}

CASE(memory_of_accumulators_lies_before_the_temporaries) {
    Fold s(4, 5000, {5000, -1});
    Parts parts(s);
    const size_t end = parts.places.frame_bytes();
    const Accumulator acc = parts.accumulators.take().at(0);
    check(acc.partial_at + acc.level_bytes <= end);
    check(parts.places[parts.places.temporary(COLS, 4)].at == end);
}

} // namespace gint
