#include "run/worker.h"

#include <algorithm>
#include <cstring>

#include "cpu/aligned.h"

namespace gint {

namespace {

// The frame of a thread, kept for its next launch.
struct Arena {
    char *memory = nullptr;
    size_t size = 0;
    ~Arena() { free_aligned(memory); }

    char *at_least(size_t bytes) {
        if (bytes <= size) return memory;
        free_aligned(memory);
        size = (bytes + 4095) / 4096 * 4096;
        memory = static_cast<char *>(allocate_aligned(4096, size));
        if (!memory) size = 0;
        return memory;
    }
};
thread_local Arena arena;

// All that is there so far is copied behind itself: of short lines a call each would cost more than
// their bytes.
void repeat_line(size_t rows, size_t bytes, char *d, const char *line) {
    const size_t all = rows * bytes;
    if (all) std::memcpy(d, line, bytes);
    for (size_t done = bytes; done < all; done *= 2)
        std::memcpy(d + done, d, std::min(done, all - done));
}

} // namespace

Worker::Worker(const Schedule &schedule, char *const *slots, const uint8_t *pool)
    : s(schedule), base(slots) {
    size_t accumulators = 0;
    for (const SectionSchedule &section : s.sections)
        accumulators = std::max(accumulators, section.accumulators.size());
    const size_t tables =
        (s.places.size() + s.touched.size()) * sizeof(char *) + accumulators * sizeof(Carry);
    frame = arena.at_least(s.frame_bytes + tables);
    if (!frame) return;
    place = reinterpret_cast<char **>(frame + s.frame_bytes);
    block_base = place + s.places.size();
    carries = reinterpret_cast<Carry *>(block_base + s.touched.size());
    for (size_t k = 0; k < s.places.size(); k++) {
        const Place &at = s.places[k];
        if (at.kind == Place::CONSTANT)
            place[k] = const_cast<char *>(reinterpret_cast<const char *>(pool)) + at.at;
        else if (at.kind != Place::SLOT)
            place[k] = frame + at.at;
    }
}

void Worker::run_blocks(int64_t first, int64_t last) {
    if (first >= last) return;
    set_position(s.parallel, first);
    if (is_one_tile()) return run_rows(last - first);
    for (int64_t block = first; block < last; block++) {
        point_at_block();
        for (const SectionSchedule &section : s.sections) {
            if (section.kind == SectionKind::SCALAR) {
                run_scalar(section);
                continue;
            }
            begin_accumulators(section);
            run_tiles(section, 0, s.reduced.total);
            close_accumulators(section);
        }
        advance(s.parallel);
    }
}

// The same where a row is one tile. Many rows are short: what does not change from row to row, or
// from section to section, is done once.
void Worker::run_rows(int64_t rows) {
    const Layout &l = s.layout;
    const bool edges = (l.axis_a >= 0 && !l.reduced[l.axis_a]) ||
                       (l.axis_b >= 0 && !l.reduced[l.axis_b]); // are some tiles smaller?
    size_t tile[4], one[4];
    for (const SectionSchedule &section : s.sections)
        for (uint16_t p : section.kept) place[p] = frame + s.places[p].at;
    for (int64_t row = 0, taken; row < rows; row += taken) {
        taken = std::min(s.at_once, rows - row);
        point_at_block();
        for (size_t k = 0; k < s.touched.size(); k++) place[s.touched[k].place] = block_base[k];
        if (row == 0) run_once();
        if (row == 0 || edges) {
            measure_tile(true);
            std::copy(count, count + 4, one);
            measure_tile(false, taken);
            std::copy(count, count + 4, tile);
        }
        for (const SectionSchedule &section : s.sections) {
            const bool scalar = section.kind == SectionKind::SCALAR;
            std::copy(scalar ? one : tile, (scalar ? one : tile) + 4, count);
            prefetch_count = 0;
            if (!section.prefetches.empty()) begin_prefetches(section);
            run_steps(section, section.steps);
        }
        for (int64_t tile = 0; tile < taken; tile++) advance(s.parallel);
    }
}

// For whole tiles: smaller ones use the first lines.
void Worker::run_once() {
    prefetch_count = 0;
    count[UNIFORM] = 1;
    count[ROWS] = size_t(s.layout.rows), count[COLS] = size_t(s.layout.cols);
    count[FULL] = count[ROWS] * count[COLS];
    for (const SectionSchedule &section : s.sections) run_steps(section, section.once);
}

// For tiles of as many rows as there are at most.
void Worker::run_per_block(const SectionSchedule &section) {
    prefetch_count = 0;
    count[ROWS] = size_t(s.layout.rows);
    count[FULL] = count[ROWS] * count[COLS];
    run_steps(section, section.per_block);
    measure_tile(false);
}

void Worker::enter_block(int64_t block) {
    set_position(s.parallel, block);
    point_at_block();
}

void Worker::run_scalar(const SectionSchedule &section) {
    prefetch_count = 0;
    set_position(s.reduced, 0);
    measure_tile(true);
    point_at_tile(section);
    run_steps(section, section.steps);
}

void Worker::run_tiles(const SectionSchedule &section, int64_t first, int64_t last) {
    if (first >= last) return;
    kept_elements = 0;
    set_position(s.reduced, first);
    for (int64_t tile = first; tile < last; tile++) {
        measure_tile(false);
        point_at_tile(section);
        if (tile == first && !section.per_block.empty()) run_per_block(section);
        begin_prefetches(section);
        run_steps(section, section.steps);
        kept_elements += int64_t(count[FULL]);
        advance(s.reduced);
    }
}

// Positions

// The first tile may be asked for where there is none: a scalar section has no reduced axis, and
// one of extent 0 cannot be divided by.
void Worker::set_position(const Grid &grid, int64_t index) {
    for (int k = grid.rank - 1; k >= 0; k--) {
        if (index == 0) {
            position[grid.axis[k]] = 0;
            continue;
        }
        position[grid.axis[k]] = index % grid.count[k] * grid.step[k];
        index /= grid.count[k];
    }
}

void Worker::advance(const Grid &grid) {
    for (int k = grid.rank - 1; k >= 0; k--) {
        int64_t &at = position[grid.axis[k]];
        at += grid.step[k];
        if (at < s.layout.extent[grid.axis[k]]) return;
        at = 0;
    }
}

// How many elements each shape has here: tiles at the far end of an axis are smaller, and a scalar
// section sees one position of the reduced axes. Tiles taken at once are one long line.
void Worker::measure_tile(bool scalar, int64_t at_once) {
    const Layout &l = s.layout;
    size_t rows = 1, cols = 1;
    if (l.axis_a >= 0 && !(scalar && l.reduced[l.axis_a]))
        rows = size_t(std::min(l.rows, l.extent[l.axis_a] - position[l.axis_a]));
    if (l.axis_b >= 0 && !(scalar && l.reduced[l.axis_b]))
        cols = size_t(std::min(at_once * l.cols, l.extent[l.axis_b] - position[l.axis_b]));
    count[UNIFORM] = 1;
    count[ROWS] = rows;
    count[COLS] = cols;
    count[FULL] = rows * cols;
}

void Worker::point_at_block() {
    for (size_t k = 0; k < s.touched.size(); k++) {
        char *at = base[k];
        for (int a = 0; a < s.parallel.rank; a++)
            at += position[s.parallel.axis[a]] * s.touched[k].strides[s.parallel.axis[a]];
        block_base[k] = at;
    }
}

void Worker::point_at_tile(const SectionSchedule &section) {
    for (uint16_t p : section.slots) {
        const size_t k = s.places[p].at;
        char *at = block_base[k];
        for (int a = 0; a < s.reduced.rank; a++)
            at += position[s.reduced.axis[a]] * s.touched[k].strides[s.reduced.axis[a]];
        place[p] = at;
    }
    for (uint16_t p : section.kept)
        place[p] = frame + s.places[p].at + (kept_elements << s.places[p].size_log2);
}

void Worker::begin_prefetches(const SectionSchedule &section) {
    prefetch_count = 0;
    size_t bytes = 0;
    for (const Prefetch &next : section.prefetches) {
        if (prefetch_count == MOST_RANGES) break;
        const char *from = place[next.place] + next.distance;
        const size_t size = count[next.shape] << next.size_log2;
        prefetches[prefetch_count++] = {from, from + size};
        bytes += size;
    }
    if (prefetch_count) prefetch_bytes = (bytes / section.pauses + 64) / 64 * 64;
}

void Worker::prefetch_some() {
    Range &last = prefetches[prefetch_count - 1];
    const size_t bytes = std::min(prefetch_bytes, size_t(last.to - last.from));
    s.loops->prefetch(bytes, last.from);
    last.from += bytes;
    if (last.from == last.to) prefetch_count--;
}

// Steps

void Worker::run_steps(const SectionSchedule &section, const std::vector<Step> &steps) {
    const LoopTable &k = *s.loops;
    for (const Step &step : steps) {
        if (prefetch_count) prefetch_some();
        const size_t n = count[step.shape];
        char *d = place[step.d], *a = place[step.a];
        const bool full = step.shape == FULL;
        switch (step.kind) {
        case Step::APPLY:
            step.apply(n, d, a, place[step.b], place[step.c], &error);
            break;
        case Step::SELECT:
            step.select(n, d, a, place[step.b], place[step.c], place[step.n]);
            break;
        case Step::GATHER:
        case Step::SCATTER:
            step.move(full ? count[ROWS] : 1, full ? count[COLS] : n, d, a, step.row_stride,
                      step.col_stride);
            break;
        case Step::TRANSPOSE:
            step.transpose(count[step.n ? COLS : ROWS], count[step.n ? ROWS : COLS], d,
                           step.row_stride, a, step.col_stride);
            break;
        case Step::COPY:
            std::memcpy(d, a, n << step.size_log2);
            break;
        case Step::STREAM:
            k.stream(n << step.size_log2, d, a);
            break;
        case Step::STREAM_ROWS: {
            const size_t bytes = count[COLS] << step.size_log2;
            for (size_t i = 0; i < count[ROWS]; i++)
                k.stream(bytes, d + (ptrdiff_t(i) * step.row_stride << step.size_log2),
                         a + i * bytes);
            break;
        }
        case Step::FILL:
            k.fill(step.size_log2, n, d, a);
            break;
        case Step::REPEAT_ROWS:
            k.repeat_each(step.size_log2, count[ROWS], count[COLS], d, a);
            break;
        case Step::REPEAT_COLS:
            repeat_line(count[ROWS], count[COLS] << step.size_log2, d, a);
            break;
        case Step::LOOKUP:
            look_up(section.lookups[step.n], step);
            break;
        case Step::WINDOW:
            read_window(section.windows[step.n], step);
            break;
        case Step::STENCIL:
            run_stencil(section.stencils[step.n], step);
            break;
        case Step::IOTA:
            k.iota(n, reinterpret_cast<int64_t *>(d), position[step.n]);
            break;
        case Step::BELOW:
            mark_below(section.linears[step.n], step.shape, d);
            break;
        case Step::SCAN:
            scan(section.scans[step.n], step);
            break;
        case Step::CHAIN:
            run_chain(section.chains[step.n], n, d);
            break;
        case Step::CHAIN_FOLD:
            fold_chain(section.chains[step.n], n, section.accumulators[step.d], carries[step.d]);
            break;
        case Step::REDUCE:
            reduce(section.accumulators[step.n], carries[step.n], step);
            break;
        }
    }
}

// Tiles along the axis come one after the other.
void Worker::scan(const Scan &scan, const Step &step) {
    const size_t n = count[step.shape], cols = step.shape & COLS ? count[COLS] : n;
    const bool fresh = scan.axis < 0 || position[scan.axis] == 0;
    char *d = place[step.d], *carry = frame + scan.carry_at;
    const char *s = place[step.a];
    if (scan.along == Scan::ROW)
        scan.loops.rows(n / cols, cols, d, s, carry, fresh);
    else if (scan.along == Scan::COLUMNS)
        scan.loops.cols(n / cols, cols, d, s, carry, fresh);
    else
        scan.loops.cols(1, n, d, s, carry, fresh);
}

// Of every line a beginning or an end is true.
void Worker::mark_below(const Linear &linear, uint8_t shape, char *d) const {
    const Layout &l = s.layout;
    const size_t rows = shape & ROWS ? count[ROWS] : 1, cols = shape & COLS ? count[COLS] : 1;
    const int64_t per_row = shape & ROWS ? linear.per_axis[l.axis_a] : 0;
    const int64_t step = shape & COLS ? linear.per_axis[l.axis_b] : 0;
    int64_t value = linear_at_tile(linear);
    for (size_t i = 0; i < rows; i++, value += per_row, d += cols) {
        const bool first = value < 0;
        size_t same = cols; // elements that are as the first one is
        if (first && step > 0)
            same = size_t((step - 1 - value) / step);
        else if (!first && step < 0)
            same = size_t(value / -step) + 1;
        same = std::min(same, cols);
        std::memset(d, first, same);
        std::memset(d + same, !first, cols - same);
    }
}

int64_t Worker::linear_at_tile(const Linear &linear) const {
    int64_t value = linear.constant;
    for (int a = 0; a < s.layout.rank; a++) value += linear.per_axis[a] * position[a];
    return value;
}

void Worker::copy_shared(const Worker &other) { std::memcpy(frame, other.frame, s.shared_bytes); }

} // namespace gint
