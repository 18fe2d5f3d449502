/* The device interpreter: one body for OpenCL C and CUDA C++. Its two kernels.
 *
 * Work is dealt as in device/dispatches.py: `outer` axes are rows, `inner` axes the points of a
 * row. A work-group has 2^log_rows rows side by side and 2^log_lanes threads for each; a thread's
 * elements are 2^log_lanes inner points apart. Knows the record of gint.isa.device. Does not know
 * programs, slots' types or strides beyond what the record says. */
#ifndef GI_INTERPRETER_H
#define GI_INTERPRETER_H

#include "section.h"

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
#define GI_IS_REDUCE(section) ((section)[0] == GI_SECTION_REDUCE)
#define GI_IS_SCALAR(section) ((section)[0] == GI_SECTION_SCALAR)

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
                                         GI_IS_SCALAR(section), p.row, p.has_row, p.lane, log_lanes,
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
