// The intrinsics of the instruction set a unit is compiled for, and no more of them than it has: to
// read those of AVX and AVX-512 takes as long as to compile many a loop.
#pragma once

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__x86_64__)
#include <smmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
