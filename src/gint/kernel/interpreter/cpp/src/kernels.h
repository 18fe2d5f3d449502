// What the kernels*.cpp of one instruction set add to its table.
#pragma once

#include "kernel_table.h"

#ifndef GINT_SIMD_NAMESPACE
#define GINT_SIMD_NAMESPACE simd_editor // only so that editors can parse this
#endif

namespace gint::GINT_SIMD_NAMESPACE {

void fill_pointwise(KernelTable &table);
void fill_casts(KernelTable &table);
void fill_chains(KernelTable &table);
void fill_reductions(KernelTable &table);
void fill_moves(KernelTable &table);
const KernelTable *table();

} // namespace gint::GINT_SIMD_NAMESPACE
