#include "scatter/scatter.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "cpu/simd_unit.h"
#include "cpu/threads.h"

namespace gint {

namespace {

constexpr size_t BLOCK = 512;      // points whose places are computed together
constexpr int64_t SHORT_ROW = 4;   // shorter rows are points
constexpr int64_t LEAST_ROW = 128; // bytes of a row that a thread owns
// Destinations of fewer bytes are begun in pieces, which the C library does not write past the
// caches: their elements are wanted again at once.
constexpr int64_t STREAM_BYTES = 24 << 20, PIECE_BYTES = 1 << 16;
// What a thread does in a microsecond, roughly; and what is worth waking one for.
constexpr double BYTES_PER_US = 8e3, POINTS_PER_US = 700, ROWS_PER_US = 50, US_PER_THREAD = 15;

size_t size_of(uint8_t type) {
    static constexpr size_t SIZES[GI_TYPE_COUNT] = {1, 1, 1, 2, 4, 8, 4, 8, 2, 2};
    static_assert(GI_bool == 0 && GI_i64 == 5 && GI_f64 == 7 && GI_bf16 == 9);
    return SIZES[type];
}

bool is_free(const ScatterAxis &axis) { return axis.destination != 0; }

bool continues(const ScatterAxis &outer, const ScatterAxis &inner) {
    const auto follows = [&](int64_t a, int64_t b) { return a == b * inner.extent; };
    for (size_t k = 0; k < MOST_POSITIONS; k++)
        if (!follows(outer.positions[k], inner.positions[k])) return false;
    return is_free(outer) == is_free(inner) && follows(outer.destination, inner.destination) &&
           follows(outer.source, inner.source);
}

// Without axes of one element, neighbours that are walked as one merged.
std::vector<ScatterAxis> merged(const std::vector<ScatterAxis> &axes) {
    std::vector<ScatterAxis> found;
    for (const ScatterAxis &axis : axes) {
        if (axis.extent == 1) continue;
        if (!found.empty() && continues(found.back(), axis)) {
            const int64_t extent = found.back().extent * axis.extent;
            found.back() = axis;
            found.back().extent = extent;
        } else {
            found.push_back(axis);
        }
    }
    return found;
}

bool is_fixed(const ScatterAxis &axis) { // no position moves along it
    return is_free(axis) && std::all_of(axis.positions.begin(), axis.positions.end(),
                                        [](int64_t stride) { return stride == 0; });
}

bool is_row(const ScatterAxis &axis) {
    return is_fixed(axis) && axis.destination == 1 && axis.source >= 0 && axis.source <= 1 &&
           axis.extent >= SHORT_ROW;
}

// The space, its axes as they are walked: those outside, the one of the points of a block, and the
// one of what each point is: a row, elements on several lines, or one element.
struct Space {
    std::vector<ScatterAxis> outer;
    ScatterAxis points, each;

    explicit Space(const Scatter &s) : outer(merged(s.axes)), points(one()), each(one()) {
        if (!take(is_row, each)) take(is_fixed, each);
        if (!outer.empty()) {
            points = outer.back();
            outer.pop_back();
        }
    }

    bool has_rows() const { return is_row(each); }
    bool has_lines() const { return each.extent > 1 && !has_rows(); }
    double point_count() const {
        double count = double(points.extent);
        for (const ScatterAxis &axis : outer) count *= double(axis.extent);
        return count;
    }

  private:
    static ScatterAxis one() { return {1, 0, 0, {}}; }
    bool take(bool (*is_fit)(const ScatterAxis &), ScatterAxis &taken) {
        const auto found = std::find_if(outer.begin(), outer.end(), is_fit);
        if (found == outer.end()) return false;
        taken = *found;
        outer.erase(found);
        return true;
    }
};

// The axis that threads share: the longest of those whose pieces do not meet in a cache line.
ScatterAxis *shared_axis(Space &space, size_t size, int threads) {
    ScatterAxis *best = nullptr;
    const auto consider = [&](ScatterAxis &axis) {
        if (!is_free(axis) || axis.extent < 4 * threads) return;
        if (axis.extent * axis.destination * int64_t(size) < LEAST_ROW * threads) return;
        if (!best || axis.extent > best->extent) best = &axis;
    };
    for (ScatterAxis &axis : space.outer) consider(axis);
    consider(space.points);
    if (!best || space.has_lines()) consider(space.each);
    return best;
}

// What one thread does.
class Walk {
  public:
    Walk(const Scatter &scatter, const Space &given, const ScatterTable &t, int64_t from,
         int64_t to)
        : s(scatter), space(given), table(t), size(size_of(s.type)), least(from), most(to),
          is_owner(from > 0 || to < s.elements),
          is_direct(s.positions.size() == 1 && s.positions[0].is_wide && space.each.extent == 1 &&
                    !is_owner && !s.leaves_out) {}

