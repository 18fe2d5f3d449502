// Where values lie: memory of a worker's frame, the pool of constants, slots. Hands out places by
// shape and size. Does not know registers, instructions or steps.
#pragma once

#include <map>

#include "schedule/inputs.h"

namespace gint {

constexpr size_t LINE = 64; // of the caches, in bytes

inline size_t whole_lines(size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

class Places {
  public:
    explicit Places(const Inputs &inputs);

    const Place &operator[](uint16_t place) const { return places[place]; }

    // For the whole launch. Memory of the frame begins on a cache line of its own, and is handed
    // out between sections only.
    size_t allocate(size_t bytes);
    uint16_t add_lasting(uint8_t shape, size_t size);
    // The first bytes of `bits` are a value of the type.
    uint16_t constant(uint64_t bits, uint8_t type);
    uint16_t scratch(); // one for all chains
    size_t frame_bytes() const { return bytes; }

    // For one section. Its temporaries lie behind all that was handed out before it.
    void begin_section();
    uint16_t temporary(uint8_t shape, size_t size);
    void give_back(uint16_t temporary);
    uint16_t fixed(uint8_t shape, size_t size); // memory that nothing else of the section uses
    uint16_t pointer(uint16_t temporary);       // which a step may let point elsewhere
    void end_section(SectionSchedule &made);

    // The same in all sections, and listed in each that asks: a slot, and the row of equal values
    // that one section computes for later ones.
    uint16_t slot(uint16_t slot);
    uint16_t kept_row(uint32_t number, size_t size);
    bool has_kept_rows() const { return !kept_places.empty(); }

    // Places what must lie behind all temporaries, and hands everything over.
    void finish(Schedule &out);

  private:
    const Inputs &inputs;
    std::vector<Place> places;
    size_t bytes = 0; // of the frame, but for temporaries
    std::vector<uint8_t> pool;
    std::vector<Schedule::Touched> touched;

    std::vector<uint16_t> slot_places;        // NO_PLACE until asked for
    std::map<uint32_t, uint16_t> kept_places; // value number -> place
    uint16_t scratch_place = NO_PLACE;
    std::vector<uint16_t> section_slots, section_kept; // of the section

    size_t temporaries_end = 0;
    std::vector<size_t> temporary_bytes; // per place, of temporaries
    std::vector<uint16_t> free_list;     // temporaries given back, the last one last

    uint16_t add(Place::Kind kind, size_t size, size_t at);
};

} // namespace gint
