// The loops of quantised products with activations in 8 bits. Compiled once per instruction set,
// those included that add products of bytes alone; everything lives in unnamed namespaces so that
// no symbol is shared between the sets.
#include "quantized/quantized_blocks.h"

namespace gint::GINT_SIMD_NAMESPACE {

const QuantizedTable *quantized_table();

namespace {

// The products of a half of 32 inputs, or of all, in whole numbers: visits 4 weights at a time.
template <class Values, int HALF, int ROWS, class Sums>
inline void add_quads(Sums &sum, const uint8_t *words, const uint8_t *x) {
    constexpr int CHAINS = sizeof(sum[0]) / sizeof(sum[0][0]);
#pragma GCC unroll UNROLL
    for (int n = 0; n < 4; n++) {
        const Ints w = Values::template value<HALF>(words, n);
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++)
            Values::dot(sum[row][n % CHAINS], w,
                        all(read<int32_t>(x + row * 32 + HALF * 16 + n * 4)));
    }
}

template <int ROWS, class Accumulator, int CHAINS> struct Sums {
    Accumulator of[ROWS][CHAINS];

    // `first` has a number for every row, `pitch` bytes apart, or is null.
    inline void begin(const uint8_t *first, size_t pitch) {
#pragma GCC unroll 8
        for (int row = 0; row < ROWS; row++) {
            of[row][0].begin(first ? read<int32_t>(first + row * pitch) : 0);
            if (CHAINS == 2) of[row][CHAINS - 1].begin(0);
        }
    }
    inline Floats total(int row) const {
        Ints whole = of[row][0].sum();
        if (CHAINS == 2) whole += of[row][CHAINS - 1].sum();
        return to_floats(whole);
    }
};

// total <- total + scale of x * (scale of the weights * sum of the integers), of each part of 32
// inputs, and less the minimum of the weights * scale of x * sum of x
template <class Format, int ROWS>
void product(size_t blocks, const uint8_t *group, const uint8_t *tile, float *out,
             ptrdiff_t out_stride, size_t lanes) {
    using Values = typename Format::Values;
    constexpr ActivationForm FORM = Sizes<Format>::FORM;
    constexpr int CHAINS = ROWS < 4 ? 2 : 1; // of additions, for their latency
    constexpr size_t PITCH = 4 * FORM.parts;
    Totals<ROWS> total;
    each_32<Format>(blocks, group, [&](const uint8_t *words, auto scale, auto minimum) {
        const uint8_t *scale_of_x = tile + ROWS * BLOCK, *of_sums = scale_of_x + ROWS * 4;
        const uint8_t *first = FORM.excess ? of_sums : nullptr;
#pragma GCC unroll 1
        for (size_t part = 0; part < PARTS; part++, words += REGISTER) {
            Sums<ROWS, typename Values::Accumulator, CHAINS> sum;
            sum.begin(first, PITCH);
            add_quads<Values, 0, ROWS>(sum.of, words, tile);
            if constexpr (FORM.parts == 1) {
                add_quads<Values, 1, ROWS>(sum.of, words, tile);
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++) {
                    const Floats both = scale[0][part] * all(read<float>(scale_of_x + row * 4));
                    total.add(row, part, sum.total(row), both);
                }
            } else {
                Floats scaled[ROWS];
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++) scaled[row] = sum.total(row) * scale[0][part];
                sum.begin(first ? first + 4 : nullptr, PITCH);
                add_quads<Values, 1, ROWS>(sum.of, words, tile);
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++) {
                    scaled[row] = multiply_add(sum.total(row), scale[1][part], scaled[row]);
                    total.add(row, part, scaled[row], all(read<float>(scale_of_x + row * 4)));
                }
            }
            if constexpr (FORM.has_minima)
#pragma GCC unroll 8
                for (int row = 0; row < ROWS; row++)
                    for (size_t n = 0; n < FORM.parts; n++)
                        total.add(row, part, minimum[n][part],
                                  all(read<float>(of_sums + row * PITCH + n * 4)));
        }
        tile += ROWS * FORM.block_bytes();
    });
    total.store(out, out_stride, lanes);
}

template <class Format>
constexpr QuantizedLoops LOOPS{
    Sizes<Format>::FORM,
    {product<Format, 1>, product<Format, 2>, product<Format, 4>, product<Format, 8>},
};

} // namespace

const QuantizedTable *quantized_table() {
    static constexpr QuantizedTable TABLE{
        8,
        {LOOPS<FormatQ4_0>, LOOPS<FormatQ4_1>, LOOPS<FormatQ5_0>, LOOPS<FormatQ5_1>,
         LOOPS<FormatQ8_0>, LOOPS<FormatIQ4_NL>, LOOPS<FormatQ2_K>, LOOPS<FormatQ3_K>,
         LOOPS<FormatQ4_K>, LOOPS<FormatQ5_K>, LOOPS<FormatQ6_K>},
    };
    return &TABLE;
}

} // namespace gint::GINT_SIMD_NAMESPACE