    bool run() { return run_outer(0); }

  private:
    const Scatter &s;
    const Space &space;
    const ScatterTable &table;
    const size_t size;
    const int64_t least, most;
    const bool is_owner, is_direct;
    int64_t destination = 0, source = 0;
    std::array<int64_t, MOST_POSITIONS> at{}, located{};
    int64_t places[BLOCK], sources[BLOCK];
    size_t count = 0, block_count = 0; // of the points in `places`; of those they were found for
    int64_t block_start = -1;

    // Along the outer axes from `depth` on.
    bool run_outer(size_t depth) {
        const size_t depths = space.outer.size();
        if (is_direct && depth + 1 >= depths)
            return run_directly(depth < depths ? space.outer[depth] : ScatterAxis{1, 1, 0, {}});
        if (depth == depths) return run_points();
        const ScatterAxis &axis = space.outer[depth];
        for (int64_t n = 0; n < axis.extent; n++) {
            if (!run_outer(depth + 1)) return false;
            move(axis, 1);
        }
        move(axis, -axis.extent);
        return true;
    }

    void move(const ScatterAxis &axis, int64_t by) {
        destination += axis.destination * by;
        source += axis.source * by;
        for (size_t k = 0; k < s.positions.size(); k++) at[k] += axis.positions[k] * by;
    }

    bool run_points() {
        for (int64_t first = 0; first < space.points.extent; first += BLOCK) {
            const size_t n = size_t(std::min(int64_t(BLOCK), space.points.extent - first));
            if (!is_known(first, n) && !locate(first, n)) return false;
            fold();
        }
        return true;
    }

    bool run_directly(const ScatterAxis &lines) const {
        const PositionRow row = positions(0, 0, size_t(space.points.extent));
        const Elements e = elements(space.points);
        return table.direct[size_t(s.fold)][s.type](
            row, e, {lines.extent, lines.destination, lines.source, lines.positions[0]});
    }

    // Positions of points from `first` on.
    PositionRow positions(size_t k, int64_t first, size_t n) const {
        const ScatterPositions &p = s.positions[k];
        const int64_t stride = space.points.positions[k], start = at[k] + first * stride;
        const char *data = static_cast<const char *>(p.data) + start * (p.is_wide ? 8 : 4);
        return {data, stride, p.step, n, p.rule};
    }

    Elements elements(const ScatterAxis &axis) const {
        return {static_cast<char *>(s.destination) + destination * int64_t(size),
                static_cast<const char *>(s.source) + source * int64_t(size), axis.destination,
                axis.source};
    }

    // Whether the places are those of the block before: its positions are the same.
    bool is_known(int64_t first, size_t n) const {
        return !is_owner && first == block_start && n == block_count && at == located;
    }

    bool locate(int64_t first, size_t n) {
        for (size_t j = 0; j < n; j++) {
            places[j] = (first + int64_t(j)) * space.points.destination;
            sources[j] = (first + int64_t(j)) * space.points.source;
        }
        for (size_t k = 0; k < s.positions.size(); k++) {
            const PositionRow row = positions(k, first, n);
            const bool is_wide = s.positions[k].is_wide;
            if (s.leaves_out)
                mark(row, is_wide);
            else if (!table.add_positions[is_wide](row, places))
                return false;
        }
        block_start = first, block_count = n, located = at, count = n;
        if (s.leaves_out || is_owner) keep(n);
        return true;
    }

    // As `add_positions`; points that are left out have the place -1.
    void mark(const PositionRow &row, bool is_wide) {
        for (size_t j = 0; j < row.count; j++) {
            const int64_t at = int64_t(j) * row.stride;
            const int64_t position = is_wide ? static_cast<const int64_t *>(row.data)[at]
                                             : static_cast<const int32_t *>(row.data)[at];
            const bool is_fit = position >= 0 && position < row.rule.extent;
            if (is_fit && position != s.left_out)
                places[j] += position * row.step;
            else
                places[j] = -1;
        }
    }

    // Only the points of this thread, and those that are not left out, without branches.
    void keep(size_t n) {
        count = 0;
        for (size_t j = 0; j < n; j++) {
            const int64_t place = places[j] + destination;
            const bool is_ours = places[j] >= 0 && place >= least && place < most;
            places[count] = places[j], sources[count] = sources[j];
            count += is_ours;
        }
    }

