#pragma once

#include <nanobind/nanobind.h>

namespace gint {

void add_scatter(nanobind::module_ &m);

} // namespace gint
