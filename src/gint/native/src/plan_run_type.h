// What Python sees of runs.
#pragma once

#include <nanobind/nanobind.h>

namespace gint {

// Adds `PlanSteps`, which collects steps, the type of the runs it makes, and `use_torch`.
void add_plan_runs(nanobind::module_ &m);

} // namespace gint
