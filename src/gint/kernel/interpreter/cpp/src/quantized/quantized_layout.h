// How the words of a packed block are made from those of GGUF's blocks, and the other way.
//
// Packed, 32 inputs have words of their own, and so 4 neighbouring inputs (a quad) have a field of
// every byte of a word each; `quad` counts from 0 to 7:
//
//   nibbles   4 words  word n: quad n in the low nibbles, n + 4 in the high ones
//   pairs     2 words  bits of quads 0 to 3 in word 0, from the lowest; of 4 to 7 in word 1
//   bits      1 word   a bit per quad
//   bytes     8 words  a quad each
//
// GGUF's blocks of 256 have one field of a byte for this 32 inputs and the next for others: as many
// words as a byte has fields change places with the fields (`exchange`), which is its own reverse.
#pragma once

#include "quantized/quantized_vectors.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// A word of all lanes.
typedef uint32_t Lanes __attribute__((vector_size(LINE), may_alias));
typedef uint16_t LaneHalves __attribute__((vector_size(LINE), may_alias));

// word[n]'s field m becomes word[m]'s field n.
template <int WIDTH> inline void exchange(Lanes *word) {
    constexpr int FIELDS = 8 / WIDTH;
    constexpr uint32_t LOWEST = 0x01010101u * ((1u << WIDTH) - 1);
    Lanes made[FIELDS] = {};
    for (int m = 0; m < FIELDS; m++)
        for (int n = 0; n < FIELDS; n++)
            made[m] |= ((word[n] >> (WIDTH * m)) & LOWEST) << (WIDTH * n);
    for (int n = 0; n < FIELDS; n++) word[n] = made[n];
}

// Bit 4 n + m of a word <-> bit n of byte m: from bits in the order of inputs to bits of quads.
inline void to_bits_of_quads(const Lanes &word, Lanes &made) {
    made = Lanes{};
    for (int n = 0; n < 8; n++)
        made |= ((((word >> (4 * n)) & 15u) * 0x00204081u) & 0x01010101u) << n;
}
inline void from_bits_of_quads(const Lanes &word, Lanes &made) {
    made = Lanes{};
    for (int n = 0; n < 8; n++)
        made |= ((((word >> n) & 0x01010101u) * 0x10204080u) >> 28) << (4 * n);
}