    void fold() const {
        const auto fold = size_t(s.fold);
        const Elements e = elements(space.each);
        if (space.has_rows())
            table.rows[fold][s.type](count, places, sources, size_t(space.each.extent), e);
        else if (space.has_lines())
            table.lines[fold][s.type](count, places, sources, size_t(space.each.extent), e);
        else
            table.points[fold][s.type](count, places, sources, e);
    }
};

// Piece `n` of `count` of the destination, as it is before anything is written there.
void begin(const Scatter &s, int64_t n, int64_t count) {
    if (!s.initial && !s.is_cleared) return;
    const int64_t bytes = s.elements * int64_t(size_of(s.type)), piece = bytes / count / 64 * 64;
    const int64_t from = n * piece, to = n + 1 == count ? bytes : from + piece;
    const int64_t step = bytes < STREAM_BYTES ? PIECE_BYTES : bytes;
    for (int64_t at = from; at < to; at += step) {
        const auto size = size_t(std::min(step, to - at));
        char *d = static_cast<char *>(s.destination) + at;
        if (s.initial)
            std::memcpy(d, static_cast<const char *>(s.initial) + at, size);
        else
            std::memset(d, 0, size);
    }
}

double microseconds(const Scatter &s, const Space &space) {
    const double size = double(size_of(s.type)), points = space.point_count();
    const double begun = s.initial || s.is_cleared ? double(s.elements) * size : 0;
    const double each = points * double(space.each.extent);
    if (space.has_rows()) return (begun + each * size) / BYTES_PER_US + points / ROWS_PER_US;
    return begun / BYTES_PER_US + each / POINTS_PER_US;
}

// Where there is no axis to share, every thread looks at all points for its own: that pays where
// each of them is a row.
int thread_count(const Scatter &s, Space space, int allowed) {
    const double wanted = microseconds(s, space) / US_PER_THREAD;
    const int count = int(std::clamp(wanted, 1.0, double(allowed)));
    const int64_t row = space.each.extent * int64_t(size_of(s.type));
    return row >= LEAST_ROW || shared_axis(space, size_of(s.type), count) ? count : 1;
}

// The part of the space, and of the destination, that one thread does.
struct Part {
    Scatter s;
    Space space;
    int64_t least, most;

    // Part `n` of `count`.
    Part(const Scatter &whole, const Space &all, int64_t n, int64_t count)
        : s(whole), space(all), least(0), most(s.elements) {
        const auto bound = [&](int64_t total, int64_t k) {
            return total / count * k + std::min(total % count, k);
        };
        const int64_t size = int64_t(size_of(s.type));
        ScatterAxis *axis = count > 1 ? shared_axis(space, size_t(size), int(count)) : nullptr;
        if (!axis) {
            least = bound(s.elements, n), most = bound(s.elements, n + 1);
            return;
        }
        const int64_t first = bound(axis->extent, n);
        axis->extent = bound(axis->extent, n + 1) - first;
        s.destination = static_cast<char *>(s.destination) + first * axis->destination * size;
        s.source = static_cast<const char *>(s.source) + first * axis->source * size;
        for (size_t k = 0; k < s.positions.size(); k++) {
            ScatterPositions &p = s.positions[k];
            p.data = static_cast<const char *>(p.data) +
                     first * axis->positions[k] * (p.is_wide ? 8 : 4);
        }
    }

    bool run(const ScatterTable &table) const { return Walk(s, space, table, least, most).run(); }
};

} // namespace

bool scatter(const Scatter &given, int threads) {
    Scatter s = given;
    const bool is_empty = std::any_of(s.axes.begin(), s.axes.end(),
                                      [](const ScatterAxis &axis) { return axis.extent == 0; });
    if (is_empty) s.axes.clear();
    const Space space(s);
    const int count = thread_count(s, space, allowed_threads(threads));
    const ScatterTable &table = *simd_unit()->scatter();
    std::vector<Part> parts; // made here, since threads may throw nothing
    for (int n = 0; n < count && !is_empty; n++) parts.emplace_back(s, space, n, count);
    std::atomic<bool> is_fit = true;
    const auto work = [&](int number, int of) {
        for (int n = number; n < count; n += of) begin(s, n, count);
        if (of > 1) barrier();
        for (size_t n = size_t(number); n < parts.size(); n += size_t(of))
            if (!parts[n].run(table)) is_fit = false;
    };
    if (count == 1)
        work(0, 1);
    else
        in_team(count, [&] { work(thread_number(), team_size()); });
    return is_fit;
}

} // namespace gint
