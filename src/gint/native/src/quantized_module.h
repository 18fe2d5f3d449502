#pragma once

#include <nanobind/nanobind.h>

#include "cpu/share.h"
#include "step_function.h"

namespace gint {

void add_quantized(nanobind::module_ &m);

// A `Product` as a step on (x, packed weights, out), whose rows lie as those of the operands do.
// Empty for other objects. Throws where the operands are none that the product takes. `next`: what
// is read after it, which may become known later.
StepFunction product_step(nanobind::handle product, nanobind::handle operands, Following next);

// What products with packed weights read of them; empty for other objects.
NextRead weights_read(nanobind::handle weights);

// A product of `rows` rows without gaps with packed weights, from x to out. Throws where they are
// none. Whoever makes one keeps the weights.
std::function<void(const float *x, float *out)>
rows_product(nanobind::handle product, nanobind::handle weights, size_t rows, Following next);

} // namespace gint
