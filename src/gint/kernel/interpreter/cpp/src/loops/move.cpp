// Moving elements: gathers, scatters and transposes between packed tiles and strided memory,
// repeating and filling, streaming copies. Knows element sizes, not types.
#include "loops/clip.h"
#include "loops/loops.h"
#include "loops/vectors.h"

#include <string.h>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

constexpr int PREFETCH_LOCALITY = 2; // the second cache and beyond

template <class T> constexpr size_t MOST_SIDE = sizeof(T) == 8 ? 8 : 16;
constexpr size_t LEAST_SIDE = 4;

// SIDE x SIDE elements, one vector per row, transposed by exchanging ever smaller squares between
// pairs of rows: log2(SIDE) rounds of two-operand shuffles, nothing touches memory in between.
template <class T, size_t SIDE = MOST_SIDE<T>> struct Square {
    typedef T Row __attribute__((vector_size(SIDE * sizeof(T))));

    template <size_t S, size_t... I>
    static inline void exchange(Row &x, Row &y, std::index_sequence<I...>) {
        // Where the bit S of the position is set take from the other row, S positions away.
        const Row low = __builtin_shufflevector(x, y, int(I & S ? I - S + SIDE : I)...);
        const Row high = __builtin_shufflevector(x, y, int(I & S ? I + SIDE : I + S)...);
        x = low, y = high;
    }

    template <size_t... I>
    static inline void even(Row &x, const Row &y, std::index_sequence<I...>) {
        x = __builtin_shufflevector(x, y, int(2 * I)...);
    }

    template <size_t... I> static inline void reverse(Row &x, std::index_sequence<I...>) {
        x = __builtin_shufflevector(x, x, int(SIDE - 1 - I)...);
    }

    template <size_t S> static inline void round(Row *row) {
        for (size_t i = 0; i < SIDE; i++)
            if (!(i & S)) exchange<S>(row[i], row[i + S], std::make_index_sequence<SIDE>());
    }

    // d[x, y] <- s[y, x], rows of each at a stride
    static inline void transpose(T *d, ptrdiff_t d_stride, const T *s, ptrdiff_t s_stride) {
        Row row[SIDE];
        for (size_t i = 0; i < SIDE; i++) memcpy(&row[i], s + ptrdiff_t(i) * s_stride, sizeof(Row));
        if constexpr (SIDE >= 16) round<8>(row);
        if constexpr (SIDE >= 8) round<4>(row);
        round<2>(row);
        round<1>(row);
        for (size_t i = 0; i < SIDE; i++) memcpy(d + ptrdiff_t(i) * d_stride, &row[i], sizeof(Row));
    }
};

// d[x, y] <- s[y, x] for x < rows, y < cols: in squares, and what is left in smaller ones.
template <class T, size_t SIDE = MOST_SIDE<T>>
void transpose(size_t rows, size_t cols, T *d, ptrdiff_t d_stride, const T *s, ptrdiff_t s_stride) {
    if constexpr (SIDE < LEAST_SIDE) {
        for (size_t x = 0; x < rows; x++)
            for (size_t y = 0; y < cols; y++)
                d[ptrdiff_t(x) * d_stride + ptrdiff_t(y)] =
                    s[ptrdiff_t(y) * s_stride + ptrdiff_t(x)];
    } else {
        const size_t whole_rows = rows / SIDE * SIDE, whole_cols = cols / SIDE * SIDE;
        for (size_t y = 0; y < whole_cols; y += SIDE)
            for (size_t x = 0; x < whole_rows; x += SIDE)
                Square<T, SIDE>::transpose(d + ptrdiff_t(x) * d_stride + y, d_stride,
                                           s + ptrdiff_t(y) * s_stride + x, s_stride);
        if (whole_rows < rows && whole_cols)
            transpose<T, SIDE / 2>(rows - whole_rows, whole_cols,
                                   d + ptrdiff_t(whole_rows) * d_stride, d_stride, s + whole_rows,
                                   s_stride);
        if (whole_cols < cols)
            transpose<T, SIDE / 2>(rows, cols - whole_cols, d + whole_cols, d_stride,
                                   s + ptrdiff_t(whole_cols) * s_stride, s_stride);
    }
}

template <size_t BYTES> inline void copy_block(char *d, const char *s) {
    typedef char Block __attribute__((vector_size(BYTES)));
    Block block;
    memcpy(&block, s, BYTES);
    memcpy(d, &block, BYTES);
}

