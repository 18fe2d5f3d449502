// What the loops of one instruction set add to its table.
#pragma once

#include "loops/loop_table.h"

#ifndef GINT_SIMD_NAMESPACE
#define GINT_SIMD_NAMESPACE simd_editor // only so that editors can parse this
#endif

namespace gint::GINT_SIMD_NAMESPACE {

void fill_pointwise(LoopTable &table);
void fill_casts(LoopTable &table);
void fill_chains(LoopTable &table);
void fill_choices(LoopTable &table);
void fill_reductions(LoopTable &table);
void fill_index_reductions(LoopTable &table);
void fill_scans(LoopTable &table);
void fill_moves(LoopTable &table);
void fill_stencils(LoopTable &table);
void fill_selects(LoopTable &table);
const LoopTable *table();

} // namespace gint::GINT_SIMD_NAMESPACE
