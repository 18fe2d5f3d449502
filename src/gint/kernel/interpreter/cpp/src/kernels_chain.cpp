// Chains of arithmetic whose intermediate values never leave the vector registers.
//
// Eight registers hold a block of elements, the accumulator. Every link of a chain is a function
// that takes the accumulator in registers, combines it with one operand, and jumps to the next
// link: one load per operation and no store, where a loop per instruction needs two and one.
#include "kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

#if defined(__AVX512F__)
constexpr int REGISTER = 64;
#elif defined(__AVX__)
constexpr int REGISTER = 32;
#else
constexpr int REGISTER = 16;
#endif

template <class T> struct Types;
template <> struct Types<float> {
    typedef float V __attribute__((vector_size(REGISTER)));
    typedef int32_t Bits __attribute__((vector_size(REGISTER)));
    static constexpr int32_t MAGNITUDE = 0x7fffffff;
};
template <> struct Types<double> {
    typedef double V __attribute__((vector_size(REGISTER)));
    typedef int64_t Bits __attribute__((vector_size(REGISTER)));
    static constexpr int64_t MAGNITUDE = 0x7fffffffffffffff;
};

template <class T> using V = typename Types<T>::V;
template <class T>
using Link = void (*)(V<T>, V<T>, V<T>, V<T>, V<T>, V<T>, V<T>, V<T>, const ChainArgument *,
                      ptrdiff_t);

// Unaligned; by memcpy, since gcc forgets the alignment of a vector type named through a template.
template <class T> inline V<T> load(const void *p, int n) {
    V<T> x;
    memcpy(&x, static_cast<const char *>(p) + n * REGISTER, REGISTER);
    return x;
}
template <class T> inline void put(void *p, int n, V<T> x) {
    memcpy(static_cast<char *>(p) + n * REGISTER, &x, REGISTER);
}

template <class T> inline V<T> broadcast(const void *p) {
    const T value = *static_cast<const T *>(p);
    return value - V<T>{}; // x - 0 is x for every x, the sign of zero included
}

// The operations: x is the accumulator, y the operand.
template <class T, ChainOp OP> inline V<T> combine(V<T> x, V<T> y) {
    auto maximum = [](V<T> a, V<T> b) { V<T> m = a > b ? a : b; return a != a ? a : m; };
    auto minimum = [](V<T> a, V<T> b) { V<T> m = a < b ? a : b; return a != a ? a : m; };
    if constexpr (OP == CHAIN_ADD) return x + y;
    else if constexpr (OP == CHAIN_SUB) return x - y;
    else if constexpr (OP == CHAIN_SUB_FROM) return y - x;
    else if constexpr (OP == CHAIN_MUL) return x * y;
    else if constexpr (OP == CHAIN_DIV) return x / y;
    else if constexpr (OP == CHAIN_DIV_INTO) return y / x;
    else if constexpr (OP == CHAIN_MAX) return maximum(x, y);
    else if constexpr (OP == CHAIN_MAX_OF) return maximum(y, x);
    else if constexpr (OP == CHAIN_MIN) return minimum(x, y);
    else return minimum(y, x);
}

template <class T, ChainOp OP> inline V<T> change(V<T> x) {
    using Bits = typename Types<T>::Bits;
    if constexpr (OP == CHAIN_NEG) return -x;
    else if constexpr (OP == CHAIN_ABS) return (V<T>)((Bits)x & Types<T>::MAGNITUDE);
    else if constexpr (OP == CHAIN_SQUARE) return x * x;
    else return x + x;
}

#define NEXT(...) return reinterpret_cast<Link<T>>(at[1].link)(__VA_ARGS__, at + 1, offset)

template <class T, ChainOp OP>
void binary(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h,
            const ChainArgument *at, ptrdiff_t offset) {
    const char *p = static_cast<const char *>(at->operand) + offset;
    NEXT((combine<T, OP>(a, load<T>(p, 0))), (combine<T, OP>(b, load<T>(p, 1))), (combine<T, OP>(c, load<T>(p, 2))),
         (combine<T, OP>(d, load<T>(p, 3))), (combine<T, OP>(e, load<T>(p, 4))), (combine<T, OP>(f, load<T>(p, 5))),
         (combine<T, OP>(g, load<T>(p, 6))), (combine<T, OP>(h, load<T>(p, 7))));
}

template <class T, ChainOp OP>
void binary_scalar(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h,
                   const ChainArgument *at, ptrdiff_t offset) {
    const V<T> y = broadcast<T>(at->operand);
    NEXT((combine<T, OP>(a, y)), (combine<T, OP>(b, y)), (combine<T, OP>(c, y)),
         (combine<T, OP>(d, y)), (combine<T, OP>(e, y)), (combine<T, OP>(f, y)),
         (combine<T, OP>(g, y)), (combine<T, OP>(h, y)));
}

