
/* After the device sources: the kernels by the names the driver looks up. */
extern "C" __attribute__((visibility("default"))) void GI_NAME(rehearse_gint_run)(void **p) {
    GI_NAME(gint_run)(*(const gi_i64 **)p[0], *(gi_u32 *)p[1], *(gi_word **)p[2], *(gi_i32 **)p[3],
                      *(gi_slots *)p[4]);
}
extern "C" __attribute__((visibility("default"))) void GI_NAME(rehearse_gint_combine)(void **p) {
    GI_NAME(gint_combine)(*(const gi_i64 **)p[0], *(gi_u32 *)p[1], *(gi_word **)p[2]);
}
