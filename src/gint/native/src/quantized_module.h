#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "cpu/share.h"
#include "quantized/quantized.h"
#include "step_function.h"

namespace gint {

void add_quantized(nanobind::module_ &m);

// A `Product` as a step on (x, packed weights, out), whose rows lie as those of the operands do.
// Empty for other objects. Throws where the operands are none that the product takes. `next`: what
// is read after it, which may become known later.
StepFunction product_step(nanobind::handle product, nanobind::handle operands, Following next);

// Null for other objects.
const PackedWeights *packed_weights(nanobind::handle object);

// Products of `rows` rows without gaps with packed weights, all with the same x.
class RowsProducts {
  public:
    // False where it cannot be made together with those that were added. Throws where it is none.
    // Whoever adds one keeps the weights.
    bool add(nanobind::handle product, nanobind::handle weights, size_t rows);
    // outs: of each product.
    void operator()(const float *x, float *const *outs, const NextRead &next) const;
    size_t size() const { return products.size(); }
    size_t outputs(size_t n) const { return products[n].matrix.outputs; }

  private:
    std::vector<Product> products;
    int threads = 0;
};

} // namespace gint