// Bytes from BYTES to twice as many, by two blocks that may overlap.
template <size_t BYTES> inline void copy_ends(char *d, const char *s, size_t bytes) {
    copy_block<BYTES>(d, s);
    copy_block<BYTES>(d + bytes - BYTES, s + bytes - BYTES);
}

// Most lines are a few registers long: not worth the call that memcpy is.
inline void copy_line(void *dv, const void *sv, size_t bytes) {
    auto *d = static_cast<char *>(dv);
    auto *s = static_cast<const char *>(sv);
    size_t i = 0;
    for (; i + 64 <= bytes; i += 64) copy_block<64>(d + i, s + i);
    if (i == bytes) return;
    if (i) return copy_block<64>(d + bytes - 64, s + bytes - 64);
    if (bytes >= 32) return copy_ends<32>(d, s, bytes);
    if (bytes >= 16) return copy_ends<16>(d, s, bytes);
    if (bytes >= 8) return copy_ends<8>(d, s, bytes);
    if (bytes >= 4) return copy_ends<4>(d, s, bytes);
    for (; i < bytes; i++) d[i] = s[i];
}

// d[j] <- s[-j]
template <class T> void reverse_line(T *d, const T *s, size_t n) {
    constexpr size_t SIDE = MOST_SIDE<T>;
    using Row = typename Square<T>::Row;
    size_t j = 0;
    for (; j + SIDE <= n; j += SIDE) {
        Row row;
        memcpy(&row, s - j - (SIDE - 1), sizeof row);
        Square<T>::reverse(row, std::make_index_sequence<SIDE>());
        memcpy(d + j, &row, sizeof row);
    }
    for (; j < n; j++) d[j] = *(s - ptrdiff_t(j));
}

// d[j] <- s[2 * j]
template <class T> void every_second(T *d, const T *s, size_t n) {
    constexpr size_t SIDE = MOST_SIDE<T>;
    using Row = typename Square<T>::Row;
    size_t j = 0;
    for (; j + SIDE < n; j += SIDE) { // of the last one no neighbour is read
        Row low, high;
        memcpy(&low, s + 2 * j, sizeof low);
        memcpy(&high, s + 2 * j + SIDE, sizeof high);
        Square<T>::even(low, high, std::make_index_sequence<SIDE>());
        memcpy(d + j, &low, sizeof low);
    }
    for (; j < n; j++) d[j] = s[2 * j];
}

// d[j] <- s[j * stride]
template <class T> inline void gather_line(T *d, const T *s, size_t n, ptrdiff_t stride) {
    if (stride == 1)
        copy_line(d, s, n * sizeof(T));
    else if (stride == 2)
        every_second(d, s, n);
    else if (stride == -1)
        reverse_line(d, s, n);
    else
        for (size_t j = 0; j < n; j++) d[j] = s[ptrdiff_t(j) * stride];
}

template <class T>
void gather(size_t rows, size_t cols, void *dv, const void *sv, ptrdiff_t sa, ptrdiff_t sb) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    if (sa == 1) return transpose<T>(rows, cols, d, ptrdiff_t(cols), s, sb);
    if (sb == 1 && sa == ptrdiff_t(cols)) return copy_line(d, s, rows * cols * sizeof(T));
    for (size_t i = 0; i < rows; i++, d += cols, s += sa) gather_line(d, s, cols, sb);
}

template <class T>
void scatter(size_t rows, size_t cols, void *dv, const void *sv, ptrdiff_t da, ptrdiff_t db) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    if (da == 1) return transpose<T>(cols, rows, d, db, s, ptrdiff_t(cols));
    for (size_t i = 0; i < rows; i++, d += da, s += cols) {
        if (db == 1)
            copy_line(d, s, cols * sizeof(T));
        else if (db == -1)
            reverse_line(d - ptrdiff_t(cols - 1), s + (cols - 1), cols);
        else
            for (size_t j = 0; j < cols; j++) d[ptrdiff_t(j) * db] = s[j];
    }
}

bool are_inside(size_t n, const int64_t *positions, int64_t extent) {
    uint64_t most = 0;
    for (size_t i = 0; i < n; i++) most = most < uint64_t(positions[i]) ? positions[i] : most;
    return n == 0 || most < uint64_t(extent);
}

