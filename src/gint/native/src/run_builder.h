#pragma once

#include <nanobind/nanobind.h>

namespace gint {

// Adds `RunSteps`, which collects the steps of a `NativeRun`, and `use_torch`.
void add_run_steps(nanobind::module_ &m);

} // namespace gint