// Two float16 in every lane's word <-> all of the first, then all of the second.
inline void split(const Lanes &word, Lanes &made) {
    made = (Lanes)__builtin_shufflevector((LaneHalves)word, (LaneHalves)word, 0, 2, 4, 6, 8, 10, 12,
                                          14, 16, 18, 20, 22, 24, 26, 28, 30, 1, 3, 5, 7, 9, 11, 13,
                                          15, 17, 19, 21, 23, 25, 27, 29, 31);
}
inline void join(const Lanes &halves, Lanes &made) {
    made = (Lanes)__builtin_shufflevector((LaneHalves)halves, (LaneHalves)halves, 0, 16, 1, 17, 2,
                                          18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10,
                                          26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

// What a layout says, done in one direction: `rows` are GGUF's words, `packed` ours.
struct Packing {
    const Lanes *rows;
    Lanes *packed;

    void move(int row, int to, int count = 1) const {
        for (int n = 0; n < count; n++) packed[to + n] = rows[row + n];
    }
    void halves(int row, int to) const { split(rows[row], packed[to]); }
    void bits(int row, int to) const { to_bits_of_quads(rows[row], packed[to]); }
    template <int WIDTH> void fields(int row, int step, int to, int to_step) const {
        Lanes word[8 / WIDTH];
        for (int n = 0; n < 8 / WIDTH; n++) word[n] = rows[row + n * step];
        exchange<WIDTH>(word);
        for (int n = 0; n < 8 / WIDTH; n++) packed[to + n * to_step] = word[n];
    }
};

struct Unpacking {
    Lanes *rows;
    const Lanes *packed;

    void move(int row, int to, int count = 1) const {
        for (int n = 0; n < count; n++) rows[row + n] = packed[to + n];
    }
    void halves(int row, int to) const { join(packed[to], rows[row]); }
    void bits(int row, int to) const { from_bits_of_quads(packed[to], rows[row]); }
    template <int WIDTH> void fields(int row, int step, int to, int to_step) const {
        Lanes word[8 / WIDTH];
        for (int n = 0; n < 8 / WIDTH; n++) word[n] = packed[to + n * to_step];
        exchange<WIDTH>(word);
        for (int n = 0; n < 8 / WIDTH; n++) rows[row + n * step] = word[n];
    }
};

// --- of the parts of blocks of 256; `to` is the first word of the first 32 inputs, which are
// `step` words apart from the next 32

// 32 bytes hold a bit of 32 inputs after those of the 32 before.
template <class Way> void bits_of_256(const Way &way, int row, int to, int step) {
    way.template fields<1>(row + 0, 1, to, step);
}
// Twice 32 bytes with a pair of bits of four times 32 inputs.
template <class Way> void pairs_of_256(const Way &way, int row, int to, int step) {
    for (int half = 0; half < 2; half++)
        for (int word = 0; word < 2; word++)
            way.template fields<2>(row + half * 8 + word * 4, 1, to + half * 4 * step + word, step);
}
// 4 times 32 bytes with a nibble of twice 32 inputs, which are `apart` times 32 apart.
template <class Way> void nibbles_of_256(const Way &way, int row, int to, int step, int apart) {
    for (int run = 0; run < 4; run++) {
        const int first = apart == 1 ? run * 2 : run / 2 * 4 + run % 2;
        for (int word = 0; word < 4; word++)
            way.template fields<4>(row + run * 8 + word, 4, to + first * step + word, apart * step);
    }
}

// --- the layouts: GGUF's word, packed word

template <QuantizedFormat FORMAT, class Way> void arrange(const Way &way) {
    if constexpr (FORMAT == Q4_1) {
        way.halves(0, 0), way.move(1, 1, 4);
    } else if constexpr (FORMAT == Q5_0) {
        way.bits(0, 0), way.move(1, 1, 4);
    } else if constexpr (FORMAT == Q5_1) {
        way.halves(0, 0), way.bits(1, 1), way.move(2, 2, 4);
    } else if constexpr (FORMAT == Q2_K) {
        way.halves(20, 0), way.move(0, 1, 4), pairs_of_256(way, 4, 5, 2);
    } else if constexpr (FORMAT == Q3_K) {
        way.move(24, 0, 3), bits_of_256(way, 0, 3, 3), pairs_of_256(way, 8, 4, 3);
    } else if constexpr (FORMAT == Q4_K) {
        way.halves(0, 0), way.move(1, 1, 3), nibbles_of_256(way, 4, 4, 4, 1);
    } else if constexpr (FORMAT == Q5_K) {
        way.halves(0, 0), way.move(1, 1, 3), bits_of_256(way, 4, 4, 5);
        nibbles_of_256(way, 12, 5, 5, 1);
    } else if constexpr (FORMAT == Q6_K) {
        way.move(48, 0, 4), pairs_of_256(way, 32, 4, 6), nibbles_of_256(way, 0, 6, 6, 2);
    } else {
        way.move(0, 0, QUANTIZED_FACTS[FORMAT].words()); // Q4_0, Q8_0, IQ4_NL: as they are
    }
}

// 16 bytes of each of four rows, `pitch` apart, as four words of four lanes, `LINE` apart.
typedef uint32_t Four __attribute__((vector_size(16)));
inline void transpose(uint8_t *to, const uint8_t *from, size_t pitch) {
    Four row[4];
    for (size_t i = 0; i < 4; i++) memcpy(&row[i], from + i * pitch, 16);
    const Four a = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    const Four b = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    const Four c = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    const Four d = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    const Four word[4] = {
        __builtin_shufflevector(a, b, 0, 1, 4, 5),
        __builtin_shufflevector(a, b, 2, 3, 6, 7),
        __builtin_shufflevector(c, d, 0, 1, 4, 5),
        __builtin_shufflevector(c, d, 2, 3, 6, 7),
    };
    for (size_t i = 0; i < 4; i++) memcpy(to + i * LINE, &word[i], 16);
}

template <QuantizedFormat FORMAT>
void pack(size_t blocks, size_t lanes, uint8_t *group, const uint8_t *rows, size_t pitch) {
    constexpr QuantizedFacts FACTS = QUANTIZED_FACTS[FORMAT];
    constexpr size_t WORDS = FACTS.words();
    if (blocks && (lanes < LANES || blocks % 2)) memset(group, 0, FACTS.group_bytes(blocks));
    Lanes words[WORDS] = {};
    for (size_t block = 0; block < blocks; block++, rows += FACTS.row_block) {
        const uint8_t *from = rows + FACTS.first_word();
        uint8_t *to = reinterpret_cast<uint8_t *>(words);
        size_t lane = 0;
        for (; lane + 4 <= lanes; lane += 4) {
            size_t word = 0;
            for (; word + 4 <= WORDS; word += 4)
                transpose(to + word * LINE + lane * 4, from + lane * pitch + word * 4, pitch);
            for (; word < WORDS; word++)
                for (size_t n = lane; n < lane + 4; n++)
                    memcpy(to + word * LINE + n * 4, from + n * pitch + word * 4, 4);
        }
        for (; lane < lanes; lane++)
            for (size_t word = 0; word < WORDS; word++)
                memcpy(to + word * LINE + lane * 4, from + lane * pitch + word * 4, 4);
        arrange<FORMAT>(Packing{words, reinterpret_cast<Lanes *>(group + FACTS.words_at(block))});
        if constexpr (FACTS.has_apart())
            for (size_t n = 0; n < lanes; n++)
                memcpy(group + FACTS.scales_at(block) + n * 2, rows + n * pitch + FACTS.apart, 2);
    }
}

template <QuantizedFormat FORMAT>
void unpack(size_t blocks, size_t first, size_t lanes, const uint8_t *group, uint8_t *rows,
            size_t pitch) {
    constexpr QuantizedFacts FACTS = QUANTIZED_FACTS[FORMAT];
    constexpr size_t WORDS = FACTS.words();
    Lanes words[WORDS];
    const uint8_t *from = reinterpret_cast<const uint8_t *>(words) + first * 4;
    for (size_t block = 0; block < blocks; block++, rows += FACTS.row_block) {
        arrange<FORMAT>(
            Unpacking{words, reinterpret_cast<const Lanes *>(group + FACTS.words_at(block))});
        uint8_t *to = rows + FACTS.first_word();
        for (size_t n = 0; n < lanes; n++)
            for (size_t word = 0; word < WORDS; word++)
                memcpy(to + n * pitch + word * 4, from + word * LINE + n * 4, 4);
        if constexpr (FACTS.has_apart())
            for (size_t n = 0; n < lanes; n++)
                memcpy(rows + n * pitch + FACTS.apart,
                       group + FACTS.scales_at(block) + (first + n) * 2, 2);
    }
}

} // namespace
} // namespace gint::GINT_SIMD_NAMESPACE
