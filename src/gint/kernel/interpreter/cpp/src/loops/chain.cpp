// Chains of arithmetic whose intermediate values never leave the vector registers.
//
// Eight registers hold a block of elements, the accumulator. Every link of a chain is a function
// that takes the accumulator in registers, combines it with one operand, and jumps to the next
// link: one load per operation and no store, where a loop per instruction needs two and one.
#include "loops/chain_operand.h"
#include "loops/loops.h"
#include "loops/numeric.h"
#include "loops/wide.h"

namespace gint::GINT_SIMD_NAMESPACE {
namespace {

// Rounding to 16 bits, as the table calls it.
template <uint8_t TYPE> [[gnu::always_inline]] inline Wide rounded(Wide x) {
    for (Floats &v : x.v) v = Half<TYPE>::widen(Half<TYPE>::narrow(v));
    return x;
}
[[gnu::always_inline]] inline Wide gi_round_f16(Wide x) { return rounded<GI_f16>(x); }
[[gnu::always_inline]] inline Wide gi_round_bf16(Wide x) { return rounded<GI_bf16>(x); }

// What a link does: the expression of the table, of the accumulator and maybe an operand.
template <class T, ChainOp OP> struct Operation;
#define X(LINK, TYPE, T, EXPR)                                                                     \
    template <> struct Operation<T, CHAIN_##LINK> {                                                \
        template <class W> [[gnu::always_inline]] static inline auto wide(W a) -> decltype(EXPR) { \
            return EXPR;                                                                           \
        }                                                                                          \
    };
GI_CHAIN_1(X)
#undef X
#define X(LINK, TYPE, T, ACCUMULATOR, OPERAND, EXPR)                                               \
    template <> struct Operation<T, CHAIN_##LINK> {                                                \
        template <class W>                                                                         \
        [[gnu::always_inline]] static inline auto wide(W ACCUMULATOR, W OPERAND)                   \
            -> decltype(EXPR) {                                                                    \
            return EXPR;                                                                           \
        }                                                                                          \
    };
GI_CHAIN_2(X)
#undef X

template <class T, ChainOp OP, ChainForm S>
void binary(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h, const ChainArgument *at,
            ptrdiff_t offset) {
    const Operand<T, S> y(at->operand, offset);
    auto step = [&](V<T> x, int n) { return combine<Operation<T, OP>, T>(x, y[n]); };
    return reinterpret_cast<Link<T>>(at[1].link)(step(a, 0), step(b, 1), step(c, 2), step(d, 3),
                                                 step(e, 4), step(f, 5), step(g, 6), step(h, 7),
                                                 at + 1, offset);
}

// Two links in one jump, for the commonest operations.
template <class T, ChainOp OP1, ChainForm S1, ChainOp OP2, ChainForm S2>
void pair(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h, const ChainArgument *at,
          ptrdiff_t offset) {
    using First = Operation<T, OP1>;
    using Second = Operation<T, OP2>;
    const Operand<T, S1> y(at[0].operand, offset);
    const Operand<T, S2> z(at[1].operand, offset);
    auto step = [&](V<T> x, int n) { return combine<Second, T>(combine<First, T>(x, y[n]), z[n]); };
    return reinterpret_cast<Link<T>>(at[2].link)(step(a, 0), step(b, 1), step(c, 2), step(d, 3),
                                                 step(e, 4), step(f, 5), step(g, 6), step(h, 7),
                                                 at + 2, offset);
}

// The same where nothing else is to be done: a loop, no jumps.
template <class T, ChainOp OP1, ChainForm S1, ChainOp OP2, ChainForm S2>
void run_pair(const ChainArgument *at, size_t first, size_t last) {
    using First = Operation<T, OP1>;
    using Second = Operation<T, OP2>;
    const Operand<T, CHAIN_PACKED> x(at[0].operand, 0);
    const Operand<T, S1> y(at[1].operand, 0);
    const Operand<T, S2> z(at[2].operand, 0);
    auto *d = const_cast<void *>(at[3].operand);
#pragma GCC unroll 4
    for (int n = int(first) * 8; n < int(last) * 8; n++)
        put<T>(d, n, combine<Second, T>(combine<First, T>(x[n], y[n]), z[n]));
}

// Of the accumulator alone, on half of the block at a time.
template <class T, ChainOp OP>
void unary(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h, const ChainArgument *at,
           ptrdiff_t offset) {
    using W = Vectors<T, 4>;
    const W x = Operation<T, OP>::wide(W{a, b, c, d}), y = Operation<T, OP>::wide(W{e, f, g, h});
    return reinterpret_cast<Link<T>>(at[1].link)(x.v[0], x.v[1], x.v[2], x.v[3], y.v[0], y.v[1],
                                                 y.v[2], y.v[3], at + 1, offset);
}

