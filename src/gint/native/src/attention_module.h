#pragma once

#include <nanobind/nanobind.h>

#include "cpu/share.h"
#include "step_function.h"

namespace gint {

void add_attention(nanobind::module_ &m);

// A `RowAttention` as a step on (q, k, v, keep, scores, out). Empty for other objects.
// `next`: what is read after it, which may become known later.
StepFunction attention_step(nanobind::handle attention, Following next);

} // namespace gint
