#include "cases.h"

namespace gint {

namespace {

using Kinds = std::vector<Step::Kind>;

// x to y through an instruction, or straight; rows x cols with these strides.
struct Pass : Sketch {
    uint8_t i, j;
    uint16_t x, y;
    Pass(uint8_t type, int64_t rows, int64_t cols, std::vector<int64_t> from,
         std::vector<int64_t> to, bool straight = false)
        : i(axis(rows)), j(axis(cols)), x(slot(type, {i, j}, from)), y(slot(type, {i, j}, to)) {
        section(SectionKind::MAP);
        const uint16_t value = load(x);
        const uint8_t compute = compute_type(type);
        // No chain has the maximum of a value and itself.
        store(y, straight ? value : emit(GI_OP_MAXIMUM, compute, {value, value}));
    }
};

bool is_slot(const Schedule &s, uint16_t place, uint16_t slot) {
    return s.places[place].kind == Place::SLOT && s.touched[s.places[place].at].slot == slot;
}

} // namespace

CASE(a_slot_without_gaps_is_read_and_written_in_place) {
    Pass s(GI_f32, 4, 5000, {5000, 1}, {5000, 1});
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(kinds(steps) == Kinds{Step::APPLY});
    check(is_slot(*made, steps[0].a, s.x) && is_slot(*made, steps[0].d, s.y));
}

CASE(gaps_are_gathered_and_scattered) {
    Pass s(GI_f32, 4, 5000, {10000, 2}, {-15000, 3});
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(kinds(steps) == Kinds{Step::GATHER, Step::APPLY, Step::SCATTER});
    check(is_slot(*made, steps[0].a, s.x) && steps[0].col_stride == 2);
    check(is_slot(*made, steps[2].d, s.y) && steps[2].col_stride == 3);
    check(steps[0].move == table().gather[2] && steps[2].move == table().scatter[2]);
}

CASE(bools_are_made_zero_or_one) {
    Pass s(GI_bool, 4, 5000, {5000, 1}, {5000, 1}, true);
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(kinds(steps) == Kinds{Step::APPLY});
    check(steps[0].apply == table().cast[GI_bool][GI_u8]);
}

CASE(halves_with_gaps_are_gathered_before_they_are_widened) {
    Pass s(GI_f16, 4, 5000, {10000, 2}, {10000, 2});
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(kinds(steps) ==
          Kinds{Step::GATHER, Step::APPLY, Step::APPLY, Step::APPLY, Step::SCATTER});
    check(steps[1].apply == table().widen[GI_f16] && steps[3].apply == table().narrow[GI_f16]);
    check(steps[0].size_log2 == 1 && steps[4].size_log2 == 1);
}

CASE(what_is_only_moved_with_its_axes_exchanged_is_one_step) {
    Pass s(GI_f32, 300, 400, {400, 1}, {1, 300}, true);
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(kinds(steps) == Kinds{Step::TRANSPOSE} && steps[0].transpose == table().transpose[2]);
    check(is_slot(*made, steps[0].a, s.x) && is_slot(*made, steps[0].d, s.y));
    check(steps[0].row_stride + steps[0].col_stride == 700);
}

CASE(halves_that_are_only_moved_are_not_converted) {
    Pass s(GI_bf16, 4, 5000, {5000, 1}, {10000, 2}, true);
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(kinds(steps) == Kinds{Step::SCATTER} && steps[0].move == table().scatter[1]);
}

CASE(lines_that_are_only_moved_are_several_in_a_tile) {
    Pass s(GI_f32, 300, 1000, {-1000, 1}, {1000, 1}, true);
    auto made = s.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::GATHER});
    check(made->layout.rows > 1 && made->layout.cols == 1000);
    check(is_slot(*made, made->sections[0].steps[0].d, s.y));
    Pass apart(GI_f32, 300, 1000, {-1000, 1}, {1200, 1}, true); // written with gaps
    made = apart.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::COPY} && made->layout.rows == 1);
}

CASE(what_is_overwritten_before_its_last_use_is_copied) {
    Sketch s;
    const uint8_t n = s.axis(5000);
    const uint16_t x = s.slot(GI_i32, {n}), y = s.slot(GI_i32, {n}), z = s.slot(GI_i32, {n});
    s.section(SectionKind::MAP);
    const uint16_t value = s.load(x);
    s.store(y, s.emit(GI_OP_NEG, GI_i32, {value}));
    s.store(z, value);
    check(kinds(s.schedule()->sections[0].steps) == Kinds{Step::APPLY, Step::COPY});
    Sketch shared = s;
    const auto made = shared.schedule({0, 0, 2}); // y takes the place of x
    check(kinds(made->sections[0].steps) == Kinds{Step::COPY, Step::APPLY});
}

