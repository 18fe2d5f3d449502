/* Plain loops for the bandwidth probe: what the memory can do when nothing but moving is asked of
   it. Built by bandwidth.py with the machine's own instruction set; sizes in bytes, multiples of
   256; addresses aligned to 64. */

#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
typedef __m512i block;
static inline block load(const block *p) { return _mm512_load_si512(p); }
static inline void stream(block *p, block v) { _mm512_stream_si512(p, v); }
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256i block;
static inline block load(const block *p) { return _mm256_load_si256(p); }
static inline void stream(block *p, block v) { _mm256_stream_si256(p, v); }
#elif defined(__SSE2__)
#include <immintrin.h>
typedef __m128i block;
static inline block load(const block *p) { return _mm_load_si128(p); }
static inline void stream(block *p, block v) { _mm_stream_si128(p, v); }
#endif

/* Copy with stores that go past the caches, where the machine has such stores. */
void copy_streaming(void *target, const void *source, size_t bytes) {
#if defined(__SSE2__)
    block *t = target;
    const block *s = source;
    for (size_t i = 0; i < bytes / sizeof(block); i += 4) {
        block a = load(s + i), b = load(s + i + 1), c = load(s + i + 2), d = load(s + i + 3);
        stream(t + i, a), stream(t + i + 1, b), stream(t + i + 2, c), stream(t + i + 3, d);
    }
    _mm_sfence();
#else
    memcpy(target, source, bytes);
#endif
}

/* Read every byte, and return something that depends on all of them. */
unsigned long read_all(const void *source, size_t bytes) {
    const unsigned long *s = source;
    unsigned long a = 0, b = 0, c = 0, d = 0;
    size_t quarter = bytes / sizeof *s / 4;
    for (size_t i = 0; i < quarter; i++) {
        a ^= s[i], b ^= s[quarter + i], c ^= s[2 * quarter + i], d ^= s[3 * quarter + i];
    }
    return a ^ b ^ c ^ d;
}
