/* Quantised products on devices, as OpenCL C 1.2 and CUDA C++: a kernel per format and number of
 * rows. This text is included once for each.
 *
 * A group of GI_BLOCK threads makes 32 columns of out for GI_ROWS rows of x. Weights are
 * interleaved by 32 output rows (lanes), so that neighbouring threads read neighbouring words; the
 * blocks along the input are dealt to the group's threads in turns, whose sums are added in a fixed
 * order.
 *
 *   scales  float16 [groups][blocks][32 lanes]
 *   words   4 bytes [groups][blocks][GI_QUADS][32 lanes]; as in GGUF's blocks
 *
 * Macros: GI_BLOCK (a multiple of 32) for all; for each GI_ROWS, GI_QUADS (4: nibbles, Q40; 8:
 * bytes, Q80) and GI_VARIANT(name), a name of its own. */
#include "dialect.h"
#include "half.h"

#define GI_LANES 32
#define GI_TURNS (GI_BLOCK / GI_LANES)

#if defined(__OPENCL_VERSION__)
#define GI_LOAD_4(p) vload4(0, p)
#else
#define GI_LOAD_4(p) (*(const float4 *)(p))
#endif

/* sum[row] <- sum[row] + the products of the lowest 4 bits (or all 8) of 4 bytes with x[row][0..4)
 */
GI_INLINE void GI_VARIANT(gi_add_quad)(float *sum, gi_u32 bytes, float scale,
                                       GI_GLOBAL const float *x, const gi_u32 *row_at) {
#if GI_QUADS == 4
    float a = scale * ((int)(bytes & 15) - 8), b = scale * ((int)(bytes >> 8 & 15) - 8);
    float c = scale * ((int)(bytes >> 16 & 15) - 8), d = scale * ((int)(bytes >> 24 & 15) - 8);
#else
    float a = scale * ((int)(bytes << 24) >> 24), b = scale * ((int)(bytes << 16) >> 24);
    float c = scale * ((int)(bytes << 8) >> 24), d = scale * ((int)bytes >> 24);
#endif
    _Pragma("unroll") for (int row = 0; row < GI_ROWS; row++) {
        float4 v = GI_LOAD_4(x + row_at[row]);
        float s = sum[row];
        s = GI_FMAF(a, v.x, s), s = GI_FMAF(b, v.y, s);
        s = GI_FMAF(c, v.z, s), s = GI_FMAF(d, v.w, s);
        sum[row] = s;
    }
}

GI_KERNEL GI_VARIANT(gint_quantized)(GI_GLOBAL const gi_u32 *words, GI_GLOBAL const gi_u16 *scales,
                                     GI_GLOBAL const float *x, GI_GLOBAL float *out, gi_u32 blocks,
                                     gi_u32 outputs, gi_u32 rows) {
    GI_LOCAL float parts[GI_TURNS][GI_ROWS][GI_LANES];
    const gi_u32 lane = GI_THREAD() % GI_LANES, turn = GI_THREAD() / GI_LANES;
    const gi_u32 groups = (outputs + GI_LANES - 1) / GI_LANES;
    const gi_u32 group = GI_GROUP() % groups, first_row = GI_GROUP() / groups * GI_ROWS;
    float sum[GI_ROWS];
    gi_u32 row_at[GI_ROWS]; /* rows beyond the last read the last, and are not stored */
    _Pragma("unroll") for (int row = 0; row < GI_ROWS; row++) {
        gi_u32 n = first_row + row;
        sum[row] = 0;
        row_at[row] = (n < rows ? n : rows - 1) * blocks * 32;
    }
    for (gi_u32 block = turn; block < blocks; block += GI_TURNS) {
        gi_u64 at = (gi_u64)group * blocks + block;
        float scale = gi_f16_to_f32(scales[at * GI_LANES + lane]);
        GI_GLOBAL const gi_u32 *quads = words + at * (GI_QUADS * GI_LANES) + lane;
        GI_GLOBAL const float *values = x + block * 32;
        _Pragma("unroll") for (int quad = 0; quad < GI_QUADS; quad++) {
            gi_u32 bytes = quads[quad * GI_LANES];
            GI_VARIANT(gi_add_quad)(sum, bytes, scale, values + quad * 4, row_at);
#if GI_QUADS == 4
            GI_VARIANT(gi_add_quad)(sum, bytes >> 4, scale, values + 16 + quad * 4, row_at);
#endif
        }
    }
    for (int row = 0; row < GI_ROWS; row++) parts[turn][row][lane] = sum[row];
    GI_BARRIER_LOCAL();
    for (int row = (int)turn; row < GI_ROWS; row += GI_TURNS) {
        gi_u32 n = first_row + row, column = group * GI_LANES + lane;
        float total = parts[0][row][lane];
        for (int other = 1; other < GI_TURNS; other++) total += parts[other][row][lane];
        if (n < rows && column < outputs) out[(gi_u64)n * outputs + column] = total;
    }
}
