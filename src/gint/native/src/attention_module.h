#pragma once

#include <nanobind/nanobind.h>

#include "cpu/share.h"
#include "sequence.h"

namespace gint {

void add_attention(nanobind::module_ &m);

// A `RowAttention` as a step on (q, k, v, keep, scores, out). Empty for other objects.
// `next`: what is read after it, if that is known.
StepFunction attention_step(nanobind::handle attention, const NextRead &next);

} // namespace gint
