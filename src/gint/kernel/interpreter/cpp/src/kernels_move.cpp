// Moving elements: gathers, scatters and transposes between packed tiles and strided memory,
// repeating and filling, streaming copies. Knows element sizes, not types.
#include "kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

template <class T>
void gather(size_t rows, size_t cols, void *dv, const void *sv, ptrdiff_t sa, ptrdiff_t sb) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    if (sb == 1) {
        for (size_t i = 0; i < rows; i++, d += cols, s += sa) memcpy(d, s, cols * sizeof(T));
        return;
    }
    if (sa == 1) { // a transpose, in squares small enough that both sides stay in registers' reach
        constexpr size_t SQUARE = 16;
        for (size_t i = 0; i < rows; i += SQUARE) {
            const size_t i_end = i + SQUARE < rows ? i + SQUARE : rows;
            for (size_t j = 0; j < cols; j += SQUARE) {
                const size_t j_end = j + SQUARE < cols ? j + SQUARE : cols;
                for (size_t y = j; y < j_end; y++)
                    for (size_t x = i; x < i_end; x++)
                        d[x * cols + y] = s[ptrdiff_t(y) * sb + ptrdiff_t(x)];
            }
        }
        return;
    }
    for (size_t i = 0; i < rows; i++, d += cols, s += sa)
        for (size_t j = 0; j < cols; j++) d[j] = s[ptrdiff_t(j) * sb];
}

template <class T>
void scatter(size_t rows, size_t cols, void *dv, const void *sv, ptrdiff_t da, ptrdiff_t db) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    if (db == 1) {
        for (size_t i = 0; i < rows; i++, d += da, s += cols) memcpy(d, s, cols * sizeof(T));
        return;
    }
    if (da == 1) {
        constexpr size_t SQUARE = 16;
        for (size_t j = 0; j < cols; j += SQUARE) {
            const size_t j_end = j + SQUARE < cols ? j + SQUARE : cols;
            for (size_t i = 0; i < rows; i += SQUARE) {
                const size_t i_end = i + SQUARE < rows ? i + SQUARE : rows;
                for (size_t y = j; y < j_end; y++)
                    for (size_t x = i; x < i_end; x++)
                        d[ptrdiff_t(y) * db + ptrdiff_t(x)] = s[x * cols + y];
            }
        }
        return;
    }
    for (size_t i = 0; i < rows; i++, d += da, s += cols)
        for (size_t j = 0; j < cols; j++) d[ptrdiff_t(j) * db] = s[j];
}

template <class T> void fill_with(size_t n, void *dv, const void *sv) {
    auto *d = static_cast<T *>(dv);
    const T value = *static_cast<const T *>(sv);
    for (size_t i = 0; i < n; i++) d[i] = value;
}

template <class T> void repeat(size_t rows, size_t cols, void *dv, const void *sv) {
    auto *d = static_cast<T *>(dv);
    auto *s = static_cast<const T *>(sv);
    for (size_t i = 0; i < rows; i++, d += cols) {
        const T value = s[i];
        for (size_t j = 0; j < cols; j++) d[j] = value;
    }
}

void fill(size_t size_log2, size_t n, void *d, const void *s) {
    switch (size_log2) {
    case 0: return fill_with<uint8_t>(n, d, s);
    case 1: return fill_with<uint16_t>(n, d, s);
    case 2: return fill_with<uint32_t>(n, d, s);
    default: return fill_with<uint64_t>(n, d, s);
    }
}

void repeat_each(size_t size_log2, size_t rows, size_t cols, void *d, const void *s) {
    switch (size_log2) {
    case 0: return repeat<uint8_t>(rows, cols, d, s);
    case 1: return repeat<uint16_t>(rows, cols, d, s);
    case 2: return repeat<uint32_t>(rows, cols, d, s);
    default: return repeat<uint64_t>(rows, cols, d, s);
    }
}

void iota(size_t n, int64_t *d, int64_t first) {
    for (size_t i = 0; i < n; i++) d[i] = first + int64_t(i);
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
            _mm256_stream_si256(
                reinterpret_cast<__m256i *>(d + i + k),
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

} // namespace

void fill_moves(KernelTable &t) {
    t.gather[0] = gather<uint8_t>, t.scatter[0] = scatter<uint8_t>;
    t.gather[1] = gather<uint16_t>, t.scatter[1] = scatter<uint16_t>;
    t.gather[2] = gather<uint32_t>, t.scatter[2] = scatter<uint32_t>;
    t.gather[3] = gather<uint64_t>, t.scatter[3] = scatter<uint64_t>;
    t.fill = fill;
    t.repeat_each = repeat_each;
    t.iota = iota;
    t.stream = stream;
    t.stream_end = stream_end;
}

static KernelTable make_table() {
    KernelTable t{};
    fill_pointwise(t);
    fill_casts(t);
    fill_reductions(t);
    fill_moves(t);
    return t;
}

const KernelTable *table() {
    static const KernelTable made = make_table();
    return &made;
}

} // namespace gint::GINT_SIMD_NAMESPACE
