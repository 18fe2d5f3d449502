#include "schedule/places.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace gint {

namespace {

void list_once(std::vector<uint16_t> &list, uint16_t place) {
    if (std::find(list.begin(), list.end(), place) == list.end()) list.push_back(place);
}

} // namespace

Places::Places(const Inputs &i) : inputs(i), slot_places(i.program.slots.size(), NO_PLACE) {
    constexpr size_t FEW = 16; // most programs need no more
    places.reserve(FEW);
    temporary_bytes.reserve(FEW);
}

uint16_t Places::add(Place::Kind kind, size_t size, size_t at) {
    places.push_back({kind, uint8_t(log2_size(size)), 0, at});
    temporary_bytes.push_back(0);
    return uint16_t(places.size() - 1);
}

size_t Places::allocate(size_t wanted) {
    const size_t at = bytes;
    bytes += whole_lines(wanted);
    return at;
}

uint16_t Places::add_lasting(uint8_t shape, size_t size) {
    return add(Place::FRAME, size, allocate(inputs.elements(shape) * size));
}

uint16_t Places::constant(uint64_t bits, uint8_t type) {
    const size_t at = pool.size(), size = type_size(type);
    pool.resize(at + 8);
    std::memcpy(pool.data() + at, &bits, size); // little-endian: the first bytes
    const uint16_t place = add(Place::CONSTANT, size, at);
    places[place].type = type;
    return place;
}

uint16_t Places::scratch() {
    if (scratch_place == NO_PLACE) scratch_place = add(Place::SCRATCH, 1, 0);
    return scratch_place;
}

void Places::begin_section() {
    free_list.clear();
    temporaries_end = bytes;
}

uint16_t Places::temporary(uint8_t shape, size_t size) {
    const size_t wanted = whole_lines(inputs.elements(shape) * size);
    const auto fits = [&](uint16_t place) { return temporary_bytes[place] == wanted; };
    const auto found = std::find_if(free_list.rbegin(), free_list.rend(), fits);
    if (found != free_list.rend()) {
        const uint16_t place = *found;
        free_list.erase(std::next(found).base());
        places[place].size_log2 = uint8_t(log2_size(size));
        return place;
    }
    const uint16_t place = add(Place::FRAME, size, temporaries_end);
    temporary_bytes[place] = wanted;
    temporaries_end += wanted;
    return place;
}

uint16_t Places::fixed(uint8_t shape, size_t size) {
    const uint16_t place = add(Place::FRAME, size, temporaries_end);
    temporaries_end += whole_lines(inputs.elements(shape) * size);
    return place;
}

void Places::give_back(uint16_t temporary) { free_list.push_back(temporary); }

uint16_t Places::pointer(uint16_t temporary) {
    return add(Place::FRAME, size_t(1) << places[temporary].size_log2, places[temporary].at);
}

void Places::end_section(SectionSchedule &made) {
    made.slots = std::exchange(section_slots, {});
    made.kept = std::exchange(section_kept, {});
    bytes = temporaries_end;
}

uint16_t Places::slot(uint16_t slot) {
    uint16_t &place = slot_places[slot];
    if (place == NO_PLACE) {
        const size_t size = inputs.slot_size(slot);
        place = add(Place::SLOT, size, touched.size());
        Schedule::Touched entry{slot, place, uint8_t(size), {}};
        for (int a = 0; a < inputs.layout.rank; a++)
            entry.strides[a] = inputs.layout.strides[slot][a] * int64_t(size);
        touched.push_back(entry);
    }
    list_once(section_slots, place);
    return place;
}

uint16_t Places::kept_row(uint32_t number, size_t size) {
    auto [entry, fresh] = kept_places.try_emplace(number, NO_PLACE);
    if (fresh) entry->second = add(Place::KEPT, size, 0);
    list_once(section_kept, entry->second);
    return entry->second;
}

void Places::finish(Schedule &out) {
    if (scratch_place != NO_PLACE) places[scratch_place].at = allocate(2 * BLOCK_BYTES);
    const int64_t row = inputs.elements(inputs.tile) * inputs.grids.reduced.total;
    for (const auto &[number, place] : kept_places)
        places[place].at = allocate(row << places[place].size_log2);
    out.places = std::move(places);
    out.pool = std::move(pool);
    out.touched = std::move(touched);
    out.frame_bytes = whole_lines(bytes);
}

} // namespace gint