// f(x) * y, as in x * sigmoid(x)
template <ChainOp OP>
void unary_times(Floats a, Floats b, Floats c, Floats d, Floats e, Floats f, Floats g, Floats h,
                 const ChainArgument *at, ptrdiff_t offset) {
    const float *y =
        reinterpret_cast<const float *>(static_cast<const char *>(at[1].operand) + offset);
    const Wide x = Operation<float, OP>::wide(Wide{a, b, c, d}) * load(y);
    const Wide z =
        Operation<float, OP>::wide(Wide{e, f, g, h}) * load(y + sizeof(Wide) / sizeof(float));
    return reinterpret_cast<Link<float>>(at[2].link)(x.v[0], x.v[1], x.v[2], x.v[3], z.v[0], z.v[1],
                                                     z.v[2], z.v[3], at + 2, offset);
}
template <ChainOp OP> void run_unary_times(const ChainArgument *at, size_t first, size_t last) {
    constexpr size_t COUNT = sizeof(Wide) / sizeof(float);
    auto *x = static_cast<const float *>(at[0].operand),
         *y = static_cast<const float *>(at[2].operand);
    auto *d = static_cast<float *>(const_cast<void *>(at[3].operand));
    for (size_t i = first * 2 * COUNT; i < last * 2 * COUNT; i += COUNT)
        put(d + i, Operation<float, OP>::wide(load(x + i)) * load(y + i));
}

template <class T>
void store(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h, const ChainArgument *at,
           ptrdiff_t offset) {
    char *p = static_cast<char *>(const_cast<void *>(at->operand)) + offset;
    put<T>(p, 0, a), put<T>(p, 1, b), put<T>(p, 2, c), put<T>(p, 3, d);
    put<T>(p, 4, e), put<T>(p, 5, f), put<T>(p, 6, g), put<T>(p, 7, h);
}

template <ChainForm FORM>
void store_halves(Floats a, Floats b, Floats c, Floats d, Floats e, Floats f, Floats g, Floats h,
                  const ChainArgument *at, ptrdiff_t offset) {
    constexpr uint8_t TO = half_type(FORM);
    char *p = static_cast<char *>(const_cast<void *>(at->operand)) + offset / 2;
    put_narrowed<TO>(p, 0, a, b), put_narrowed<TO>(p, 2, c, d);
    put_narrowed<TO>(p, 4, e, f), put_narrowed<TO>(p, 6, g, h);
}

template <class T>
void keep(V<T> a, V<T> b, V<T> c, V<T> d, V<T> e, V<T> f, V<T> g, V<T> h, const ChainArgument *at,
          ptrdiff_t offset) {
    store<T>(a, b, c, d, e, f, g, h, at, offset);
    return reinterpret_cast<Link<T>>(at[1].link)(a, b, c, d, e, f, g, h, at + 1, offset);
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
template <class T, ChainForm FORM>
[[gnu::always_inline]] inline void run_blocks(const ChainArgument *at, size_t first, size_t last) {
    for (size_t k = first; k < last; k++) {
        const ptrdiff_t offset = ptrdiff_t(k) * 8 * REGISTER;
        const Operand<T, FORM> x(at->operand, offset);
        reinterpret_cast<Link<T>>(at[1].link)(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7],
                                              at + 1, offset);
    }
}

template <class T, ChainForm FORM> void run(const ChainArgument *at, size_t first, size_t last) {
    run_blocks<T, FORM>(at, first, last);
    leave_registers();
}

constexpr ptrdiff_t BLOCK = 8 * REGISTER, LINE = 64; // bytes

// Streams of which a block is BYTES. Their number is known here, so that asking is one instruction
// a line and stands between the blocks' own.
template <class T, ChainForm FORM, ptrdiff_t BYTES, int COUNT>
void run_alike(const ChainArgument *at, size_t first, size_t last, const ChainAhead &ahead) {
    const char *from[COUNT];
    for (int i = 0; i < COUNT; i++) from[i] = ahead.of[i].from + ahead.of[i].apart;
    for (size_t k = first; k < last; k++) {
        const ptrdiff_t offset = ptrdiff_t(k) * BYTES;
#pragma GCC unroll 8
        for (ptrdiff_t line = 0; line < BYTES; line += LINE)
#pragma GCC unroll 4
            for (int i = 0; i < COUNT; i++) __builtin_prefetch(from[i] + offset + line);
        run_blocks<T, FORM>(at, k, k + 1);
    }
    leave_registers();
}

template <class T, ChainForm FORM>
void run_mixed(const ChainArgument *at, size_t first, size_t last, const ChainAhead &ahead) {
    for (size_t k = first; k < last; k++) {
        const ptrdiff_t offset = ptrdiff_t(k) * BLOCK;
        for (ptrdiff_t line = offset; line < offset + BLOCK; line += LINE)
            for (int i = 0; i < ahead.count; i++) {
                const ChainAhead::Stream &s = ahead.of[i];
                __builtin_prefetch(s.from + (line >> s.halves) + s.apart);
            }
        run_blocks<T, FORM>(at, k, k + 1);
    }
    leave_registers();
}

