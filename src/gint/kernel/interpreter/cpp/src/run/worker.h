// One thread's part of a launch: its frame of registers, and the loops over sections and tiles.
#pragma once

#include "schedule/schedule.h"

namespace gint {

class Worker {
  public:
    // `base[k]` is the first element of Schedule::touched[k]. False in `ready` without memory.
    Worker(const Schedule &schedule, char *const *base, const uint8_t *pool);
    bool ready() const { return frame != nullptr; }

    // Whole rows: all sections for each block of the parallel grid in turn.
    void run_blocks(int64_t first, int64_t last);

    // The pieces of it, for rows that several workers share.
    void enter_block(int64_t block);
    void run_scalar(const SectionSchedule &section);
    void run_tiles(const SectionSchedule &section, int64_t first, int64_t last);
    void begin_accumulators(const SectionSchedule &section);
    void close_accumulators(const SectionSchedule &section);
    // The fold of what was accumulated since `begin`, to and from memory shared by workers:
    // for each accumulator its values, then its indices.
    void save_chunk(const SectionSchedule &section, char *to);
    void add_chunk(const SectionSchedule &section, const char *from);
    static size_t chunk_bytes(const SectionSchedule &section);
    void copy_shared(const Worker &other);

    int32_t error = 0;

  private:
    const Schedule &s;
    char *const *base;
    char *frame = nullptr;
    char **place;      // current address of each place
    char **block_base; // per touched slot, with the parallel position
    int64_t position[MAX_AXES] = {};
    size_t count[4]; // elements of each Shape in the current tile
    int64_t kept_elements = 0;

    struct Carry {
        int64_t pushed, in_group;
    };
    Carry *carries; // per accumulator of the current section

    // Lines still to be asked for on behalf of the next block.
    static constexpr int MOST_RANGES = 8;
    struct Range {
        const char *from, *to;
    } prefetches[MOST_RANGES];
    int prefetch_count = 0;
    size_t prefetch_bytes = 0; // per pause

    void run_rows(int64_t rows);
    // Then nothing is to be combined: a reduction's tile is folded to its result.
    bool is_one_tile() const { return s.reduced.total == 1; }
    void begin_prefetches(const SectionSchedule &section);
    void prefetch_some();
    void set_position(const Grid &grid, int64_t index);
    void advance(const Grid &grid);
    void measure_tile(bool scalar, int64_t at_once = 1);
    void point_at_block();
    void point_at_tile(const SectionSchedule &section);
    void run_steps(const SectionSchedule &section, const std::vector<Step> &steps);
    void run_once();
    void run_per_block(const SectionSchedule &section);
    void look_up(const Lookup &lookup, const Step &step);
    void join(Positions &known, const Positions &more, size_t rows, size_t cols, int64_t *sums);
    WindowTile window_tile(const WindowRead &window, const char *from, int64_t row_stride,
                           int64_t col_stride, uint8_t shape, bool &inside) const;
    void run_stencil(const Stencil &stencil, const Step &step);
    void read_window(const WindowRead &window, const Step &step);
    void look_up_inside(const Lookup &lookup, const Step &step);
    void scan(const Scan &scan, const Step &step);
    void mark_below(const Linear &linear, uint8_t shape, char *d) const;
    int64_t linear_at_tile(const Linear &linear) const;
    void run_chain(const Chain &chain, size_t n, char *d);
    void run_line(const Chain &chain, size_t from, size_t to, char *d, const char *tile);
    char *operand_at(const Chain &chain, const Chain::Link &link, size_t first) const;
    void fold_line(const Chain &chain, size_t n, const Accumulator &acc, Carry &carry);
    void fold_whole(const Chain &chain, size_t rows, size_t n, char *result);
    void fold_row(const Chain &chain, size_t first, size_t n, const Accumulator &acc, char *result);
    void fold_chain(const Chain &chain, size_t n, const Accumulator &acc, Carry &carry);
    void run_blocks_of(const Chain &chain, size_t first, size_t blocks, ChainArgument end);
    bool is_operand(const Chain &chain, const char *d) const;
    const char *run_apart(const Chain &chain, size_t first, size_t last, size_t n);
    void choose_rest_of(const Chain &chain, const Chain::Choice &c, size_t first, size_t n, char *d,
                        const char *acc);
    char *widen(ChainForm form, const char *from, size_t first, size_t n, char *to);
    void run_rest_of(const Chain &chain, size_t first, size_t n, char *d);
    void reduce(const Accumulator &acc, Carry &carry, const Step &step);
    void reduce_index(const Accumulator &acc, size_t kept, size_t folded, const Step &step,
                      bool fresh);
    Indices indices_of(const Accumulator &acc) const;
    void push(const Accumulator &acc, Carry &carry);
    void flush(const Accumulator &acc, Carry &carry);
    const char *total(const Accumulator &acc, const Carry &carry, const int64_t **indices);
    void merge(const Accumulator &acc, int level, const char *values, const int64_t *indices);
    char *level(const Accumulator &acc, int n) {
        return frame + acc.levels_at + n * acc.level_bytes;
    }
    int64_t *index_level(const Accumulator &acc, int n) {
        return reinterpret_cast<int64_t *>(frame + acc.index_levels_at + n * acc.index_level_bytes);
    }
};

} // namespace gint