template <class T>
void look_up_line(size_t cols, T *d, const T *s, ptrdiff_t stride, const int64_t *at,
                  ptrdiff_t step) {
    if (stride == 0 && step == 1)
        for (size_t j = 0; j < cols; j++) d[j] = s[at[j]];
    else if (stride == 0)
        for (size_t j = 0; j < cols; j++) d[j] = s[at[j] * step];
    else
        for (size_t j = 0; j < cols; j++) d[j] = s[ptrdiff_t(j) * stride + at[j] * step];
}

// The same positions in every line, near one another, as resizing an image has them: the elements
// for a register lie in one register of the source, whose lanes are chosen.
#if defined(__AVX2__)
constexpr size_t CHOSEN = REGISTER / sizeof(uint32_t);
constexpr size_t FEWEST_ROWS = 4; // that are worth looking at the positions first

// Of elements j to j + CHOSEN: where the register of the source begins, and the lanes. False where
// they lie apart.
inline bool choose(const int64_t *at, int64_t extent, int64_t *first, uint32_t *lanes) {
    int64_t low = at[0], high = at[0];
    for (size_t n = 1; n < CHOSEN; n++) {
        low = at[n] < low ? at[n] : low;
        high = at[n] > high ? at[n] : high;
    }
    *first = low < extent - int64_t(CHOSEN) ? low : extent - int64_t(CHOSEN);
    for (size_t n = 0; n < CHOSEN; n++) lanes[n] = uint32_t(at[n] - *first);
    return *first >= 0 && high - *first < int64_t(CHOSEN);
}

typedef uint32_t Lanes __attribute__((vector_size(REGISTER)));

inline Lanes choose_lanes(Lanes x, Lanes lanes) {
#if defined(__AVX512F__)
    return (Lanes)_mm512_permutexvar_epi32((__m512i)lanes, (__m512i)x);
#else
    return (Lanes)_mm256_permutevar8x32_epi32((__m256i)x, (__m256i)lanes);
#endif
}

// Elements j to j + CHOSEN of all lines; `line(i)` is the source of line i.
template <class Line>
inline void look_up_near(size_t rows, size_t cols, uint32_t *d, size_t j, const int64_t *at,
                         int64_t extent, const Line &line) {
    alignas(REGISTER) uint32_t numbers[CHOSEN];
    int64_t first;
    if (!choose(at + j, extent, &first, numbers)) {
        for (size_t i = 0; i < rows; i++)
            look_up_line<uint32_t>(CHOSEN, d + i * cols + j, line(i), 0, at + j, 1);
        return;
    }
    Lanes lanes;
    memcpy(&lanes, numbers, sizeof lanes);
    for (size_t i = 0; i < rows; i++) {
        Lanes x;
        memcpy(&x, line(i) + first, sizeof x);
        x = choose_lanes(x, lanes);
        memcpy(d + i * cols + j, &x, sizeof x);
    }
}
#endif

template <class T> bool look_up(size_t rows, size_t cols, void *dv, const LookupTile &t) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(t.from);
    const auto line = [&](size_t i) {
        const T *from = s + ptrdiff_t(i) * t.row_stride;
        if (!t.lines.at) return from;
        return from + t.lines.at[ptrdiff_t(i) * t.lines.row_stride] * t.lines.step;
    };
#if defined(__AVX2__)
    const Positions &p = t.elements;
    const bool alike = p.at && p.row_stride == 0 && p.step == 1 && t.col_stride == 0;
    if constexpr (sizeof(T) == sizeof(uint32_t))
        if (alike && t.is_checked && rows >= FEWEST_ROWS && cols >= CHOSEN) {
            for (size_t j = 0; j + CHOSEN <= cols; j += CHOSEN)
                look_up_near(rows, cols, d, j, p.at, p.extent, line);
            if (cols % CHOSEN) look_up_near(rows, cols, d, cols - CHOSEN, p.at, p.extent, line);
            return true;
        }
#endif
    for (size_t i = 0; i < rows; i++, d += cols) {
        const T *from = line(i);
        if (!t.elements.at) {
            if (t.col_stride == 1)
                copy_line(d, from, cols * sizeof(T));
            else
                for (size_t j = 0; j < cols; j++) d[j] = from[ptrdiff_t(j) * t.col_stride];
            continue;
        }
        const int64_t *at = t.elements.at + ptrdiff_t(i) * t.elements.row_stride;
        if (!t.is_checked && !are_inside(cols, at, t.elements.extent)) return false;
        look_up_line(cols, d, from, t.col_stride, at, t.elements.step);
    }
    return true;
}

