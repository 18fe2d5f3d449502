/* What the cases of a section say over the elements of a thread: folding, reading, writing, and the
 * loops that pass them by.
 *
 * The macros are words of section.h: they name its `acc`, `slot`, `point`, `active`, `last`,
 * `ahead` and `thread`. Knows the element types and how a slot is reached. Does not know
 * instructions. */
#ifndef GI_ELEMENTS_H
#define GI_ELEMENTS_H

#include "address.h"

/* --- Reductions: (v, i) <- fold((v, i), (b_v, b_i)); `code` is that of the TREE instruction. */

GI_INLINE void gi_fold(gi_u32 code, gi_word *v, gi_word *i, gi_word b_v, gi_word b_i) {
    switch (code) {
#define X(NAME, T, EXPR, NEUTRAL)                                                                  \
    case GI_C_TREE_##NAME: {                                                                       \
        const T a = GI_UNPACK_##T(*v), b = GI_UNPACK_##T(b_v);                                     \
        *v = GI_PACK_##T((T)EXPR);                                                                 \
        break;                                                                                     \
    }
        GI_LIST(REDUCE, X)
#undef X
#if GI_WORD_BITS == 64
#define X(NAME, T, EXPR, NEUTRAL)                                                                  \
    case GI_C_TREE_##NAME: {                                                                       \
        T a = GI_UNPACK_##T(b_v), b = GI_UNPACK_##T(*v);                                           \
        const bool first = EXPR;                                                                   \
        a = GI_UNPACK_##T(*v);                                                                     \
        b = GI_UNPACK_##T(b_v);                                                                    \
        const bool later = EXPR;                                                                   \
        if (first || (!later && (gi_i64)b_i < (gi_i64) * i)) *v = b_v, *i = b_i;                   \
        break;                                                                                     \
    }
        GI_LIST(INDEX, X)
#undef X
#endif
    default:
        break;
    }
}

#if GI_WORD_BITS == 64
/* The element of a type that lies there, as a register has it. */
GI_INLINE gi_word gi_load_word(GI_GLOBAL const gi_u8 *at, gi_u32 type) {
    switch (type) {
    case GI_bool:
        return *at != 0;
    case GI_u8:
    case GI_i8:
        return *at;
    case GI_i16:
        return *(GI_GLOBAL const gi_u16 *)at;
    case GI_f16:
        return GI_PACK_float(gi_f16_to_f32(*(GI_GLOBAL const gi_u16 *)at));
    case GI_bf16:
        return GI_PACK_float(gi_bf16_to_f32(*(GI_GLOBAL const gi_u16 *)at));
    case GI_i32:
    case GI_f32:
        return *(GI_GLOBAL const gi_u32 *)at;
    default:
        return *(GI_GLOBAL const gi_u64 *)at;
    }
}
#endif

/* --- All elements of a thread: in registers, or read and written in memory. */

#define GI_ROLLED_LOOP GI_ROLL for (gi_i32 done = 0; done < GI_ELEMENTS; done += GI_STEP)
#define GI_STEP_LOOP GI_UNROLL for (gi_i32 j = 0; j < GI_STEP; j++)
#define GI_ROTATE_ONE(r, last)                                                                     \
    GI_UNROLL for (gi_i32 i = 0; i < GI_ELEMENTS - 1; i++) r[i] = r[i + 1];                        \
    r[GI_ELEMENTS - 1] = last;
#define GI_SCATTERED(e)                                                                            \
    (slot.first + gi_offset(point + ((gi_index)(e) << log_lanes), slot.axes + 3 * slot.outer,      \
                            slot.rank, slot.steps))
#define GI_ELEMENT(e) (slot.rank == 1 ? slot.first + (e) * slot.stride : GI_SCATTERED(e))
#define GI_LOAD(to, T, VALUE)                                                                      \
    if (slot.rank == 1) {                                                                          \
        GI_GLOBAL gi_u8 *at = slot.first;                                                          \
        GI_ALL_UNROLLED {                                                                          \
            T x = 0;                                                                               \
            if (e < active) x = *(const GI_GLOBAL T *)at;                                          \
            to[e] = VALUE;                                                                         \
            at += slot.stride;                                                                     \
        }                                                                                          \
    } else {                                                                                       \
        GI_ROLL for (gi_i32 e = 0; e < GI_ELEMENTS; e++) {                                         \
            T x = 0;                                                                               \
            if (e < active) x = *(const GI_GLOBAL T *)GI_SCATTERED(e);                             \
            GI_ROTATE_ONE(to, VALUE)                                                               \
        }                                                                                          \
    }
/* The next tile's elements of the slot go to the L2 cache, where that tile is whole. A jump by
 * table waits for what was loaded before, so that one instruction's loads alone are under way: what
 * has to be in flight to memory is asked for here. Of 16 neighbouring threads one asks for all. */
#if GI_LOOKS_AHEAD
#define GI_LOOK_AHEAD                                                                              \
    if (ahead && slot.rank == 1 && slot.stride != 0 && (thread & 15) == 0) {                       \
        GI_ALL_UNROLLED GI_PREFETCH(slot.first + (e + GI_ELEMENTS) * slot.stride);                 \
    }
#else
#define GI_LOOK_AHEAD
#endif
#define GI_STORE(T, VALUE)                                                                         \
    if (slot.rank == 1) {                                                                          \
        GI_GLOBAL gi_u8 *at = slot.first;                                                          \
        GI_ALL_UNROLLED {                                                                          \
            const gi_word x = acc[e];                                                              \
            if (e < last) *(GI_GLOBAL T *)at = (T)(VALUE);                                         \
            at += slot.stride;                                                                     \
        }                                                                                          \
    } else {                                                                                       \
        GI_ROLL for (gi_i32 e = 0; e < GI_ELEMENTS; e++) {                                         \
            const gi_word x = acc[0];                                                              \
            if (e < last) *(GI_GLOBAL T *)GI_SCATTERED(e) = (T)(VALUE);                            \
            GI_ROTATE_ONE(acc, x)                                                                  \
        }                                                                                          \
    }
#define GI_SHIFT(r)                                                                                \
    GI_UNROLL for (gi_i32 e = 0; e < GI_ELEMENTS - GI_STEP; e++) r[e] = r[e + GI_STEP];
#define GI_APPEND(r, last) GI_STEP_LOOP r[GI_ELEMENTS - GI_STEP + j] = last[j];

#endif
