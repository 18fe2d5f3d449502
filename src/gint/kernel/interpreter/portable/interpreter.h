/* The device interpreter: one body for OpenCL C and CUDA C++.
 *
 * Every thread holds an accumulator and GI_REGISTERS registers of GI_ELEMENTS elements each, in
 * registers of the hardware: each case of the switch names the ones it works on, so that no index
 * is computed at run time, and all loops over elements are unrolled. What a section does to one
 * tile is decoded once per thread, for all its elements.
 *
 * Work is dealt as in device/plan.py: `outer` axes are rows, `inner` axes the points of a row.
 * A work-group has 2^log_rows rows side by side and 2^log_lanes threads for each; a thread's
 * elements are 2^log_lanes inner points apart. Knows the record and the codes of gint.isa.device.
 * Does not know programs, slots' types or strides beyond what the record says. */
#ifndef GI_INTERPRETER_H
#define GI_INTERPRETER_H

#include "dialect.h"

#include "isa_device.inc"

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
    return (gi_i64)(gi_i32)position * (gi_i64)(gi_i32)step;
#else
    return (gi_i64)position * step;
#endif
}

/* Bytes from the first element to that at `x`, counted along `rank` axes, the fastest first. */
GI_INLINE gi_i64 gi_offset(gi_index x, gi_record axis, gi_i32 rank, gi_record steps) {
    gi_i64 offset = 0;
    for (gi_i32 a = 0; a < rank; a++, axis += 3) {
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
    gi_record axis, steps; /* of the inner axes */
} gi_access;

GI_INLINE gi_access gi_reach(gi_record record, gi_u32 n, gi_index row, gi_index point,
                             gi_u32 log_lanes, GI_GLOBAL gi_u8 *base) {
    gi_access slot;
    gi_record entry = record + record[GI_R_SLOTS_AT] + n * record[GI_R_SLOT_WORDS];
    const gi_i32 outer = (gi_i32)record[GI_R_OUTER_RANK];
    slot.axis = record + record[GI_R_AXES_AT];
    slot.first = base + entry[0] + gi_offset(row, slot.axis, outer, entry + 1);
    slot.axis += 3 * outer;
    slot.steps = entry + 1 + outer;
    slot.rank = (gi_i32)record[GI_R_INNER_RANK];
    slot.stride = slot.steps[0] << log_lanes;
    if (slot.rank == 1) slot.first += gi_bytes(point, slot.steps[0]);
    return slot;
}

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

/* --- One section of one thread: tiles from `tile` to `tile_end`. Returns error bits. */

#define GI_ROLLED_LOOP GI_ROLL for (gi_i32 done = 0; done < GI_ELEMENTS; done += GI_STEP)
#define GI_STEP_LOOP GI_UNROLL for (gi_i32 j = 0; j < GI_STEP; j++)
#define GI_ROTATE_ONE(r, last)                                                                     \
    GI_UNROLL for (gi_i32 i = 0; i < GI_ELEMENTS - 1; i++) r[i] = r[i + 1];                        \
    r[GI_ELEMENTS - 1] = last;
#define GI_SCATTERED(e)                                                                            \
    (slot.first + gi_offset(point + ((gi_index)(e) << log_lanes), slot.axis, slot.rank, slot.steps))
#define GI_LOAD(to, T, VALUE)                                                                      \
    if (slot.rank == 1) {                                                                          \
        GI_ALL_UNROLLED {                                                                          \
            T x = 0;                                                                               \
            if (e < active) x = *(const GI_GLOBAL T *)(slot.first + e * slot.stride);              \
            to[e] = VALUE;                                                                         \
        }                                                                                          \
    } else {                                                                                       \
        GI_ROLL for (gi_i32 e = 0; e < GI_ELEMENTS; e++) {                                         \
            T x = 0;                                                                               \
            if (e < active) x = *(const GI_GLOBAL T *)GI_SCATTERED(e);                             \
            GI_ROTATE_ONE(to, VALUE)                                                               \
        }                                                                                          \
    }
#define GI_STORE(T, VALUE)                                                                         \
    if (slot.rank == 1) {                                                                          \
        GI_ALL_UNROLLED {                                                                          \
            const gi_word x = acc[e];                                                              \
            if (e < last) *(GI_GLOBAL T *)(slot.first + e * slot.stride) = (T)(VALUE);             \
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
/* Light operations are unrolled. Heavy ones pass the elements by, GI_STEP at a time, so that their
 * temporaries are few: what r0 held is gone afterwards. */

GI_SECTION gi_i32 gi_run_section(gi_record record, gi_scratch scratch, gi_u32 pc, gi_index tile,
                                 gi_index tile_end, gi_i32 is_scalar, gi_index row, gi_i32 has_row,
                                 gi_u32 lane, gi_u32 thread GI_SLOT_PARAMETERS) {
    gi_word acc[GI_ELEMENTS], r0[GI_ELEMENTS], r1[GI_ELEMENTS], r2[GI_ELEMENTS];
#if GI_REGISTERS > 3
    gi_word r3[GI_ELEMENTS];
#endif
#if GI_REGISTERS > 4
    gi_word r4[GI_ELEMENTS];
#endif
#if GI_REGISTERS > 5
    gi_word r5[GI_ELEMENTS];
#endif
#if GI_REGISTERS > 6
    gi_word r6[GI_ELEMENTS];
#endif
#if GI_REGISTERS > 7
    gi_word r7[GI_ELEMENTS];
#endif
    const GI_GLOBAL uint4 *code = (const GI_GLOBAL uint4 *)(record + record[GI_R_CODE_AT]);
    const gi_u32 log_lanes = (gi_u32)record[GI_R_LOG_LANES];
    gi_index point = lane; /* inner point of element 0 */
    gi_i32 active = is_scalar ? has_row : 0;
    gi_i32 errors = 0;
    uint4 next = GI_CODE_AT(code, pc);

    for (;;) {
        const uint4 op = next;
        const gi_u32 n = op.y;
        next = GI_CODE_AT(code, ++pc);
#if GI_WORD_BITS == 32
        const gi_word imm = op.z;
#else
        const gi_word imm = (gi_word)op.z | ((gi_word)op.w << 32);
#endif
#define GI_SPILL_WORD(e)                                                                           \
    scratch[(gi_u32)record[GI_R_SPILL_AT] +                                                        \
            (n * GI_ELEMENTS + (e)) * (gi_u32)record[GI_R_THREADS] + thread]
#define GI_INDEX_WORD(e)                                                                           \
    scratch[(gi_u32)record[GI_R_SPILL_AT] +                                                        \
            ((n + 1) * GI_ELEMENTS + (e)) * (gi_u32)record[GI_R_THREADS] + thread]
#define GI_ROW_WORD                                                                                \
    scratch[(gi_u32)record[GI_R_ROW_AT] + n * (gi_u32)record[GI_R_ROW_STRIDE] +                    \
            (record[GI_R_ROW_SHARED] ? (has_row ? (gi_u32)row : 0) : thread)]
        switch (op.x) {
        case GI_C_END:
            return errors;
        case GI_C_NEXT:
            tile++; /* fall through */
        case GI_C_TILES:
            /* TILES goes to n where there is no tile, NEXT where there is one. */
            if ((tile < tile_end) == (op.x == GI_C_NEXT)) {
                pc = n;
                next = GI_CODE_AT(code, pc);
            }
            if (!is_scalar && tile < tile_end) {
                const gi_index inner = (gi_index)record[GI_R_INNER];
                point = ((tile * GI_ELEMENTS) << log_lanes) + lane;
                const gi_index left = point < inner ? inner - point : 0;
                const gi_index elements = (left + ((gi_index)1 << log_lanes) - 1) >> log_lanes;
                active = !has_row ? 0 : elements < GI_ELEMENTS ? (gi_i32)elements : GI_ELEMENTS;
            }
            break;

        case GI_C_LOAD: {
            const gi_access slot = gi_reach(record, n, row, point, log_lanes, GI_SLOT(n));
            switch (op.z) {
            case GI_bool:
                GI_LOAD(acc, gi_u8, x != 0)
                break;
            case GI_u8:
            case GI_i8:
                GI_LOAD(acc, gi_u8, x)
                break;
            case GI_i16:
                GI_LOAD(acc, gi_u16, x)
                break;
            case GI_i32:
            case GI_f32:
                GI_LOAD(acc, gi_u32, x)
                break;
            case GI_f16:
                GI_LOAD(acc, gi_u16, GI_PACK_float(gi_f16_to_f32(x)))
                break;
            case GI_bf16:
                GI_LOAD(acc, gi_u16, GI_PACK_float(gi_bf16_to_f32(x)))
                break;
#if GI_WORD_BITS == 64
            case GI_i64:
            case GI_f64:
                GI_LOAD(acc, gi_u64, x)
                break;
#endif
            default:
                break;
            }
            break;
        }
#define GI_LOAD_INTO(k, NAME, T, EXPR)                                                             \
    case GI_C_LOAD_R_##k: {                                                                        \
        const gi_access slot = gi_reach(record, n, row, point, log_lanes, GI_SLOT(n));             \
        GI_LOAD(r##k, gi_u32, x)                                                                   \
        break;                                                                                     \
    }
            GI_FOR_VALUE_REGISTERS(GI_LOAD_INTO)
#undef GI_LOAD_INTO
        case GI_C_STORE: {
            const gi_access slot = gi_reach(record, n, row, point, log_lanes, GI_SLOT(n));
            /* Of a scalar section's threads one stores. */
            const gi_i32 last = is_scalar && lane ? 0 : active;
            switch (op.z) {
            case GI_bool:
            case GI_u8:
            case GI_i8:
                GI_STORE(gi_u8, x)
                break;
            case GI_i16:
                GI_STORE(gi_u16, x)
                break;
            case GI_i32:
            case GI_f32:
                GI_STORE(gi_u32, x)
                break;
            case GI_f16:
                GI_STORE(gi_u16, gi_f32_to_f16(GI_UNPACK_float(x)))
                break;
            case GI_bf16:
                GI_STORE(gi_u16, gi_f32_to_bf16(GI_UNPACK_float(x)))
                break;
#if GI_WORD_BITS == 64
            case GI_i64:
            case GI_f64:
                GI_STORE(gi_u64, x)
                break;
#endif
            default:
                break;
            }
            break;
        }

#if GI_WORD_BITS == 64
        case GI_C_INDEX: {
            gi_record axis = record + record[GI_R_AXES_AT];
            const gi_i32 place = (gi_i32)record[record[GI_R_PLACES_AT] + n];
            const gi_i32 outer = (gi_i32)record[GI_R_OUTER_RANK];
            if (place < outer) {
                const gi_word at = place < 0 ? 0 : gi_position(row, axis, outer, place);
                GI_ALL_UNROLLED acc[e] = at;
            } else {
                const gi_i32 inner = (gi_i32)record[GI_R_INNER_RANK];
                axis += 3 * outer;
                GI_ROLL for (gi_i32 e = 0; e < GI_ELEMENTS; e++) {
                    const gi_word at =
                        gi_position(point + ((gi_index)e << log_lanes), axis, inner, place - outer);
                    GI_ROTATE_ONE(acc, at)
                }
            }
            break;
        }
#endif

        case GI_C_SET:
            GI_ALL_UNROLLED acc[e] = imm;
            break;
        case GI_C_SET_R0:
            GI_ALL_UNROLLED r0[e] = imm;
            break;
        case GI_C_SET_R1:
            GI_ALL_UNROLLED r1[e] = imm;
            break;
        case GI_C_GET_ROW: {
            const gi_word word = GI_ROW_WORD;
            GI_ALL_UNROLLED acc[e] = word;
            break;
        }
        case GI_C_ROW_R0: {
            const gi_word word = GI_ROW_WORD;
            GI_ALL_UNROLLED r0[e] = word;
            break;
        }
        case GI_C_ROW_R1: {
            const gi_word word = GI_ROW_WORD;
            GI_ALL_UNROLLED r1[e] = word;
            break;
        }
        case GI_C_PUT_ROW:
            if (has_row && (!record[GI_R_ROW_SHARED] || lane == 0)) GI_ROW_WORD = acc[0];
            break;
        case GI_C_PUT_THREAD:
            scratch[(gi_u32)record[GI_R_THREAD_AT] + n * (gi_u32)record[GI_R_THREADS] + thread] =
                acc[0];
            break;
        case GI_C_GET_SPILL:
            GI_ALL_UNROLLED acc[e] = GI_SPILL_WORD(e);
            break;
        case GI_C_PUT_SPILL:
            GI_ALL_UNROLLED GI_SPILL_WORD(e) = acc[e];
            break;
#define GI_MOVES(k, NAME, T, EXPR)                                                                 \
    case GI_C_GET_##k:                                                                             \
        GI_ALL_UNROLLED acc[e] = r##k[e];                                                          \
        break;                                                                                     \
    case GI_C_PUT_##k:                                                                             \
        GI_ALL_UNROLLED r##k[e] = acc[e];                                                          \
        break;                                                                                     \
    case GI_C_COPY_R0_##k:                                                                         \
        GI_ALL_UNROLLED r0[e] = r##k[e];                                                           \
        break;                                                                                     \
    case GI_C_COPY_R1_##k:                                                                         \
        GI_ALL_UNROLLED r1[e] = r##k[e];                                                           \
        break;                                                                                     \
    case GI_C_FILL_##k:                                                                            \
        GI_ALL_UNROLLED r##k[e] = GI_SPILL_WORD(e);                                                \
        break;                                                                                     \
    case GI_C_SPILL_##k:                                                                           \
        GI_ALL_UNROLLED GI_SPILL_WORD(e) = r##k[e];                                                \
        break;
            GI_FOR_REGISTERS(GI_MOVES, , , )
#undef GI_MOVES

/* `acc op place` and `place op acc`; ONE for a place with one word for all elements. */
#define GI_BOTH(PLACE, NAME, T, EXPR, WORD, ONE)                                                   \
    case GI_C_##NAME##_##PLACE: {                                                                  \
        const gi_word one = ONE;                                                                   \
        GI_ALL_UNROLLED {                                                                          \
            const T a = GI_UNPACK_##T(acc[e]), b = GI_UNPACK_##T(WORD);                            \
            acc[e] = GI_PACK_##T((T)EXPR);                                                         \
        }                                                                                          \
        break;                                                                                     \
    }                                                                                              \
    case GI_C_##NAME##_FROM_##PLACE: {                                                             \
        const gi_word one = ONE;                                                                   \
        GI_ALL_UNROLLED {                                                                          \
            const T a = GI_UNPACK_##T(WORD), b = GI_UNPACK_##T(acc[e]);                            \
            acc[e] = GI_PACK_##T((T)EXPR);                                                         \
        }                                                                                          \
        break;                                                                                     \
    }
#define GI_DIRECT(k, NAME, T, EXPR) GI_BOTH(R##k, NAME, T, EXPR, r##k[e], 0)
#define X(NAME, T, EXPR)                                                                           \
    case GI_C_##NAME##_ACC:                                                                        \
        GI_ALL_UNROLLED {                                                                          \
            const T a = GI_UNPACK_##T(acc[e]), b = a;                                              \
            acc[e] = GI_PACK_##T((T)EXPR);                                                         \
        }                                                                                          \
        break;                                                                                     \
        GI_BOTH(IMM, NAME, T, EXPR, one, imm)                                                      \
        GI_BOTH(ROW, NAME, T, EXPR, one, GI_ROW_WORD)                                              \
        GI_FOR_REGISTERS(GI_DIRECT, NAME, T, EXPR)
            GI_LIST(DIRECT, X)
#undef X

#define GI_FOLD_INTO(k, NAME, T, EXPR)                                                             \
    case GI_C_FOLD_##NAME##_##k:                                                                   \
        GI_ALL_UNROLLED {                                                                          \
            const T a = GI_UNPACK_##T(r##k[e]), b = GI_UNPACK_##T(acc[e]);                         \
            if (e < active) r##k[e] = GI_PACK_##T((T)EXPR);                                        \
        }                                                                                          \
        break;
#define X(NAME, T, EXPR, NEUTRAL) GI_FOR_REGISTERS(GI_FOLD_INTO, NAME, T, EXPR)
            GI_LIST(FOLD, X)
#undef X

#define X(NAME, HEAVY, R, A, EXPR)                                                                 \
    case GI_C_##NAME:                                                                              \
        GI_UNARY_##HEAVY(R, A, EXPR) break;
#define GI_UNARY_0(R, A, EXPR)                                                                     \
    GI_ALL_UNROLLED {                                                                              \
        const A a = GI_UNPACK_##A(acc[e]);                                                         \
        acc[e] = GI_PACK_##R((R)EXPR);                                                             \
    }
#define GI_UNARY_1(R, A, EXPR)                                                                     \
    GI_ROLLED_LOOP {                                                                               \
        gi_word last[GI_STEP];                                                                     \
        GI_STEP_LOOP {                                                                             \
            const A a = GI_UNPACK_##A(acc[j]);                                                     \
            last[j] = GI_PACK_##R((R)EXPR);                                                        \
        }                                                                                          \
        GI_SHIFT(acc) GI_APPEND(acc, last)                                                         \
    }
            GI_LIST(1, X)
#undef X
#define X(NAME, HEAVY, R, A, B, EXPR)                                                              \
    case GI_C_##NAME:                                                                              \
        GI_BINARY_##HEAVY(R, A, B, EXPR) break;
#define GI_BINARY_0(R, A, B, EXPR)                                                                 \
    GI_ALL_UNROLLED {                                                                              \
        const A a = GI_UNPACK_##A(acc[e]);                                                         \
        const B b = GI_UNPACK_##B(r0[e]);                                                          \
        acc[e] = GI_PACK_##R((R)EXPR);                                                             \
    }
#define GI_BINARY_1(R, A, B, EXPR)                                                                 \
    GI_ROLLED_LOOP {                                                                               \
        gi_word last[GI_STEP];                                                                     \
        GI_STEP_LOOP {                                                                             \
            gi_i32 flag = 0, *error = &flag;                                                       \
            const A a = GI_UNPACK_##A(acc[j]);                                                     \
            const B b = GI_UNPACK_##B(r0[j]);                                                      \
            last[j] = GI_PACK_##R((R)EXPR);                                                        \
            if (*error && done + j < active) errors |= flag;                                       \
        }                                                                                          \
        GI_SHIFT(acc) GI_SHIFT(r0) GI_APPEND(acc, last)                                            \
    }
            GI_LIST(2, X)
#undef X
#define X(NAME, HEAVY, R, A, B, C, EXPR)                                                           \
    case GI_C_##NAME:                                                                              \
        GI_ALL_UNROLLED {                                                                          \
            const A a = GI_UNPACK_##A(acc[e]);                                                     \
            const B b = GI_UNPACK_##B(r0[e]);                                                      \
            const C c = GI_UNPACK_##C(r1[e]);                                                      \
            acc[e] = GI_PACK_##R((R)EXPR);                                                         \
        }                                                                                          \
        break;
            GI_LIST(3, X)
#undef X
#define X(NAME, TO, FROM)                                                                          \
    case GI_C_##NAME:                                                                              \
        GI_ALL_UNROLLED acc[e] = GI_PACK_##TO(gi_cast_##TO##_##FROM(GI_UNPACK_##FROM(acc[e])));    \
        break;
            GI_LIST(CAST, X)
#undef X

#define X(NAME, T, EXPR, NEUTRAL)                                                                  \
    case GI_C_NEUTRAL_##NAME:                                                                      \
        GI_ALL_UNROLLED acc[e] = GI_PACK_##T((T)NEUTRAL);                                          \
        break;                                                                                     \
    case GI_C_FOLD_##NAME:                                                                         \
        GI_ALL_UNROLLED {                                                                          \
            if (e < active) {                                                                      \
                const T a = GI_UNPACK_##T(GI_SPILL_WORD(e)), b = GI_UNPACK_##T(acc[e]);            \
                GI_SPILL_WORD(e) = GI_PACK_##T((T)EXPR);                                           \
            }                                                                                      \
        }                                                                                          \
        break;                                                                                     \
    case GI_C_TREE_##NAME:                                                                         \
        GI_UNROLL for (gi_i32 reach = GI_ELEMENTS / 2; reach; reach /= 2)                          \
            GI_UNROLL for (gi_i32 e = 0; e < reach; e++) {                                         \
            const T a = GI_UNPACK_##T(acc[e]), b = GI_UNPACK_##T(acc[e + reach]);                  \
            acc[e] = GI_PACK_##T((T)EXPR);                                                         \
        }                                                                                          \
        break;
            GI_LIST(REDUCE, X)
#undef X
#if GI_WORD_BITS == 64
/* Value and index: acc and r0, spill[n] and spill[n + 1]; imm is the code of the TREE instruction.
 */
#define X(NAME, T, EXPR, NEUTRAL)                                                                  \
    case GI_C_NEUTRAL_##NAME:                                                                      \
        GI_ALL_UNROLLED acc[e] = GI_PACK_##T((T)NEUTRAL);                                          \
        break;
            GI_LIST(INDEX, X)
#undef X
#define X(NAME, T, EXPR, NEUTRAL) case GI_C_FOLD_##NAME:
            GI_LIST(INDEX, X)
#undef X
#define X(NAME, T, EXPR, NEUTRAL) case GI_C_TREE_##NAME:
            GI_LIST(INDEX, X) {
                /* FOLD: elements of acc into those of the spill. TREE: those of the spill into one
                 * pair, acc[0] and r0[0]. */
                const gi_i32 is_fold = op.x != (gi_u32)imm;
                const gi_i32 count = is_fold ? active : GI_ELEMENTS;
                gi_word v = GI_SPILL_WORD(0), i = GI_INDEX_WORD(0);
                GI_ROLL for (gi_i32 done = is_fold ? 0 : 1; done < count; done++) {
                    if (is_fold) v = GI_SPILL_WORD(done), i = GI_INDEX_WORD(done);
                    gi_fold((gi_u32)imm, &v, &i, is_fold ? acc[0] : GI_SPILL_WORD(done),
                            is_fold ? r0[0] : GI_INDEX_WORD(done));
                    if (is_fold) GI_SPILL_WORD(done) = v, GI_INDEX_WORD(done) = i;
                    GI_UNROLL for (gi_i32 e = 0; e + 1 < GI_ELEMENTS; e++) {
                        acc[e] = acc[e + 1];
                        r0[e] = r0[e + 1];
                    }
                }
                if (!is_fold) acc[0] = v, r0[0] = i;
                break;
            }
#undef X
#endif
        default:
            return errors;
        }
    }
}

/* --- The end of a chunk: what the threads of a row have folded becomes one value per accumulator.
 *
 * Sections that fold nothing have no accumulators: every barrier is met by all threads.
 *
 * thread[n] of every thread, by a tree over the lanes in local memory, then onto row[n] in the
 * order of the chunks; or, where chunks are dealt to work-groups, to the partials for gint_combine.
 * An accumulator of the record: code, n in thread, n in row, number of its words (2 with an index),
 * n in partials. */

typedef struct {
    gi_u32 thread, lane, row_in_group; /* of this thread */
    gi_index row;
    gi_i32 has_row;
    gi_u32 chunk, is_first;
} gi_place;

#define GI_AT_LANE(l)                                                                              \
    (rows_fastest ? ((l) << log_rows) + p.row_in_group : (p.row_in_group << log_lanes) + (l))

GI_INLINE void gi_close_chunk(gi_record record, gi_scratch scratch, gi_record section,
                              GI_LOCAL_POINTER gi_word *values, GI_LOCAL_POINTER gi_word *indices,
                              gi_place p) {
    const gi_u32 log_lanes = (gi_u32)record[GI_R_LOG_LANES],
                 log_rows = (gi_u32)record[GI_R_LOG_ROWS];
    const gi_i32 rows_fastest = (gi_i32)record[GI_R_ROWS_FASTEST];
    const gi_u32 threads = (gi_u32)record[GI_R_THREADS], here = GI_AT_LANE(p.lane);
    gi_scratch mine = scratch + (gi_u32)record[GI_R_THREAD_AT] + p.thread;
    gi_record accumulator = record + record[GI_R_SECTIONS_AT] + section[2];
    for (gi_u32 j = 0; j < (gi_u32)section[3]; j++, accumulator += 5) {
        const gi_u32 code = (gi_u32)accumulator[0], n = (gi_u32)accumulator[1];
        const gi_i32 has_index = accumulator[3] == 2;
        gi_word v = mine[n * threads], i = has_index ? mine[(n + 1) * threads] : 0;
        values[here] = v;
        indices[here] = i;
        for (gi_u32 reach = (1u << log_lanes) >> 1; reach; reach >>= 1) {
            GI_BARRIER_LOCAL();
            if (p.lane < reach) {
                gi_fold(code, &v, &i, values[GI_AT_LANE(p.lane + reach)],
                        indices[GI_AT_LANE(p.lane + reach)]);
                values[here] = v;
                indices[here] = i;
            }
        }
        GI_BARRIER_LOCAL();
        v = values[GI_AT_LANE(0)];
        i = indices[GI_AT_LANE(0)];
        GI_BARRIER_LOCAL();
        if (record[GI_R_DEALT] > 1) {
            const gi_u32 chunks = (gi_u32)record[GI_R_CHUNKS], rows = (gi_u32)record[GI_R_ROWS];
            gi_scratch partial = scratch + (gi_u32)record[GI_R_PARTIALS_AT] + p.chunk;
            const gi_u32 at = (gi_u32)accumulator[4];
            if (p.has_row && p.lane == 0) {
                partial[(at * rows + (gi_u32)p.row) * chunks] = v;
                if (has_index) partial[((at + 1) * rows + (gi_u32)p.row) * chunks] = i;
            }
        } else {
            const gi_u32 column = record[GI_R_ROW_SHARED] ? (gi_u32)p.row : p.thread;
            const gi_u32 stride = (gi_u32)record[GI_R_ROW_STRIDE];
            gi_scratch row = scratch + (gi_u32)record[GI_R_ROW_AT] + column;
            row += (gi_u32)accumulator[2] * stride;
            if (p.has_row && (!record[GI_R_ROW_SHARED] || p.lane == 0)) {
                gi_word total = v, total_i = i;
                if (!p.is_first) {
                    total = row[0];
                    total_i = has_index ? row[stride] : 0;
                    gi_fold(code, &total, &total_i, v, i);
                }
                row[0] = total;
                if (has_index) row[stride] = total_i;
            }
        }
    }
}

#define GI_IS_MAP(section) ((section)[0] == 0)
#define GI_IS_REDUCE(section) ((section)[0] == 1)
#define GI_IS_SCALAR(section) ((section)[0] == 2)

/* A launch: sections of all items. `record_at` is where this launch's record begins, in words. */
GI_KERNEL GI_NAME(gint_run)(GI_GLOBAL const gi_i64 *records, const gi_u32 record_at,
                            GI_GLOBAL gi_word *scratch,
                            GI_GLOBAL gi_i32 *error GI_SLOT_PARAMETERS) {
    GI_LOCAL gi_word values[GI_BLOCK];
    GI_LOCAL gi_word indices[GI_BLOCK];
    gi_record record = records + record_at;
    const gi_u32 log_lanes = (gi_u32)record[GI_R_LOG_LANES],
                 log_rows = (gi_u32)record[GI_R_LOG_ROWS];
    const gi_u32 number = GI_THREAD(), dealt = (gi_u32)record[GI_R_DEALT];
    const gi_i32 rows_fastest = (gi_i32)record[GI_R_ROWS_FASTEST];
    const gi_u32 items = (gi_u32)record[GI_R_ITEMS];
    gi_i32 errors = 0;
    gi_place p;
    p.thread = GI_GROUP() * GI_BLOCK + number;
    p.lane = rows_fastest ? number >> log_rows : number & ((1u << log_lanes) - 1);
    p.row_in_group = rows_fastest ? number & ((1u << log_rows) - 1) : number >> log_lanes;
    for (gi_u32 item = GI_GROUP(); item < items; item += GI_GROUPS()) {
        const gi_u32 group = item / dealt, chunk = item % dealt;
        p.row = ((gi_index)group << log_rows) + p.row_in_group;
        p.has_row = p.row < (gi_index)record[GI_R_ROWS];
        for (gi_u32 s = (gi_u32)record[GI_R_FIRST_SECTION]; s < (gi_u32)record[GI_R_LAST_SECTION];
             s++) {
            gi_record section = record + record[GI_R_SECTIONS_AT] + s * 4;
            const gi_index tiles = GI_IS_SCALAR(section) ? 1 : (gi_index)record[GI_R_TILES];
            const gi_i32 in_chunks = GI_IS_REDUCE(section) || dealt > 1;
            const gi_index chunk_tiles = in_chunks ? (gi_index)record[GI_R_CHUNK_TILES] : tiles;
            const gi_u32 first = dealt > 1 ? chunk : 0;
            const gi_u32 last = dealt > 1 ? chunk + 1 : in_chunks ? (gi_u32)record[GI_R_CHUNKS] : 1;
            for (gi_u32 c = first; c < last; c++) {
                const gi_index tile = (gi_index)c * chunk_tiles;
                const gi_index end = tile + chunk_tiles < tiles ? tile + chunk_tiles : tiles;
                errors |= gi_run_section(record, scratch, (gi_u32)section[1], tile, end,
                                         GI_IS_SCALAR(section), p.row, p.has_row, p.lane,
                                         p.thread GI_SLOT_ARGUMENTS);
                p.chunk = c;
                p.is_first = c == 0;
                gi_close_chunk(record, scratch, section, values, indices, p);
            }
            /* What this section stored, the next may load by another thread. */
            GI_BARRIER_GLOBAL();
        }
    }
    if (errors) GI_SET_FLAG(error, errors);
}

/* Partials of a reduce section whose chunks were dealt to work-groups: one work-group per row, each
 * thread every GI_BLOCK-th chunk in order, then a tree over the threads. */
GI_KERNEL GI_NAME(gint_combine)(GI_GLOBAL const gi_i64 *records, const gi_u32 record_at,
                                GI_GLOBAL gi_word *scratch) {
    GI_LOCAL gi_word values[GI_BLOCK];
    GI_LOCAL gi_word indices[GI_BLOCK];
    gi_record record = records + record_at;
    const gi_u32 here = GI_THREAD(), chunks = (gi_u32)record[GI_R_CHUNKS];
    const gi_u32 rows = (gi_u32)record[GI_R_ROWS], stride = (gi_u32)record[GI_R_ROW_STRIDE];
    gi_record section = record + record[GI_R_SECTIONS_AT] + record[GI_R_FIRST_SECTION] * 4;
    gi_scratch partials = scratch + (gi_u32)record[GI_R_PARTIALS_AT];
    for (gi_u32 row = GI_GROUP(); row < rows; row += GI_GROUPS()) {
        gi_record accumulator = record + record[GI_R_SECTIONS_AT] + section[2];
        for (gi_u32 j = 0; j < (gi_u32)section[3]; j++, accumulator += 5) {
            const gi_u32 code = (gi_u32)accumulator[0], at = (gi_u32)accumulator[4];
            const gi_i32 has_index = accumulator[3] == 2;
            gi_scratch v_of = partials + (at * rows + row) * chunks;
            gi_scratch i_of = partials + ((at + has_index) * rows + row) * chunks;
            gi_word v = 0, i = 0;
            for (gi_u32 c = here; c < chunks; c += GI_BLOCK) {
                if (c == here)
                    v = v_of[c], i = i_of[c];
                else
                    gi_fold(code, &v, &i, v_of[c], i_of[c]);
            }
            values[here] = v;
            indices[here] = i;
            for (gi_u32 reach = GI_BLOCK / 2; reach; reach >>= 1) {
                GI_BARRIER_LOCAL();
                if (here < reach && here + reach < chunks) {
                    gi_fold(code, &v, &i, values[here + reach], indices[here + reach]);
                    values[here] = v;
                    indices[here] = i;
                }
            }
            if (here == 0) {
                gi_scratch total = scratch + (gi_u32)record[GI_R_ROW_AT] + row;
                total[(gi_u32)accumulator[2] * stride] = v;
                if (has_index) total[((gi_u32)accumulator[2] + 1) * stride] = i;
            }
            GI_BARRIER_LOCAL();
        }
    }
}

#endif
