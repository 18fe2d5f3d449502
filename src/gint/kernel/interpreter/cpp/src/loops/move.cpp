// Moving elements: gathers, scatters and transposes between packed tiles and strided memory,
// repeating and filling, streaming copies. Knows element sizes, not types.
#include "loops/clip.h"
#include "loops/lines.h"
#include "loops/lookups.h"
#include "loops/loops.h"

#include <string.h>

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

constexpr int PREFETCH_LOCALITY = 2; // the second cache and beyond

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

// Of each line other elements, and of most lines, a diagonal's, few: what is outside is written
// first.
template <class T> void slanting_window(size_t rows, size_t cols, T *d, const WindowTile &t) {
    fill_with<T>(rows * cols, d, t.outside);
    for (size_t i = 0; i < rows; i++) {
        int64_t left = 0, right = int64_t(cols);
        for (int k = 0; k < t.count; k++) {
            const auto &a = t.along[k];
            clip(a.first + int64_t(i) * a.per_row, a.per_col, a.extent, &left, &right);
        }
        if (left >= right) continue;
        const auto from = reinterpret_cast<uintptr_t>(t.from) +
                          uintptr_t(int64_t(i) * t.row_stride + left * t.col_stride) * sizeof(T);
        gather_line(d + i * cols + size_t(left), reinterpret_cast<const T *>(from),
                    size_t(right - left), t.col_stride);
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
    if (is_slanting) return slanting_window<T>(rows, cols, d, t);
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
    // In whole registers: what is written beyond a row's end is the next one's beginning.
    constexpr size_t WIDTH = REGISTER / sizeof(T);
    typedef T Register __attribute__((vector_size(REGISTER)));
    const T *const end = d + rows * cols;
    const size_t whole = (cols + WIDTH - 1) / WIDTH * WIDTH;
    size_t i = 0;
    for (; i < rows && size_t(end - d) >= whole; i++, d += cols) {
        const Register value = Register{} + s[i];
        for (size_t j = 0; j < cols; j += WIDTH) memcpy(d + j, &value, REGISTER);
    }
    for (; i < rows; i++, d += cols) {
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