CASE(a_value_of_fewer_axes_is_repeated_into_the_slot) {
    Sketch s;
    const uint8_t i = s.axis(4), j = s.axis(5000);
    const uint16_t w = s.slot(GI_f32, {i}), y = s.slot(GI_f32, {i, j}, {6000, 1});
    s.section(SectionKind::MAP);
    s.store(y, s.load(w));
    const auto made = s.schedule();
    check(kinds(made->sections[0].steps) == Kinds{Step::FILL});
    check(is_slot(*made, made->sections[0].steps[0].d, y));
}

CASE(large_outputs_go_past_the_caches) {
    Pass whole(GI_f32, 3000, 5000, {5000, 1}, {5000, 1});
    auto made = whole.schedule();
    check(made->streams);
    check(kinds(made->sections[0].steps) == Kinds{Step::APPLY, Step::STREAM});
    Pass lines(GI_f32, 3000000, 5, {5, 1}, {8, 1});
    made = lines.schedule();
    check(made->streams && made->sections[0].steps.back().kind == Step::STREAM_ROWS);
    Pass smaller(GI_f32, 300, 5000, {5000, 1}, {5000, 1});
    check(!smaller.schedule()->streams);
}

CASE(a_chain_writes_past_the_caches_itself) {
    Sketch s;
    const uint8_t n = s.axis(15000000);
    const uint16_t x = s.slot(GI_f32, {n}), y = s.slot(GI_f32, {n});
    s.section(SectionKind::MAP);
    s.store(y, s.emit(GI_OP_EXP, GI_f32, {s.load(x)}));
    const auto made = s.schedule();
    check(made->streams && kinds(made->sections[0].steps) == Kinds{Step::CHAIN});
    check(made->sections[0].chains[0].streamed);
}

CASE(outputs_of_launches_over_much_memory_go_past_the_caches) {
    const auto streams = [](std::vector<uint16_t> ops, bool with_itself, int64_t count) {
        Sketch s;
        const uint8_t n = s.axis(count);
        const uint16_t x = s.slot(GI_f64, {n}), y = s.slot(GI_f64, {n}), z = s.slot(GI_f64, {n});
        s.section(SectionKind::MAP);
        const uint16_t a = s.load(x), b = with_itself ? a : s.load(y);
        uint16_t value = b;
        for (uint16_t op : ops) value = s.emit(op, GI_f64, {value, a});
        s.store(z, value);
        return s.schedule()->streams;
    };
    constexpr int64_t MANY = 2000000; // 15 MiB each
    check(streams({GI_OP_ADD, GI_OP_MUL, GI_OP_SUB}, false, MANY));
    check(streams({GI_OP_ADD}, true, MANY));
    check(!streams({GI_OP_ADD, GI_OP_MUL, GI_OP_SUB}, false, MANY / 2));
    check(!streams({GI_OP_ADD, GI_OP_MUL}, false, MANY)); // one loop over two operands
    check(!streams({GI_OP_ATAN2}, true, MANY));           // no link of a chain
}

CASE(halves_that_are_alike_are_narrowed_once) {
    Sketch s;
    const uint8_t n = s.axis(5000);
    const uint16_t x = s.slot(GI_bf16, {}), y = s.slot(GI_bf16, {n});
    s.section(SectionKind::MAP);
    s.store(y, s.emit(GI_OP_NEG, GI_f32, {s.load(x)}));
    const auto made = s.schedule();
    const std::vector<Step> &steps = made->sections[0].steps;
    check(steps.back().kind == Step::FILL && is_slot(*made, steps.back().d, y));
    check(steps.back().size_log2 == 1 && steps[steps.size() - 2].shape == UNIFORM);
}

CASE(outputs_that_something_reads_stay_in_the_caches) {
    Pass s(GI_f32, 3000, 5000, {5000, 1}, {5000, 1});
    Sketch in_place = s;
    check(!in_place.schedule({0, 0})->streams);
}

CASE(the_next_blocks_of_several_large_inputs_are_asked_for) {
    const auto sum = [](int64_t rows) {
        Sketch s;
        const uint8_t i = s.axis(rows), j = s.axis(5000);
        const uint16_t x = s.slot(GI_f32, {i, j}), z = s.slot(GI_f32, {i, j});
        const uint16_t y = s.slot(GI_f32, {i, j});
        s.section(SectionKind::MAP);
        const uint16_t a = s.load(x), b = s.load(z);
        s.store(y, s.emit(GI_OP_ADD, GI_f32, {a, b}));
        return s.schedule();
    };
    const auto made = sum(3000);
    const SectionSchedule &section = made->sections[0];
    check(section.prefetches.size() == 2 && is_slot(*made, section.prefetches[0].place, 0));
    check(section.prefetches[0].distance == made->layout.cols * 4 && section.pauses >= 1);
    check(sum(300)->sections[0].prefetches.empty());
}

CASE(a_single_pass_over_one_input_asks_for_nothing) {
    Pass s(GI_f32, 3000, 5000, {5000, 1}, {5000, 1});
    check(s.schedule()->sections[0].prefetches.empty());
}

} // namespace gint
