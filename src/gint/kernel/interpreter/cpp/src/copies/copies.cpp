#include "copies/copies.h"

#include <algorithm>
#include <cstdlib>

#include "copies/mover.h"
#include "cpu/simd_unit.h"
#include "cpu/threads.h"

namespace gint {

namespace {

// Pieces take turns, so much of the destination at a time: it is in the cache for the next one.
constexpr size_t TURN_BYTES = 1 << 18;
constexpr int64_t PART_BYTES = 1 << 16;   // of a long block
constexpr size_t STREAM_BYTES = 12 << 20; // destinations that are written past the caches
// Of lines that are copied together: block by block, while they are in the first cache.
constexpr int64_t TOGETHER_BYTES = 1 << 14;
// What a thread copies in a microsecond, roughly; and what is worth waking one for.
constexpr double BYTES_PER_US = 8e3, US_PER_THREAD = 15;

bool is_stepping(const CopyAxis &axis) { return axis.positions.empty(); }

bool continues(const CopyAxis &outer, const CopyAxis &inner) {
    return is_stepping(outer) && is_stepping(inner) &&
           outer.destination == inner.destination * inner.extent &&
           outer.source == inner.source * inner.extent;
}

// Without axes of one element, the outermost of the destination first, neighbours that are walked
// as one merged. What such an axis adds goes into the offset.
std::vector<CopyAxis> arranged(const std::vector<CopyAxis> &axes, int64_t *offset) {
    std::vector<CopyAxis> found;
    for (const CopyAxis &axis : axes) {
        if (axis.extent != 1 || (!is_stepping(axis) && axis.positions[0] == OUTSIDE))
            found.push_back(axis);
        else if (!is_stepping(axis))
            *offset += axis.positions[0] * axis.source;
    }
    std::stable_sort(found.begin(), found.end(), [](const CopyAxis &a, const CopyAxis &b) {
        return std::abs(a.destination) > std::abs(b.destination);
    });
    std::vector<CopyAxis> merged;
    for (CopyAxis &axis : found) {
        if (!merged.empty() && continues(merged.back(), axis)) {
            axis.extent *= merged.back().extent;
            merged.back() = std::move(axis);
        } else {
            merged.push_back(std::move(axis));
        }
    }
    return merged;
}

} // namespace

Copies::Copies(size_t element_bytes, uint64_t bits, const std::vector<CopiedPiece> &given)
    : element(element_bytes), fill(bits) {
    for (const CopiedPiece &piece : given) {
        const bool is_empty = std::any_of(piece.axes.begin(), piece.axes.end(),
                                          [](const CopyAxis &axis) { return axis.extent == 0; });
        if (is_empty) continue;
        size_t bytes = element;
        for (const CopyAxis &axis : piece.axes) bytes *= size_t(axis.extent);
        total += bytes;
        pieces.push_back(lines_of(piece));
    }
}

Copies::Lines Copies::lines_of(const CopiedPiece &piece) const {
    const auto size = int64_t(element);
    int64_t source = piece.source;
    std::vector<CopyAxis> axes = arranged(piece.axes, &source);
    Lines lines{piece.number, piece.destination * size, source * size, size, {}, {}};
    const auto is_block = [](const CopyAxis &a) {
        return is_stepping(a) && a.destination == 1 && a.source == 1;
    };
    if (!axes.empty() && is_block(axes.back())) {
        lines.block = axes.back().extent * size;
        axes.pop_back();
    }
    if (axes.empty()) {
        lines.blocks.push_back({0, 0, lines.block / size, size, size, false});
        lines.block = size;
    } else {
        add_blocks(lines, axes.back());
        axes.pop_back();
    }
    const CopiedBlocks &only = lines.blocks[0];
    int64_t bytes = 0;
    for (const CopiedBlocks &blocks : lines.blocks) bytes += blocks.count * lines.block;
    if (lines.blocks.size() == 1) lines.parts = std::max<int64_t>(1, bytes / PART_BYTES);
    lines.is_turned = lines.blocks.size() == 1 && lines.parts == 1 && !axes.empty() &&
                      is_stepping(axes.back()) && axes.back().source == 1 && only.apart == size &&
                      lines.block == size && only.count > FEW_BLOCKS;
    const auto most = int64_t(LinesTogether::MOST);
    lines.together = lines.is_turned ? most : std::clamp(TOGETHER_BYTES / bytes, int64_t(1), most);
    lines.count = lines.parts;
    for (const CopyAxis &axis : axes) {
        Outer outer{axis.extent, axis.destination * size, axis.source * size, {}};
        for (int64_t position : axis.positions)
            outer.offsets.push_back(position == OUTSIDE ? OUTSIDE : position * outer.source);
        lines.count *= axis.extent;
        lines.outer.push_back(std::move(outer));
    }
    return lines;
}

// Positions with the same step between them are blocks of one kind.
void Copies::add_blocks(Lines &lines, const CopyAxis &axis) const {
    const int64_t apart = axis.destination * int64_t(element),
                  step = axis.source * int64_t(element);
    if (is_stepping(axis)) return lines.blocks.push_back({0, 0, axis.extent, apart, step, false});
    const std::vector<int64_t> &at = axis.positions;
    const auto between = [&](int64_t n) {
        const bool both = at[size_t(n)] != OUTSIDE && at[size_t(n - 1)] != OUTSIDE;
        const bool none = at[size_t(n)] == OUTSIDE && at[size_t(n - 1)] == OUTSIDE;
        return both ? (at[size_t(n)] - at[size_t(n - 1)]) * step : none ? 0 : OUTSIDE;
    };
    for (int64_t first = 0, last; first < axis.extent; first = last) {
        last = first + 1;
        const int64_t stride = last < axis.extent ? between(last) : OUTSIDE;
        while (stride != OUTSIDE && last < axis.extent && between(last) == stride) last++;
        const bool is_outside = at[size_t(first)] == OUTSIDE;
        lines.blocks.push_back({first * apart, is_outside ? 0 : at[size_t(first)] * step,
                                last - first, apart, stride == OUTSIDE ? 0 : stride, is_outside});
    }
}

// As many lines from `first` on, but not beyond `last`, as are copied together.
LinesTogether Copies::Lines::take(int64_t first, int64_t last) const {
    LinesTogether taken;
    if (outer.empty()) {
        taken.add(0, 0);
        return taken;
    }
    const Outer &axis = outer.back();
    last = std::min(last, first + together);
    while (first < last) {
        int64_t inner = first % axis.extent, rest = first / axis.extent, d = 0, s = 0;
        bool is_outside = false;
        for (size_t k = outer.size() - 1; k-- > 0; rest /= outer[k].extent) {
            const int64_t at = rest % outer[k].extent;
            d += at * outer[k].destination, s += outer[k].offset(at);
            is_outside |= outer[k].is_outside(at);
        }
        for (; first < last && inner < axis.extent; first++, inner++) {
            const bool fills = is_outside || axis.is_outside(inner);
            if (taken.count == 0) taken.is_outside = fills;
            if (fills != taken.is_outside) return taken;
            taken.add(d + inner * axis.destination, s + axis.offset(inner));
        }
        if (is_turned) return taken;
    }
    return taken;
}

// The lines from `first` to `last`.
void Copies::copy(const Lines &lines, int64_t first, int64_t last, char *destination,
                  const char *source, bool past_caches) const {
    const Mover mover(*simd_unit()->table(), element, fill, past_caches);
    destination += lines.destination, source += lines.source;
    for (int64_t n = first; n < last;) {
        if (lines.parts > 1) {
            const LinesTogether line = lines.take(n / lines.parts, n / lines.parts + 1);
            mover.copy(line, lines.part(n % lines.parts), lines.block, destination, source);
            n++;
            continue;
        }
        const LinesTogether together = lines.take(n, last);
        for (const CopiedBlocks &blocks : lines.blocks) {
            if (lines.is_turned)
                mover.turn(together, blocks, destination, source);
            else
                mover.copy(together, blocks, lines.block, destination, source);
        }
        n += int64_t(together.count);
    }
}

CopiedBlocks Copies::Lines::part(int64_t number) const {
    CopiedBlocks some = blocks[0];
    const int64_t from = some.count * number / parts;
    some.count = some.count * (number + 1) / parts - from;
    some.destination += from * some.apart, some.source += from * some.source_apart;
    return some;
}

void Copies::run(uint64_t to, const uint64_t *sources, int threads) const {
    auto *destination = reinterpret_cast<char *>(to);
    const double wanted = double(total) / (BYTES_PER_US * US_PER_THREAD);
    const int count = int(std::clamp(wanted, 1.0, double(allowed_threads(threads))));
    const auto turns = int64_t(std::max<size_t>(1, total / TURN_BYTES) + size_t(count) - 1) / count;
    const bool past_caches = total >= STREAM_BYTES;
    const auto work = [&](int number, int of) {
        const auto share = [&](int64_t n, int64_t all) { return all * n / (turns * count); };
        for (int64_t part = number; part < count; part += of)
            for (int64_t turn = part * turns; turn < (part + 1) * turns; turn++)
                for (const Lines &lines : pieces) {
                    const int64_t first = share(turn, lines.count);
                    const int64_t last = share(turn + 1, lines.count);
                    if (first < last)
                        copy(lines, first, last, destination,
                             reinterpret_cast<const char *>(sources[lines.number]), past_caches);
                }
        if (past_caches) simd_unit()->table()->stream_end();
    };
    if (count == 1)
        work(0, 1);
    else
        in_team(count, [&] { work(thread_number(), team_size()); });
}

} // namespace gint
