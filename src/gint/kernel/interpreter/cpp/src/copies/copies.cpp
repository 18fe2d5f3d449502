#include "copies/copies.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "cpu/simd_unit.h"
#include "cpu/threads.h"
#include "loops/loop_table.h"

namespace gint {

namespace {

// Pieces take turns, so much of the destination at a time: it is in the cache for the next one.
constexpr size_t TURN_BYTES = 1 << 18;
constexpr int64_t PART_BYTES = 1 << 16; // of a long block
// Destinations that are written past the caches, and the shortest blocks of which that is worth it.
constexpr size_t STREAM_BYTES = 12 << 20, STREAM_BLOCK = 512;
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

int log2_of(size_t bytes) { return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3; }

template <class T>
void copy_elements(int64_t count, char *d, int64_t apart, const char *s, int64_t source_apart) {
    for (int64_t n = 0; n < count; n++) std::memcpy(d + n * apart, s + n * source_apart, sizeof(T));
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
    Lines lines{piece.number, piece.destination * size, source * size, size, 1, 1, {}, {}};
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
    if (lines.blocks.size() == 1)
        lines.parts = std::max<int64_t>(1, lines.blocks[0].count * lines.block / PART_BYTES);
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

namespace {

// Blocks from one place to another.
struct Mover {
    const LoopTable &loops;
    size_t element;
    int64_t block;
    bool past_caches;

    void move(char *d, const char *s, int64_t bytes) const {
        if (past_caches && size_t(bytes) >= STREAM_BLOCK)
            loops.stream(size_t(bytes), d, s);
        else
            std::memcpy(d, s, size_t(bytes));
    }

    void blocks(int64_t count, char *d, int64_t apart, const char *s, int64_t source_apart) const {
        if (count == 1 || (apart == block && source_apart == block))
            return move(d, s, count * block);
        const auto size = int64_t(element);
        if (block == size && apart == size)
            return loops.gather[log2_of(element)](1, size_t(count), d, s, 0, source_apart / size);
        switch (block) {
        case 1:
            return copy_elements<uint8_t>(count, d, apart, s, source_apart);
        case 2:
            return copy_elements<uint16_t>(count, d, apart, s, source_apart);
        case 4:
            return copy_elements<uint32_t>(count, d, apart, s, source_apart);
        case 8:
            return copy_elements<uint64_t>(count, d, apart, s, source_apart);
        case 16:
            return copy_elements<std::array<uint64_t, 2>>(count, d, apart, s, source_apart);
        default:
            for (int64_t n = 0; n < count; n++) move(d + n * apart, s + n * source_apart, block);
        }
    }

    void fill(int64_t count, char *d, int64_t apart, const uint64_t &bits) const {
        const auto elements = [&](int64_t bytes) { return size_t(bytes) / element; };
        const auto size_log2 = size_t(log2_of(element));
        if (apart == block) return loops.fill(size_log2, elements(count * block), d, &bits);
        for (int64_t n = 0; n < count; n++)
            loops.fill(size_log2, elements(block), d + n * apart, &bits);
    }
};

} // namespace

// The lines from `first` to `last`.
void Copies::copy(const Lines &lines, int64_t first, int64_t last, char *destination,
                  const char *source, bool past_caches) const {
    const Mover mover{*simd_unit()->table(), element, lines.block, past_caches};
    destination += lines.destination, source += lines.source;
    for (int64_t n = first; n < last; n++) {
        int64_t d = 0, s = 0, rest = n / lines.parts;
        bool is_outside = false;
        for (size_t k = lines.outer.size(); k-- > 0;) {
            const Outer &axis = lines.outer[k];
            const int64_t at = rest % axis.extent;
            rest /= axis.extent;
            d += at * axis.destination;
            if (axis.offsets.empty())
                s += at * axis.source;
            else if (axis.offsets[size_t(at)] == OUTSIDE)
                is_outside = true;
            else
                s += axis.offsets[size_t(at)];
        }
        const int64_t part = n % lines.parts;
        for (const Blocks &b : lines.blocks) {
            const int64_t from = b.count * part / lines.parts;
            const int64_t count = b.count * (part + 1) / lines.parts - from;
            char *to = destination + d + b.destination + from * b.apart;
            if (is_outside || b.is_outside)
                mover.fill(count, to, b.apart, fill);
            else
                mover.blocks(count, to, b.apart, source + s + b.source + from * b.source_apart,
                             b.source_apart);
        }
    }
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
