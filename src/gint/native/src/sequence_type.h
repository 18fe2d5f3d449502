// What Python sees of sequences.
#pragma once

#include <nanobind/nanobind.h>

namespace gint {

// Adds `SequenceSteps`, which collects steps, the type of the sequences it makes, and `use_torch`.
void add_sequences(nanobind::module_ &m);

} // namespace gint
