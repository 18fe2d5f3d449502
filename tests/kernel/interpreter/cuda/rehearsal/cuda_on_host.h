/* Enough of CUDA C++ for a host compiler: a thread of a block is a fiber (driver.cpp), a block runs
 * alone, so that a static array is its shared memory. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#define __CUDACC__ 1
#define __device__
#define __global__
#define __shared__ static
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

struct uint3 {
    unsigned x, y, z;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
extern uint3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
/* What is asked for ahead has to exist. */
#define GI_PREFETCH(p) ((void)*(const volatile unsigned char *)(p))
#define GI_MUL_WIDE(a, b) ((int64_t)(a) * (int64_t)(b))
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((uint64_t)a * b) >> 32); }
template <class T> inline T __ldg(const T *p) { return *p; }
inline int atomicOr(int *p, int bits) {
    int before = *p;
    *p |= bits;
    return before;
}
