#include "cases.h"

namespace gint {

namespace {

// y[i, j] <- x[i, j] + r[i], over tiles of 8 x 16.
struct Bias : Sketch {
    uint8_t i = axis(8), j = axis(16);
    uint16_t x = slot(GI_i32, {i, j}, {32, 1}), r = slot(GI_i32, {i}), y;
    uint16_t value, shift, sum;
    explicit Bias(std::vector<int64_t> to = {}) : y(slot(GI_i32, {i, j}, to)) {
        section(SectionKind::MAP);
        value = load(x);
        shift = load(r);
        sum = emit(GI_OP_ADD, GI_i32, {value, shift});
        store(y, sum);
    }
};

} // namespace

CASE(an_operand_of_the_wanted_shape_lies_where_its_register_does) {
    Bias s;
    Parts parts(s);
    const uint16_t place = parts.places.slot(s.r);
    parts.registers.read_in_place(s.shift, place, CHAIN_PACKED, 0);
    check(parts.inputs.value(s.shift).shape == ROWS);
    check(parts.registers.operand(s.shift, ROWS) == place && parts.steps.take().empty());
}

CASE(a_register_is_expanded_once_in_a_section) {
    Bias s;
    Parts parts(s);
    parts.registers.read_in_place(s.shift, parts.places.slot(s.r), CHAIN_PACKED, 0);
    const uint16_t expanded = parts.registers.operand(s.shift, FULL);
    check(parts.registers.operand(s.shift, FULL) == expanded);
    const std::vector<Step> steps = parts.steps.take();
    check(steps.size() == 1 && steps[0].kind == Step::REPEAT_ROWS && steps[0].d == expanded);
    parts.registers.end_section();
    parts.registers.operand(s.shift, FULL);
    check(parts.steps.take().size() == 1);
}

CASE(what_is_alike_is_repeated_before_the_first_tile_unless_folds_are_too) {
    const auto weighed = [](bool folds_weights) {
        Sketch s;
        const uint8_t i = s.axis(4000), j = s.axis(20, true);
        const uint16_t x = s.slot(GI_f32, {i, j}), w = s.slot(GI_f32, {j}),
                       y = s.slot(GI_f32, {i, j});
        s.section(SectionKind::REDUCE);
        const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {s.load(folds_weights ? w : x)});
        s.section(SectionKind::MAP);
        s.store(
            y, s.emit(GI_OP_MUL, GI_f32, {s.emit(GI_OP_ADD, GI_f32, {s.load(x), sum}), s.load(w)}));
        return s.schedule();
    };
    const auto made = weighed(false);
    const std::vector<Step> &once = made->sections[1].once;
    check(once.size() == 1 && once[0].kind == Step::REPEAT_COLS);
    check(weighed(true)->sections[1].once.empty());
}

CASE(a_line_is_repeated_before_the_tiles_of_a_block_unless_they_compute_it) {
    Sketch s;
    const uint8_t i = s.axis(4000, true), j = s.axis(20);
    const uint16_t x = s.slot(GI_f32, {i, j}), w = s.slot(GI_f32, {j}), y = s.slot(GI_f32, {i, j});
    s.section(SectionKind::REDUCE);
    const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {s.load(x)});
    s.section(SectionKind::MAP);
    const uint16_t weight = s.load(w), twice = s.emit(GI_OP_ADD, GI_f32, {weight, weight});
    const uint16_t rest = s.emit(GI_OP_SUB, GI_f32, {s.load(x), sum});
    const uint16_t weighed = s.emit(GI_OP_MUL, GI_f32, {rest, weight});
    s.store(y, s.emit(GI_OP_ADD, GI_f32, {weighed, twice}));
    const auto made = s.schedule();
    const SectionSchedule &map = made->sections[1];
    check(kinds(map.per_block) == std::vector{Step::REPEAT_COLS, Step::REPEAT_COLS});
    check(kinds(map.steps) == std::vector{Step::APPLY, Step::REPEAT_COLS, Step::CHAIN});
    check(made->reduced.total > 1 && map.once.empty());
}

CASE(halves_become_floats_where_an_operand_must_be_packed) {
    Sketch s;
    const uint8_t n = s.axis(5000);
    const uint16_t x = s.slot(GI_f16, {n}), y = s.slot(GI_f16, {n});
    s.section(SectionKind::MAP);
    const uint16_t value = s.load(x);
    s.store(y, value);
    Parts parts(s);
    parts.registers.read_in_place(value, parts.places.slot(x), CHAIN_F16, 0);
    const uint16_t wide = parts.registers.operand(value, COLS);
    check(parts.registers.operand(value, COLS) == wide && parts.places[wide].size_log2 == 2);
    const std::vector<Step> steps = parts.steps.take();
    check(steps.size() == 1 && steps[0].apply == table().widen[GI_f16]);
    check(parts.registers.form(value) == CHAIN_PACKED);
}

CASE(a_result_goes_to_its_output_before_the_store) {
    Bias s;
    Parts parts(s);
    check(parts.registers.result(s.program.code[2], 2) == parts.places.slot(s.y));
    check(parts.registers.is_stored(3));
}

CASE(a_result_for_an_output_with_gaps_is_a_temporary) {
    Bias s({64, 2});
    Parts parts(s);
    const uint16_t place = parts.registers.result(s.program.code[2], 2);
    check(parts.places[place].kind == Place::FRAME && !parts.registers.is_stored(3));
}

CASE(an_operand_that_ends_lends_its_place_to_the_result) {
    Bias s({64, 2});
    Parts parts(s);
    const uint16_t value = parts.registers.result(s.program.code[0], 0);
    const uint16_t shift = parts.registers.result(s.program.code[1], 1);
    check(parts.registers.result(s.program.code[2], 2) == value && shift != value);
}

CASE(what_was_read_for_the_last_time_is_given_back) {
    Bias s({64, 2});
    Parts parts(s);
    const uint16_t value = parts.registers.result(s.program.code[0], 0);
    parts.registers.release_dead(1);
    check(parts.places.temporary(FULL, 4) != value);
    parts.registers.release_dead(2);
    check(parts.places.temporary(FULL, 4) == value);
}

} // namespace gint