// Of some of the lines of a window, the elements that are inside.
template <class T>
void window_lines(size_t first, size_t last, size_t cols, T *d, const WindowTile &t, int64_t low,
                  int64_t high) {
    const T outside = *static_cast<const T *>(t.outside);
    const auto from = reinterpret_cast<uintptr_t>(t.from) +
                      uintptr_t(int64_t(first) * t.row_stride + low * t.col_stride) * sizeof(T);
    d += first * cols;
    if (low == 0 && high == int64_t(cols))
        return gather<T>(last - first, cols, d, reinterpret_cast<const T *>(from), t.row_stride,
                         t.col_stride);
    for (size_t i = 0; i < last - first; i++, d += cols) {
        for (int64_t j = 0; j < low; j++) d[j] = outside;
        if (low < high)
            gather_line(d + low,
                        reinterpret_cast<const T *>(from + uintptr_t(int64_t(i) * t.row_stride) *
                                                               sizeof(T)),
                        size_t(high - low), t.col_stride);
        for (int64_t j = high; j < int64_t(cols); j++) d[j] = outside;
    }
}

template <class T>
void window(size_t rows, size_t cols, void *dv, const WindowTile &t, bool inside) {
    auto *d = static_cast<T *>(dv);
    const T outside = *static_cast<const T *>(t.outside);
    int64_t top = 0, bottom = int64_t(rows), left = 0, right = int64_t(cols);
    bool is_slanting = false;
    for (int k = 0; k < t.count && !inside; k++) {
        const auto &a = t.along[k];
        is_slanting |= a.per_row && a.per_col;
        if (a.per_col)
            clip(a.first, a.per_col, a.extent, &left, &right);
        else
            clip(a.first, a.per_row, a.extent, &top, &bottom);
    }
    for (size_t i = 0; is_slanting && i < rows; i++) {
        left = 0, right = int64_t(cols);
        for (int k = 0; k < t.count; k++) {
            const auto &a = t.along[k];
            clip(a.first + int64_t(i) * a.per_row, a.per_col, a.extent, &left, &right);
        }
        window_lines(i, i + 1, cols, d, t, left, right);
    }
    if (is_slanting) return;
    for (size_t n = 0; n < size_t(top) * cols; n++) d[n] = outside;
    if (top < bottom) window_lines(size_t(top), size_t(bottom), cols, d, t, left, right);
    for (size_t n = size_t(bottom) * cols; n < rows * cols; n++) d[n] = outside;
}

void add_positions(size_t rows, size_t cols, int64_t *sums, const Positions &p, bool add) {
    const int64_t *at = p.at;
    for (size_t i = 0; i < rows; i++, sums += cols, at += p.row_stride)
        for (size_t j = 0; j < cols; j++)
            sums[j] = (add ? sums[j] : 0) + p.step * at[ptrdiff_t(j) * p.col_stride];
}

template <class T>
void transpose_memory(size_t rows, size_t cols, void *d, ptrdiff_t d_stride, const void *s,
                      ptrdiff_t s_stride) {
    transpose<T>(rows, cols, static_cast<T *>(d), d_stride, static_cast<const T *>(s), s_stride);
}

// x86 writes whole lines by itself, without reading what they held; short ones are not worth its
// beginning.
#if defined(__x86_64__)
constexpr size_t LEAST_STRING = 16 << 10; // bytes
template <class T> inline void fill_string(size_t n, T *d, T value) {
    if constexpr (sizeof(T) == 1)
        asm volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(value) : "memory");
    else if constexpr (sizeof(T) == 2)
        asm volatile("rep stosw" : "+D"(d), "+c"(n) : "a"(value) : "memory");
    else if constexpr (sizeof(T) == 4)
        asm volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(value) : "memory");
    else
        asm volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(value) : "memory");
}
#endif

template <class T> void fill_with(size_t n, void *dv, const void *sv) {
    auto *d = static_cast<T *>(dv);
    const T value = *static_cast<const T *>(sv);
#if defined(__x86_64__)
    if (n * sizeof(T) >= LEAST_STRING) return fill_string(n, d, value);
#endif
    for (size_t i = 0; i < n; i++) d[i] = value;
}

// Short rows of a length the compiler knows are interleaved in registers.
template <size_t COLS, class T>
void repeat_few(size_t rows, T *__restrict d, const T *__restrict s) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < COLS; j++) d[i * COLS + j] = s[i];
}