template <class T, ChainForm FORM>
void run_ahead(const ChainArgument *at, size_t first, size_t last, const ChainAhead &ahead) {
    constexpr ptrdiff_t BYTES = FORM == CHAIN_PACKED ? BLOCK : BLOCK / 2;
    static_assert(MOST_AHEAD == 4);
    bool alike = true;
    for (int i = 0; i < ahead.count; i++) alike &= ahead.of[i].halves == (FORM != CHAIN_PACKED);
    if (!alike) return run_mixed<T, FORM>(at, first, last, ahead);
    switch (ahead.count) {
    case 1:
        return run_alike<T, FORM, BYTES, 1>(at, first, last, ahead);
    case 2:
        return run_alike<T, FORM, BYTES, 2>(at, first, last, ahead);
    case 3:
        return run_alike<T, FORM, BYTES, 3>(at, first, last, ahead);
    default:
        return run_alike<T, FORM, BYTES, 4>(at, first, last, ahead);
    }
}

// An opcode that is not written for vectors has no link.
template <class T, ChainOp OP> void add_unary(ChainLoops &k) {
    if constexpr (HasWide<Operation<T, OP>, Vectors<T, 4>>)
        k.link[OP][CHAIN_PACKED] = erase<T>(unary<T, OP>);
}
template <class T, ChainOp OP> void add_binary(ChainLoops &k) {
    if constexpr (HasWide<Operation<T, OP>, Vectors<T, 1>>) {
        k.link[OP][CHAIN_PACKED] = erase<T>(binary<T, OP, CHAIN_PACKED>);
        k.link[OP][CHAIN_SCALAR] = erase<T>(binary<T, OP, CHAIN_SCALAR>);
        if constexpr (sizeof(T) == sizeof(float)) {
            k.link[OP][CHAIN_F16] = erase<T>(binary<T, OP, CHAIN_F16>);
            k.link[OP][CHAIN_BF16] = erase<T>(binary<T, OP, CHAIN_BF16>);
        }
    }
}

template <class T, ChainOp OP1, ChainForm S1, ChainOp OP2, ChainForm S2>
void add_pair(ChainLoops &k) {
    k.pair[OP1][S1][OP2][S2] = erase<T>(pair<T, OP1, S1, OP2, S2>);
    k.run_pair[OP1][S1][OP2][S2] = run_pair<T, OP1, S1, OP2, S2>;
}
template <class T, ChainOp OP1, ChainOp OP2> void add_pairs(ChainLoops &k) {
    add_pair<T, OP1, CHAIN_PACKED, OP2, CHAIN_PACKED>(k);
    add_pair<T, OP1, CHAIN_PACKED, OP2, CHAIN_SCALAR>(k);
    add_pair<T, OP1, CHAIN_SCALAR, OP2, CHAIN_PACKED>(k);
    add_pair<T, OP1, CHAIN_SCALAR, OP2, CHAIN_SCALAR>(k);
}
template <class T, ChainOp OP> void add_pairs(ChainLoops &k) {
    add_pairs<T, OP, CHAIN_ADD>(k), add_pairs<T, OP, CHAIN_SUB>(k);
    add_pairs<T, OP, CHAIN_MUL>(k);
}

template <class T> void add_memory_and_pairs(ChainLoops &k) {
    k.run[CHAIN_PACKED] = run<T, CHAIN_PACKED>;
    k.run_ahead[CHAIN_PACKED] = run_ahead<T, CHAIN_PACKED>;
    k.store[CHAIN_PACKED] = erase<T>(store<T>);
    k.store_stream = erase<T>(store_stream<T>);
    k.block_log2 = __builtin_ctz(8 * REGISTER / sizeof(T));
    k.link[CHAIN_KEEP][CHAIN_PACKED] = erase<T>(keep<T>);
    add_pairs<T, CHAIN_ADD>(k), add_pairs<T, CHAIN_SUB>(k), add_pairs<T, CHAIN_MUL>(k);
}

template <ChainForm FORM> void add_halves(ChainLoops &k) {
    k.run[FORM] = run<float, FORM>;
    k.run_ahead[FORM] = run_ahead<float, FORM>;
    k.store[FORM] = erase<float>(store_halves<FORM>);
}

} // namespace

void fill_chains(LoopTable &t) {
    ChainLoops &k = t.chain[GI_f32];
    add_memory_and_pairs<float>(k), add_memory_and_pairs<double>(t.chain[GI_f64]);
#define X(LINK, TYPE, T, ...) add_unary<T, CHAIN_##LINK>(t.chain[GI_##TYPE]);
    GI_CHAIN_1(X)
#undef X
#define X(LINK, TYPE, T, ...) add_binary<T, CHAIN_##LINK>(t.chain[GI_##TYPE]);
    GI_CHAIN_2(X)
#undef X
    add_halves<CHAIN_F16>(k), add_halves<CHAIN_BF16>(k);
    k.pair[CHAIN_SIGMOID][CHAIN_PACKED][CHAIN_MUL][CHAIN_PACKED] =
        erase<float>(unary_times<CHAIN_SIGMOID>);
    k.run_pair[CHAIN_SIGMOID][CHAIN_PACKED][CHAIN_MUL][CHAIN_PACKED] =
        run_unary_times<CHAIN_SIGMOID>;
}

} // namespace gint::GINT_SIMD_NAMESPACE
