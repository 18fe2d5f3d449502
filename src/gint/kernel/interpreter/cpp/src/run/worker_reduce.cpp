// Accumulators: tiles are folded into groups, groups pairwise; chunks of them pass between workers.
#include <cstring>

#include "run/worker.h"

namespace gint {

namespace {

// memcpy, of one element without a call: what most rows are folded to.
inline void copy(void *d, const void *s, size_t bytes) {
    if (bytes == 4)
        std::memcpy(d, s, 4);
    else if (bytes == 8)
        std::memcpy(d, s, 8);
    else
        std::memcpy(d, s, bytes);
}

} // namespace

void Worker::begin_accumulators(const SectionSchedule &section) {
    for (size_t k = 0; k < section.accumulators.size(); k++) carries[k] = {0, 0};
}

void Worker::reduce(const Accumulator &acc, Carry &carry, const Step &step) {
    const size_t kept = count[acc.shape];
    const size_t folded = count[acc.operand_shape] / kept;
    const bool one_tile = is_one_tile(), fresh = one_tile || carry.in_group == 0;
    if (acc.has_index) {
        reduce_index(acc, kept, folded, step, fresh);
    } else {
        char *to = one_tile ? place[acc.result] : frame + acc.partial_at;
        const ptrdiff_t packed = ptrdiff_t(acc.by_rows ? folded : kept);
        const ptrdiff_t stride = step.row_stride ? step.row_stride : packed;
        if (acc.by_rows)
            step.fold_rows(kept, folded, to, place[step.a], stride);
        else
            step.fold_cols(folded, kept, to, place[step.a], stride, fresh);
    }
    if (!one_tile && ++carry.in_group == acc.tiles_per_group) push(acc, carry);
}

void Worker::reduce_index(const Accumulator &acc, size_t kept, size_t folded, const Step &step,
                          bool fresh) {
    char *to = frame + acc.partial_at, *from = place[step.a];
    char *index = is_one_tile() ? place[acc.result] : frame + acc.index_partial_at;
    auto *to_index = reinterpret_cast<int64_t *>(index);
    auto *from_index = reinterpret_cast<const int64_t *>(place[step.b]);
    const ptrdiff_t packed = ptrdiff_t(acc.by_rows ? folded : kept);
    const ptrdiff_t stride = step.row_stride ? step.row_stride : packed;
    const IndexReduction &fold = acc.fold_index;
    if (acc.finds_index && acc.by_rows)
        fold.find_rows(kept, folded, to, to_index, from, stride, indices_of(acc));
    else if (acc.finds_index)
        fold.find_cols(folded, kept, to, to_index, from, stride, indices_of(acc), fresh);
    else if (acc.by_rows)
        fold.rows(kept, folded, to, to_index, from, from_index);
    else
        fold.cols(folded, kept, to, to_index, from, from_index, fresh);
}

// In the current tile.
Indices Worker::indices_of(const Accumulator &acc) const {
    const Layout &l = s.layout;
    const auto along = [&](int axis) {
        return axis >= 0 && l.reduced[axis] ? acc.indices.per_axis[axis] : 0;
    };
    Indices out{linear_at_tile(acc.indices), along(l.axis_a), along(l.axis_b), 1};
    if (l.axis_b >= 0 && l.reduced[l.axis_b]) out.width = count[COLS];
    return out;
}

void Worker::merge(const Accumulator &acc, int n, const char *values, const int64_t *indices) {
    const size_t elements = count[acc.shape];
    if (acc.has_index)
        acc.fold_index.merge(elements, level(acc, n), index_level(acc, n), values, indices);
    else
        acc.fold.merge(elements, level(acc, n), values);
}

// Adds the open group to the binary counter of partial results: level n holds 2^n groups.
void Worker::push(const Accumulator &acc, Carry &carry) {
    const char *values = frame + acc.partial_at;
    auto *indices = reinterpret_cast<const int64_t *>(frame + acc.index_partial_at);
    int n = 0;
    for (; carry.pushed >> n & 1; n++) {
        merge(acc, n, values, indices);
        values = level(acc, n), indices = index_level(acc, n);
    }
    copy(level(acc, n), values, count[acc.shape] << acc.size_log2);
    if (acc.has_index) std::memcpy(index_level(acc, n), indices, count[acc.shape] * 8);
    carry.pushed++;
    carry.in_group = 0;
}

void Worker::flush(const Accumulator &acc, Carry &carry) {
    if (carry.in_group) push(acc, carry);
}

// Folds the levels from the lowest up; the neutral element where nothing was pushed.
const char *Worker::total(const Accumulator &acc, const Carry &carry, const int64_t **indices) {
    if (carry.pushed == 0) {
        if (acc.has_index)
            acc.fold_index.neutral(count[acc.shape], level(acc, 0), index_level(acc, 0));
        else
            acc.fold.neutral(count[acc.shape], level(acc, 0));
        *indices = index_level(acc, 0);
        return level(acc, 0);
    }
    int n = 0;
    while (!(carry.pushed >> n & 1)) n++;
    const char *values = level(acc, n);
    *indices = index_level(acc, n);
    for (n++; carry.pushed >> n; n++) {
        if (!(carry.pushed >> n & 1)) continue;
        merge(acc, n, values, *indices);
        values = level(acc, n), *indices = index_level(acc, n);
    }
    return values;
}

void Worker::close_accumulators(const SectionSchedule &section) {
    if (section.accumulators.empty()) return;
    measure_tile(true);
    for (size_t k = 0; k < section.accumulators.size(); k++) {
        const Accumulator &acc = section.accumulators[k];
        flush(acc, carries[k]);
        const int64_t *indices;
        const char *values = total(acc, carries[k], &indices);
        const void *result = acc.has_index ? static_cast<const void *>(indices) : values;
        copy(place[acc.result], result, count[acc.shape] << (acc.has_index ? 3 : acc.size_log2));
    }
}

// Chunks

size_t Worker::chunk_bytes(const SectionSchedule &section) {
    size_t bytes = 0;
    for (const Accumulator &acc : section.accumulators)
        bytes += acc.level_bytes + acc.index_level_bytes;
    return bytes;
}

void Worker::save_chunk(const SectionSchedule &section, char *to) {
    measure_tile(true);
    for (size_t k = 0; k < section.accumulators.size(); k++) {
        const Accumulator &acc = section.accumulators[k];
        flush(acc, carries[k]);
        const int64_t *indices;
        const char *values = total(acc, carries[k], &indices);
        std::memcpy(to, values, count[acc.shape] << acc.size_log2);
        to += acc.level_bytes;
        if (acc.has_index) std::memcpy(to, indices, count[acc.shape] * 8);
        to += acc.index_level_bytes;
    }
}

void Worker::add_chunk(const SectionSchedule &section, const char *from) {
    measure_tile(true);
    for (size_t k = 0; k < section.accumulators.size(); k++) {
        const Accumulator &acc = section.accumulators[k];
        std::memcpy(frame + acc.partial_at, from, count[acc.shape] << acc.size_log2);
        from += acc.level_bytes;
        if (acc.has_index) std::memcpy(frame + acc.index_partial_at, from, count[acc.shape] * 8);
        from += acc.index_level_bytes;
        push(acc, carries[k]);
    }
}

} // namespace gint
