/* One spelling for OpenCL C 1.2 and CUDA C++ of what a kernel needs beyond arithmetic: address
 * spaces, barriers, work-item numbers.
 *
 * Build macros (device/build.py gives them):
 * GI_WORD_BITS     32 or 64: the width of a register's element
 * GI_ELEMENTS      elements a thread computes at a time, a power of two
 * GI_REGISTERS     registers r0 r1 ... of a thread, 3 to GI_DEVICE_REGISTERS
 * GI_BLOCK         threads of a work-group, a power of two
 * GI_STEP          elements of a heavy operation computed at a time
 * GI_ON_CPU        1 for a CPU: code that is small rather than unrolled */
#ifndef GI_DIALECT_H
#define GI_DIALECT_H

#include "math_base.h"

#if defined(__OPENCL_VERSION__)

#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

typedef char int8_t;
typedef uchar uint8_t;
typedef short int16_t;
typedef ushort uint16_t;
typedef int int32_t;
typedef uint uint32_t;
typedef long int64_t;
typedef ulong uint64_t;

#define GI_GLOBAL __global
#define GI_LOCAL __local
#define GI_LOCAL_POINTER __local
#define GI_KERNEL __kernel __attribute__((reqd_work_group_size(GI_BLOCK, 1, 1))) void
#define GI_BARRIER_LOCAL() barrier(CLK_LOCAL_MEM_FENCE)
#define GI_BARRIER_GLOBAL() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define GI_THREAD() ((gi_u32)get_local_id(0))
#define GI_GROUP() ((gi_u32)get_group_id(0))
#define GI_GROUPS() ((gi_u32)get_num_groups(0))
#define GI_SET_FLAG(flag, bits) atomic_or(flag, bits)
#define GI_MUL_HI(a, b) mul_hi((gi_u32)(a), (gi_u32)(b))
#define GI_MUL_WIDE(a, b) ((gi_i64)(a) * (gi_i64)(b))
#define GI_CODE_AT(code, i) ((code)[i])
#define GI_LOOKS_AHEAD 0 /* OpenCL's prefetch says nothing of which cache */
#define GI_INLINE static inline
#define GI_ROLL _Pragma("nounroll")
#if GI_ON_CPU
#define GI_SECTION static __attribute__((noinline))
#else
#define GI_SECTION static inline
#endif

#else /* CUDA C++ */

#define GI_GLOBAL
#define GI_LOCAL __shared__
#define GI_LOCAL_POINTER
/* GI_GROUPS_TOGETHER groups share a multiprocessor: with more threads in flight, and fewer
 * registers for each, the latency of memory is hidden. */
#ifndef GI_GROUPS_TOGETHER
#define GI_GROUPS_TOGETHER 1
#endif
#define GI_KERNEL extern "C" __global__ void __launch_bounds__(GI_BLOCK, GI_GROUPS_TOGETHER)
#define GI_BARRIER_LOCAL() __syncthreads()
#define GI_BARRIER_GLOBAL() __syncthreads()
#define GI_THREAD() ((gi_u32)threadIdx.x)
#define GI_GROUP() ((gi_u32)blockIdx.x)
#define GI_GROUPS() ((gi_u32)gridDim.x)
#define GI_SET_FLAG(flag, bits) atomicOr(flag, bits)
#define GI_MUL_HI(a, b) __umulhi(a, b)
/* Of two gi_i32: the compiler makes four instructions of the product of their 64-bit values. */
#ifndef GI_MUL_WIDE
static __device__ __forceinline__ gi_i64 gi_mul_wide(gi_i32 a, gi_i32 b) {
    long long product;
    asm("mul.wide.s32 %0, %1, %2;" : "=l"(product) : "r"(a), "r"(b));
    return product;
}
#define GI_MUL_WIDE(a, b) gi_mul_wide(a, b)
#endif
#define GI_CODE_AT(code, i) __ldg((code) + (i))
#ifndef GI_LOOKS_AHEAD
#define GI_LOOKS_AHEAD 0
#endif
#ifndef GI_PREFETCH
#define GI_PREFETCH(p) asm volatile("prefetch.global.L2 [%0];" ::"l"(p))
#endif
#define GI_INLINE static __device__ __forceinline__
#define GI_SECTION GI_INLINE
#define GI_ROLL _Pragma("unroll 1")

#endif

/* GPUs keep registers in registers only if every index is known: loops over elements are unrolled.
 * On CPUs they are loops over arrays, which vectorise and build in a fraction of the time. */
#if GI_ON_CPU
#define GI_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define GI_UNROLL _Pragma("unroll")
#endif
#define GI_ALL_UNROLLED GI_UNROLL for (int e = 0; e < GI_ELEMENTS; e++)

#endif
