/* What all parts of the device interpreter stand on: widths of words and positions, lists of the
 * codes and registers of this build, and where a thread's elements of a slot are. */
#ifndef GI_ADDRESS_H
#define GI_ADDRESS_H

#include "slots.h"

#include "numbers.h"
#include "words.h"

#if GI_WORD_BITS == 32
typedef gi_u32 gi_index;
#define GI_NAME(name) name##_32
#else
typedef gi_u64 gi_index;
#define GI_NAME(name) name##_64
#endif

typedef GI_GLOBAL const gi_i64 *gi_record;
typedef GI_GLOBAL gi_word *gi_scratch;

/* Lists for the groups of codes this build has. */
#if GI_WORD_BITS == 32
#define GI_LIST(WHAT, X) GI_DEVICE_##WHAT##_NARROW(X)
#elif GI_HAS_F64
#define GI_LIST(WHAT, X)                                                                           \
    GI_DEVICE_##WHAT##_NARROW(X) GI_DEVICE_##WHAT##_I64(X) GI_DEVICE_##WHAT##_F64(X)
#else
#define GI_LIST(WHAT, X) GI_DEVICE_##WHAT##_NARROW(X) GI_DEVICE_##WHAT##_I64(X)
#endif

/* F(k, NAME, T, EXPR) for every register of this build. */
#if GI_REGISTERS > 3
#define GI_FOR_3(F, NAME, T, EXPR) F(3, NAME, T, EXPR)
#else
#define GI_FOR_3(F, NAME, T, EXPR)
#endif
#if GI_REGISTERS > 4
#define GI_FOR_4(F, NAME, T, EXPR) F(4, NAME, T, EXPR)
#else
#define GI_FOR_4(F, NAME, T, EXPR)
#endif
#if GI_REGISTERS > 5
#define GI_FOR_5(F, NAME, T, EXPR) F(5, NAME, T, EXPR)
#else
#define GI_FOR_5(F, NAME, T, EXPR)
#endif
#if GI_REGISTERS > 6
#define GI_FOR_6(F, NAME, T, EXPR) F(6, NAME, T, EXPR)
#else
#define GI_FOR_6(F, NAME, T, EXPR)
#endif
#if GI_REGISTERS > 7
#define GI_FOR_7(F, NAME, T, EXPR) F(7, NAME, T, EXPR)
#else
#define GI_FOR_7(F, NAME, T, EXPR)
#endif
/* Those that hold values, without the operands' r0 and r1. */
#define GI_FOR_VALUE_REGISTERS(F)                                                                  \
    F(2, , , )                                                                                     \
    GI_FOR_3(F, , , ) GI_FOR_4(F, , , ) GI_FOR_5(F, , , ) GI_FOR_6(F, , , ) GI_FOR_7(F, , , )
#define GI_FOR_REGISTERS(F, NAME, T, EXPR)                                                         \
    F(0, NAME, T, EXPR)                                                                            \
    F(1, NAME, T, EXPR)                                                                            \
    F(2, NAME, T, EXPR)                                                                            \
    GI_FOR_3(F, NAME, T, EXPR)                                                                     \
    GI_FOR_4(F, NAME, T, EXPR)                                                                     \
    GI_FOR_5(F, NAME, T, EXPR) GI_FOR_6(F, NAME, T, EXPR) GI_FOR_7(F, NAME, T, EXPR)

/* --- Addresses. An axis of the record: extent, and for 32 bits the two numbers of a division by
 * it: q = (mulhi(x, magic) + x) >> shift for x < 2^31 (Granlund and Montgomery 1994). */

GI_INLINE gi_index gi_divide(gi_index x, gi_record axis) {
#if GI_WORD_BITS == 32
    return (GI_MUL_HI(x, (gi_u32)axis[1]) + x) >> (gi_u32)axis[2];
#else
    return x / (gi_index)axis[0];
#endif
}

GI_INLINE gi_i64 gi_bytes(gi_index position, gi_i64 step) {
#if GI_WORD_BITS == 32
    return GI_MUL_WIDE((gi_i32)position, (gi_i32)step);
#else
    return (gi_i64)position * step;
#endif
}

/* Bytes from the first element to that at `x`, counted along `rank` axes, the fastest first. */
GI_INLINE gi_i64 gi_offset(gi_index x, gi_record axis, gi_i32 rank, gi_record steps) {
    gi_i64 offset = 0;
    GI_ROLL for (gi_i32 a = 0; a < rank; a++, axis += 3) {
        gi_index rest = a + 1 < rank ? gi_divide(x, axis) : 0;
        offset += gi_bytes(x - rest * (gi_index)axis[0], steps[a]);
        x = rest;
    }
    return offset;
}

/* The position along one axis of the point `x`. */
GI_INLINE gi_index gi_position(gi_index x, gi_record axis, gi_i32 rank, gi_i32 wanted) {
    gi_index position = 0;
    for (gi_i32 a = 0; a <= wanted; a++, axis += 3) {
        gi_index rest = a + 1 < rank ? gi_divide(x, axis) : 0;
        position = x - rest * (gi_index)axis[0];
        x = rest;
    }
    return position;
}

/* Where a thread's elements of a slot are: along one inner axis `stride` bytes apart from `first`;
 * along several, each offset is computed anew. */
typedef struct {
    GI_GLOBAL gi_u8 *first;
    gi_i64 stride;
    gi_i32 rank;
    gi_record axes, steps; /* of the outer axes and then the inner; of the inner */
    gi_i32 outer;
} gi_access;

GI_INLINE gi_access gi_reach(gi_record record, gi_u32 n, gi_index row, gi_index point,
                             gi_u32 log_lanes, GI_GLOBAL gi_u8 *base) {
    gi_access slot;
    gi_record entry =
        record + ((gi_i32)record[GI_R_SLOTS_AT] + (gi_i32)n * (gi_i32)record[GI_R_SLOT_WORDS]);
    slot.outer = (gi_i32)record[GI_R_OUTER_RANK];
    slot.axes = record + (gi_i32)record[GI_R_AXES_AT];
    slot.first = base + entry[0];
    /* What most launches have is done without a loop: every load and store pays for this. */
    slot.first += slot.outer == 1 ? gi_bytes(row, entry[1])
                                  : gi_offset(row, slot.axes, slot.outer, entry + 1);
    slot.steps = entry + 1 + slot.outer;
    slot.rank = (gi_i32)record[GI_R_INNER_RANK];
    slot.stride = slot.steps[0] << log_lanes;
    if (slot.rank == 1) slot.first += gi_bytes(point, slot.steps[0]);
    return slot;
}

#endif