template <class T> void repeat(size_t rows, size_t cols, void *dv, const void *sv) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    if (cols == 2) return repeat_few<2>(rows, d, s);
    if (cols == 3) return repeat_few<3>(rows, d, s);
    if (cols == 4) return repeat_few<4>(rows, d, s);
    for (size_t i = 0; i < rows; i++, d += cols) {
        const T value = s[i];
        for (size_t j = 0; j < cols; j++) d[j] = value;
    }
}

void fill(size_t size_log2, size_t n, void *d, const void *s) {
    switch (size_log2) {
    case 0:
        return fill_with<uint8_t>(n, d, s);
    case 1:
        return fill_with<uint16_t>(n, d, s);
    case 2:
        return fill_with<uint32_t>(n, d, s);
    default:
        return fill_with<uint64_t>(n, d, s);
    }
}

void repeat_each(size_t size_log2, size_t rows, size_t cols, void *d, const void *s) {
    switch (size_log2) {
    case 0:
        return repeat<uint8_t>(rows, cols, d, s);
    case 1:
        return repeat<uint16_t>(rows, cols, d, s);
    case 2:
        return repeat<uint32_t>(rows, cols, d, s);
    default:
        return repeat<uint64_t>(rows, cols, d, s);
    }
}

void iota(size_t n, int64_t *d, int64_t first) {
    for (size_t i = 0; i < n; i++) d[i] = first + int64_t(i);
}

void prefetch(size_t bytes, const void *s) {
    const char *p = static_cast<const char *>(s);
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, PREFETCH_LOCALITY);
}

void stream(size_t bytes, void *dv, const void *sv) {
#if defined(__x86_64__)
    auto *d = static_cast<char *>(dv);
    auto *s = static_cast<const char *>(sv);
    // Whole lines go past the caches; what lies before and after them does not.
    size_t head = (64 - reinterpret_cast<uintptr_t>(d) % 64) % 64;
    if (head > bytes) head = bytes;
    memcpy(d, s, head);
    size_t i = head;
    for (; i + 64 <= bytes; i += 64) {
#if defined(__AVX512F__)
        _mm512_stream_si512(reinterpret_cast<__m512i *>(d + i), _mm512_loadu_si512(s + i));
#elif defined(__AVX__)
        for (size_t k = 0; k < 64; k += 32)
            _mm256_stream_si256(reinterpret_cast<__m256i *>(d + i + k),
                                _mm256_loadu_si256(reinterpret_cast<const __m256i *>(s + i + k)));
#else
        for (size_t k = 0; k < 64; k += 16)
            _mm_stream_si128(reinterpret_cast<__m128i *>(d + i + k),
                             _mm_loadu_si128(reinterpret_cast<const __m128i *>(s + i + k)));
#endif
    }
    memcpy(d + i, s + i, bytes - i);
#else
    memcpy(dv, sv, bytes);
#endif
}

void stream_end() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

template <class T> void add_moves(LoopTable &t) {
    constexpr int SIZE = __builtin_ctz(sizeof(T));
    t.gather[SIZE] = gather<T>, t.scatter[SIZE] = scatter<T>;
    t.transpose[SIZE] = transpose_memory<T>;
    t.lookup[SIZE] = look_up<T>;
    t.window[SIZE] = window<T>;
}

} // namespace

void fill_moves(LoopTable &t) {
    add_moves<uint8_t>(t), add_moves<uint16_t>(t), add_moves<uint32_t>(t), add_moves<uint64_t>(t);
    t.fill = fill;
    t.repeat_each = repeat_each;
    t.iota = iota;
    t.are_inside = are_inside;
    t.add_positions = add_positions;
    t.prefetch = prefetch;
    t.stream = stream;
    t.stream_end = stream_end;
}

// Filled where it stands: most of its pages are never touched.
static const LoopTable *fill_table() {
    static LoopTable t;
    fill_pointwise(t);
    fill_casts(t);
    fill_chains(t);
    fill_choices(t);
    fill_reductions(t);
    fill_index_reductions(t);
    fill_scans(t);
    fill_moves(t);
    fill_stencils(t);
    fill_selects(t);
    return &t;
}

const LoopTable *table() {
    static const LoopTable *const filled = fill_table();
    return filled;
}

} // namespace gint::GINT_SIMD_NAMESPACE
