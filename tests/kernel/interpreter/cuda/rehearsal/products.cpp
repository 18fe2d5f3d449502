
/* After the source of the quantised products: the kernels by the names the driver looks up. */
#define REHEARSE(name)                                                                             \
    extern "C" __attribute__((visibility("default"))) void rehearse_##name(void **p) {             \
        name(*(const gi_u32 **)p[0], *(const gi_u16 **)p[1], *(const float **)p[2],                \
             *(float **)p[3], *(gi_u32 *)p[4], *(gi_u32 *)p[5], *(gi_u32 *)p[6]);                  \
    }
REHEARSE(gint_quantized_4_1)
REHEARSE(gint_quantized_4_8)
REHEARSE(gint_quantized_8_1)
REHEARSE(gint_quantized_8_8)
