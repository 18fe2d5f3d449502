#pragma once

#include <nanobind/nanobind.h>

#include "step_function.h"

namespace gint {

void add_row_steps(nanobind::module_ &m);

// A `RowStep` as a step on its operands. Empty for other objects.
StepFunction row_step(nanobind::handle step);

} // namespace gint
