#pragma once

#include <nanobind/nanobind.h>

#include "sequence.h"

namespace gint {

void add_quantized(nanobind::module_ &m);

// A `Product` as a step on (x, packed weights, out), whose rows lie as those of the operands do.
// Empty for other objects. Throws where the operands are none that the product takes.
StepFunction product_step(nanobind::handle product, nanobind::handle operands);

} // namespace gint