template <class T, ChainOp OP>
void unary(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h,
           const ChainArgument *at, ptrdiff_t offset) {
    NEXT((change<T, OP>(a)), (change<T, OP>(b)), (change<T, OP>(c)), (change<T, OP>(d)),
         (change<T, OP>(e)), (change<T, OP>(f)), (change<T, OP>(g)), (change<T, OP>(h)));
}
#undef NEXT

template <class T>
void store(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h,
           const ChainArgument *at, ptrdiff_t offset) {
    char *p = static_cast<char *>(const_cast<void *>(at->operand)) + offset;
    put<T>(p, 0, a), put<T>(p, 1, b), put<T>(p, 2, c), put<T>(p, 3, d);
    put<T>(p, 4, e), put<T>(p, 5, f), put<T>(p, 6, g), put<T>(p, 7, h);
}

// Past the caches; the address is a multiple of 64.
template <class T> inline void stream_one(void *p, V<T> x) {
#if defined(__AVX512F__)
    _mm512_stream_si512(static_cast<__m512i *>(p), (__m512i)x);
#elif defined(__AVX__)
    _mm256_stream_si256(static_cast<__m256i *>(p), (__m256i)x);
#elif defined(__x86_64__)
    _mm_stream_si128(static_cast<__m128i *>(p), (__m128i)x);
#else
    *static_cast<V<T> *>(p) = x;
#endif
}

template <class T>
void store_stream(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h,
                  const ChainArgument *at, ptrdiff_t offset) {
    auto *p = static_cast<char *>(const_cast<void *>(at->operand)) + offset;
    stream_one<T>(p, a), stream_one<T>(p + REGISTER, b);
    stream_one<T>(p + 2 * REGISTER, c), stream_one<T>(p + 3 * REGISTER, d);
    stream_one<T>(p + 4 * REGISTER, e), stream_one<T>(p + 5 * REGISTER, f);
    stream_one<T>(p + 6 * REGISTER, g), stream_one<T>(p + 7 * REGISTER, h);
}

// The first argument is the operand the accumulator starts from.
template <class T> void run(const ChainArgument *at, size_t blocks) {
    for (size_t k = 0; k < blocks; k++) {
        const ptrdiff_t offset = ptrdiff_t(k) * 8 * REGISTER;
        const char *p = static_cast<const char *>(at->operand) + offset;
        reinterpret_cast<Link<T>>(at[1].link)(
            load<T>(p, 0), load<T>(p, 1), load<T>(p, 2), load<T>(p, 3), load<T>(p, 4),
            load<T>(p, 5), load<T>(p, 6), load<T>(p, 7), at + 1, offset);
    }
}

template <class T> ChainLink erase(Link<T> link) { return reinterpret_cast<ChainLink>(link); }

template <class T, ChainOp OP> void add_binary(ChainKernels &k) {
    k.link[OP][0] = erase<T>(binary<T, OP>);
    k.link[OP][1] = erase<T>(binary_scalar<T, OP>);
}
template <class T, ChainOp OP> void add_unary(ChainKernels &k) {
    k.link[OP][0] = erase<T>(unary<T, OP>);
}

template <class T> ChainKernels make() {
    ChainKernels k{};
    k.run = run<T>;
    k.store = erase<T>(store<T>);
    k.store_stream = erase<T>(store_stream<T>);
    k.block = 8 * REGISTER / sizeof(T);
    add_binary<T, CHAIN_ADD>(k), add_binary<T, CHAIN_SUB>(k), add_binary<T, CHAIN_SUB_FROM>(k);
    add_binary<T, CHAIN_MUL>(k), add_binary<T, CHAIN_DIV>(k), add_binary<T, CHAIN_DIV_INTO>(k);
    add_binary<T, CHAIN_MAX>(k), add_binary<T, CHAIN_MAX_OF>(k);
    add_binary<T, CHAIN_MIN>(k), add_binary<T, CHAIN_MIN_OF>(k);
    add_unary<T, CHAIN_NEG>(k), add_unary<T, CHAIN_ABS>(k);
    add_unary<T, CHAIN_SQUARE>(k), add_unary<T, CHAIN_TWICE>(k);
    return k;
}

} // namespace

void fill_chains(KernelTable &t) {
    t.chain[GI_f32] = make<float>();
    t.chain[GI_f64] = make<double>();
}

} // namespace gint::GINT_SIMD_NAMESPACE
