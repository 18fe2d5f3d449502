#pragma once

#include <nanobind/nanobind.h>

namespace gint {

void add_dense(nanobind::module_ &m);

} // namespace gint
