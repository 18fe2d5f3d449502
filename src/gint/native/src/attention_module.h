#pragma once

#include <nanobind/nanobind.h>

#include "step_function.h"

namespace gint {

void add_attention(nanobind::module_ &m);

// A `RowAttention` as a step on (q, k, v, keep, scores, out). Empty for other objects.
StepFunction attention_step(nanobind::handle attention);

} // namespace gint
