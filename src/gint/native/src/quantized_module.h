#pragma once

#include <nanobind/nanobind.h>

namespace gint {

void add_quantized(nanobind::module_ &m);

} // namespace gint
