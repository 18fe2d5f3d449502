// Blocks of lines from one place to another: short ones of many lines at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "copies/copies.h"
#include "loops/loop_table.h"

namespace gint {

// The longest blocks that are copied by two moves, and the most of them in a line copied so.
constexpr int64_t SHORT_BYTES = 64, FEW_BLOCKS = 8;

inline int log2_of(size_t bytes) { return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3; }

// Lines by their offsets in bytes; all of them are OUTSIDE, or none.
struct LinesTogether {
    static constexpr size_t MOST = 64;

    size_t count = 0;
    bool is_outside = false;
    std::array<int64_t, MOST> destination, source;

    void add(int64_t to, int64_t from) { destination[count] = to, source[count++] = from; }
};

// From WIDTH bytes to twice as many in each line, by two moves that may overlap.
template <size_t WIDTH, bool FILLS>
void move_ends(const LinesTogether &lines, char *d, const char *s, size_t bytes) {
    const auto move = [](char *to, const char *from) {
        std::array<char, WIDTH> part;
        std::memcpy(part.data(), from, WIDTH);
        std::memcpy(to, part.data(), WIDTH);
    };
    for (size_t n = 0; n < lines.count; n++) {
        char *to = d + lines.destination[n];
        const char *from = FILLS ? s : s + lines.source[n];
        move(to, from);
        if (bytes > WIDTH) move(to + (bytes - WIDTH), from + (bytes - WIDTH));
    }
}

template <bool FILLS>
void move_short(const LinesTogether &lines, char *d, const char *s, size_t bytes) {
    if (bytes >= 32) return move_ends<32, FILLS>(lines, d, s, bytes);
    if (bytes >= 16) return move_ends<16, FILLS>(lines, d, s, bytes);
    if (bytes >= 8) return move_ends<8, FILLS>(lines, d, s, bytes);
    if (bytes >= 4) return move_ends<4, FILLS>(lines, d, s, bytes);
    if (bytes >= 2) return move_ends<2, FILLS>(lines, d, s, bytes);
    move_ends<1, FILLS>(lines, d, s, bytes);
}

// What is OUTSIDE is filled with the element of `element` bytes whose bits are given.
class Mover {
  public:
    Mover(const LoopTable &table, size_t element_bytes, uint64_t bits, bool past)
        : loops(table), element(int64_t(element_bytes)), past_caches(past) {
        for (size_t n = 0; n < SHORT_BYTES; n += element_bytes)
            std::memcpy(filled.data() + n, &bits, element_bytes);
    }

    // Blocks of `block` bytes, in each of the lines.
    void copy(const LinesTogether &lines, const CopiedBlocks &blocks, int64_t block, char *d,
              const char *s) const {
        const bool fills = lines.is_outside || blocks.is_outside;
        const bool is_one = blocks.apart == block && (fills || blocks.source_apart == block);
        const int64_t count = is_one ? 1 : blocks.count;
        const int64_t bytes = is_one ? blocks.count * block : block;
        d += blocks.destination, s += blocks.source;
        if (bytes <= SHORT_BYTES && count <= FEW_BLOCKS) {
            for (int64_t n = 0; n < count; n++, d += blocks.apart, s += blocks.source_apart) {
                if (fills)
                    move_short<true>(lines, d, filled.data(), size_t(bytes));
                else
                    move_short<false>(lines, d, s, size_t(bytes));
            }
            return;
        }
        for (size_t n = 0; n < lines.count; n++) {
            char *to = d + lines.destination[n];
            if (fills)
                fill(count, bytes, to, blocks.apart);
            else
                move(count, bytes, to, blocks.apart, s + lines.source[n], blocks.source_apart);
        }
    }

    // Elements that follow one another in the destination, and in the source across the lines.
    void turn(const LinesTogether &lines, const CopiedBlocks &blocks, char *d,
              const char *s) const {
        const int64_t apart = lines.count > 1 ? lines.destination[1] - lines.destination[0] : 0;
        loops.transpose[log2_of(size_t(element))](
            lines.count, size_t(blocks.count), d + blocks.destination + lines.destination[0],
            apart / element, s + blocks.source + lines.source[0], blocks.source_apart / element);
    }

  private:
    // The shortest blocks that are worth writing past the caches.
    static constexpr int64_t STREAM_BLOCK = 512;

    const LoopTable &loops;
    const int64_t element;
    const bool past_caches;
    std::array<char, SHORT_BYTES> filled;

    void move(int64_t count, int64_t bytes, char *d, int64_t apart, const char *s,
              int64_t source_apart) const {
        if (bytes == element && apart == element)
            return loops.gather[log2_of(size_t(element))](1, size_t(count), d, s, 0,
                                                          source_apart / element);
        if (bytes <= SHORT_BYTES) return move_each(count, bytes, d, apart, s, source_apart);
        for (int64_t n = 0; n < count; n++, d += apart, s += source_apart) {
            if (past_caches && bytes >= STREAM_BLOCK)
                loops.stream(size_t(bytes), d, s);
            else
                std::memcpy(d, s, size_t(bytes));
        }
    }

    void move_each(int64_t count, int64_t bytes, char *d, int64_t apart, const char *s,
                   int64_t source_apart) const {
        for (int64_t first = 0; first < count; first += int64_t(LinesTogether::MOST)) {
            const int64_t last = std::min(count, first + int64_t(LinesTogether::MOST));
            LinesTogether blocks;
            for (int64_t n = first; n < last; n++) blocks.add(n * apart, n * source_apart);
            move_short<false>(blocks, d, s, size_t(bytes));
        }
    }

    void fill(int64_t count, int64_t bytes, char *d, int64_t apart) const {
        for (int64_t n = 0; n < count; n++)
            loops.fill(size_t(log2_of(size_t(element))), size_t(bytes / element), d + n * apart,
                       filled.data());
    }
};

} // namespace gint
