/* How a kernel is given the pointers to its tensor slots, GI_MAX_SLOTS of them. */
#ifndef GI_SLOTS_H
#define GI_SLOTS_H

#include "dialect.h"

#include "isa_device.inc"

#if defined(__OPENCL_VERSION__)

/* OpenCL C 1.2 has no arrays of pointers to global memory in arguments: an argument each. */
#define GI_SLOT_ARGUMENT(n) , __global uchar *slot##n
#define GI_SLOT_NAME(n) , slot##n
#define GI_SLOT_CASE(n)                                                                            \
    case n:                                                                                        \
        return slot##n;
#define GI_SLOT_PARAMETERS GI_SLOT_NUMBERS(GI_SLOT_ARGUMENT)
#define GI_SLOT_ARGUMENTS GI_SLOT_NUMBERS(GI_SLOT_NAME)

static inline __global uchar *gi_slot_pointer(gi_u32 n GI_SLOT_PARAMETERS) {
    switch (n) { GI_SLOT_NUMBERS(GI_SLOT_CASE) }
    return slot0;
}
#define GI_SLOT(n) gi_slot_pointer(n GI_SLOT_ARGUMENTS)

#else /* CUDA C++ */

struct gi_slots {
    gi_u8 *pointer[GI_MAX_SLOTS];
};
#define GI_SLOT_PARAMETERS , const gi_slots slots
#define GI_SLOT_ARGUMENTS , slots
#define GI_SLOT(n) (slots.pointer[n])

#endif

#endif
