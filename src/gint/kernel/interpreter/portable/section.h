/* One section of a program, run by one thread on its tiles: the switch over all codes.
 *
 * Every thread holds an accumulator and GI_REGISTERS registers of GI_ELEMENTS elements each, in
 * registers of the hardware: each case names the ones it works on, so that no index is computed at
 * run time, and all loops over elements are unrolled. What a section does to one tile is decoded
 * once per thread, for all its elements. Knows the codes of gint.isa.device. Does not know how work
 * is dealt to groups. */
#ifndef GI_SECTION_H
#define GI_SECTION_H

#include "elements.h"

/* --- One section of one thread: tiles from `tile` to `tile_end`. Returns error bits.
 *
 * Light operations are unrolled. Heavy ones pass the elements by, GI_STEP at a time, so that their
 * temporaries are few: what r0 held is gone afterwards. */

GI_SECTION gi_i32 gi_run_section(gi_record record, gi_scratch scratch, gi_u32 pc, gi_index tile,
                                 gi_index tile_end, gi_i32 is_scalar, gi_index row, gi_i32 has_row,
                                 gi_u32 lane, gi_u32 log_lanes, gi_u32 thread GI_SLOT_PARAMETERS) {
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
    gi_index point = lane; /* inner point of element 0 */
    gi_i32 active = is_scalar ? has_row : 0;
    gi_i32 errors = 0;
    gi_i32 ahead = 0; /* whether the next tile of this chunk has all of a thread's elements */

    for (;;) {
        /* Fetching one ahead saves nothing: its move to `op` would wait for it all the same. */
        const uint4 op = GI_CODE_AT(code, pc);
        const gi_u32 n = op.y;
        pc++;
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
            if ((tile < tile_end) == (op.x == GI_C_NEXT)) pc = n;
            if (!is_scalar && tile < tile_end) {
                const gi_index inner = (gi_index)record[GI_R_INNER];
                point = ((tile * GI_ELEMENTS) << log_lanes) + lane;
                const gi_index left = point < inner ? inner - point : 0;
                const gi_index elements = (left + ((gi_index)1 << log_lanes) - 1) >> log_lanes;
                active = !has_row ? 0 : elements < GI_ELEMENTS ? (gi_i32)elements : GI_ELEMENTS;
                ahead = active && tile + 1 < tile_end && elements >= 2 * GI_ELEMENTS;
            }
            break;

        case GI_C_LOAD: {
            const gi_access slot = gi_reach(record, n, row, point, log_lanes, GI_SLOT(n));
            GI_LOOK_AHEAD
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
#if GI_WORD_BITS == 64
        /* Elements pass by one at a time; what r0 and r1 held is gone afterwards. */
        case GI_C_GATHER_OR:
        case GI_C_GATHER: {
            gi_word outside = 0;
            if (op.x == GI_C_GATHER_OR) {
                const uint4 next = GI_CODE_AT(code, pc);
                outside = (gi_word)next.z | ((gi_word)next.w << 32);
                pc++;
            }
            const gi_access slot = gi_reach(record, n, row, point, log_lanes, GI_SLOT(n));
            gi_record indexed = slot.steps + (gi_i32)record[GI_R_INNER_RANK];
            GI_ROLL for (gi_i32 e = 0; e < GI_ELEMENTS; e++) {
                gi_word x = outside;
                if (e < active) {
                    const gi_u8 inside = acc[0] < (gi_word)indexed[0] &&
                                         (op.w < 2 || r0[0] < (gi_word)indexed[2]) &&
                                         (op.w < 3 || r1[0] < (gi_word)indexed[4]);
                    if (inside) {
                        GI_GLOBAL const gi_u8 *at = GI_ELEMENT(e) + (gi_i64)acc[0] * indexed[1];
                        if (op.w > 1) at += (gi_i64)r0[0] * indexed[3];
                        if (op.w > 2) at += (gi_i64)r1[0] * indexed[5];
                        x = gi_load_word(at, op.z);
                    } else if (op.x == GI_C_GATHER) {
                        errors |= GI_INDEX_OUT_OF_RANGE;
                    }
                }
                GI_ROTATE_ONE(acc, x)
                GI_ROTATE_ONE(r0, 0)
                GI_ROTATE_ONE(r1, 0)
            }
            break;
        }
#endif
#define GI_LOAD_INTO(k, NAME, T, EXPR)                                                             \
    case GI_C_LOAD_R_##k: {                                                                        \
        const gi_access slot = gi_reach(record, n, row, point, log_lanes, GI_SLOT(n));             \
        GI_LOOK_AHEAD                                                                              \
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
/* A row has one thread, whose elements follow one another; spill[n] is where it goes on. */
#define X(NAME, T, EXPR, NEUTRAL)                                                                  \
    case GI_C_##NAME: {                                                                            \
        T before = tile == 0 ? (T)NEUTRAL : GI_UNPACK_##T(GI_SPILL_WORD(0));                       \
        GI_ROLL for (gi_i32 e = 0; e < GI_ELEMENTS; e++) {                                         \
            const T a = before, b = GI_UNPACK_##T(acc[0]);                                         \
            if (e < active) before = (T)EXPR;                                                      \
            GI_ROTATE_ONE(acc, GI_PACK_##T(before))                                                \
        }                                                                                          \
        GI_SPILL_WORD(0) = GI_PACK_##T(before);                                                    \
        break;                                                                                     \
    }
            GI_LIST(SCAN, X)
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

#endif
