#include "cases.h"

namespace gint {

namespace {

// Tiles of 8 x 16.
Sketch small() {
    Sketch s;
    const uint8_t i = s.axis(8), j = s.axis(16);
    const uint16_t x = s.slot(GI_f32, {i, j}, {32, 1}), y = s.slot(GI_f32, {i, j});
    s.section(SectionKind::MAP);
    s.store(y, s.load(x));
    return s;
}

struct Range {
    size_t from, to;
    bool overlaps(const Range &other) const { return from < other.to && other.from < to; }
};

} // namespace

CASE(a_temporary_given_back_is_reused_for_the_next_of_its_size) {
    Sketch s = small();
    Parts parts(s);
    check(parts.inputs.elements(FULL) == 128);
    const uint16_t full = parts.places.temporary(FULL, 4), row = parts.places.temporary(ROWS, 4);
    parts.places.give_back(full);
    parts.places.give_back(row);
    check(parts.places.temporary(FULL, 8) != full);
    check(parts.places.temporary(FULL, 4) == full);
    check(parts.places.temporary(FULL, 4) != full);
    check(parts.places.temporary(ROWS, 4) == row);
}

CASE(a_reused_temporary_takes_the_new_element_size) {
    Sketch s = small();
    Parts parts(s);
    const uint16_t row = parts.places.temporary(ROWS, 4); // 32 bytes and 64: one line
    parts.places.give_back(row);
    check(parts.places.temporary(ROWS, 8) == row);
    check(parts.places[row].size_log2 == 3);
}

CASE(two_live_temporaries_never_overlap) {
    Sketch s = small();
    Parts parts(s);
    struct Held {
        uint16_t place;
        Range range;
    };
    std::vector<Held> live;
    uint32_t random = 1;
    for (int n = 0; n < 2000; n++) {
        random = random * 1664525 + 1013904223;
        if (random >> 31 && !live.empty()) {
            parts.places.give_back(live.back().place);
            live.pop_back();
            continue;
        }
        const uint8_t shape = random >> 16 & 3;
        const size_t size = size_t(1) << (random >> 20 & 3);
        const uint16_t place = parts.places.temporary(shape, size);
        const size_t at = parts.places[place].at;
        check(at % 64 == 0);
        const Range range{at, at + size_t(parts.inputs.elements(shape)) * size};
        for (const Held &held : live) check(!held.range.overlaps(range));
        live.push_back({place, range});
    }
}

CASE(memory_for_the_launch_begins_on_a_line_and_is_nobody_elses) {
    Sketch s = small();
    Parts parts(s);
    check(parts.places.allocate(1) == 0);
    check(parts.places.allocate(65) == 64);
    check(parts.places.allocate(64) == 192);
    check(parts.places.frame_bytes() == 256);
    const uint16_t lasting = parts.places.add_lasting(FULL, 8);
    check(parts.places[lasting].kind == Place::FRAME && parts.places[lasting].at == 256);
    check(parts.places.frame_bytes() == 256 + 128 * 8);
}

CASE(temporaries_lie_behind_what_was_handed_out_and_before_what_is) {
    Sketch s = small();
    Parts parts(s);
    const size_t before = parts.places.allocate(100);
    SectionSchedule section;
    parts.places.begin_section();
    const uint16_t place = parts.places.temporary(FULL, 4);
    check(parts.places[place].at >= before + 100);
    parts.places.end_section(section);
    check(parts.places.allocate(1) >= parts.places[place].at + 128 * 4);
    parts.places.begin_section();
    check(parts.places.temporary(FULL, 4) != place);
}

CASE(constants_are_eight_bytes_apart) {
    Sketch s = small();
    Parts parts(s);
    const uint64_t bits[] = {0x0102030405060708, 0xAABB, ~uint64_t(0)};
    const uint8_t types[] = {GI_i64, GI_i16, GI_u8};
    for (size_t n = 0; n < 3; n++) {
        const Place place = parts.places[parts.places.constant(bits[n], types[n])];
        check(place.kind == Place::CONSTANT && place.at == 8 * n && place.type == types[n]);
    }
    Schedule out;
    parts.places.finish(out);
    check(out.pool.size() == 24);
    for (size_t n = 0; n < 3; n++) {
        const size_t size = type_size(types[n]);
        check(!std::memcmp(&out.pool[8 * n], &bits[n], size));
    }
}

CASE(a_slot_has_one_place_listed_by_every_section_that_asks) {
    Sketch s = small();
    Parts parts(s);
    SectionSchedule first, second, third;
    const uint16_t x = parts.places.slot(0);
    check(parts.places.slot(0) == x && parts.places.slot(1) != x);
    parts.places.end_section(first);
    parts.places.end_section(second);
    check(parts.places.slot(0) == x);
    parts.places.end_section(third);
    check(first.slots.size() == 2 && second.slots.empty());
    check(third.slots == std::vector<uint16_t>{x});
    Schedule out;
    parts.places.finish(out);
    check(out.touched.size() == 2);
    const Schedule::Touched &touched = out.touched[out.places[x].at];
    check(touched.slot == 0 && touched.place == x && touched.size == 4);
    check(touched.strides[0] == 32 * 4 && touched.strides[1] == 4);
}

CASE(a_kept_value_has_room_for_its_row_behind_all_temporaries) {
    Sketch s;
    const uint8_t i = s.axis(3), j = s.axis(10000, true);
    const uint16_t x = s.slot(GI_f32, {i, j}), y = s.slot(GI_f32, {i});
    s.section(SectionKind::REDUCE);
    const uint16_t sum = s.emit(GI_OP_SUM, GI_f32, {s.load(x)});
    s.section(SectionKind::SCALAR);
    s.store(y, sum);
    Parts parts(s);
    const uint16_t temporary = parts.places.temporary(FULL, 4);
    const uint16_t kept = parts.places.kept_row(7, 4), other = parts.places.kept_row(3, 8);
    check(parts.places.kept_row(7, 4) == kept && other != kept);
    const uint16_t scratch = parts.places.scratch();
    check(parts.places.scratch() == scratch && parts.places.has_kept_rows());
    SectionSchedule section;
    parts.places.end_section(section);
    check(section.kept == std::vector<uint16_t>({kept, other}));
    Schedule out;
    parts.places.finish(out);
    const size_t tile = size_t(parts.inputs.elements(parts.inputs.tile));
    check(tile * size_t(parts.inputs.grids.reduced.total) >= 10000);
    const Range ranges[] = {{out.places[temporary].at, out.places[temporary].at + tile * 4},
                            {out.places[scratch].at, out.places[scratch].at + 2 * BLOCK_BYTES},
                            {out.places[kept].at, out.places[kept].at + 10000 * 4},
                            {out.places[other].at, out.places[other].at + 10000 * 8}};
    for (const Range &a : ranges) {
        check(a.to <= out.frame_bytes);
        for (const Range &b : ranges) check(&a == &b || !a.overlaps(b));
    }
}

} // namespace gint
