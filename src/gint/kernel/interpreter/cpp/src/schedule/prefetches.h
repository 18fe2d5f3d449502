// What a block asks for on behalf of the next one.
#pragma once

#include "schedule/inputs.h"

namespace gint {

// Adds to the finished sections of `out` what they prefetch, and the points at which they do so.
void add_prefetches(const Inputs &inputs, Schedule &out);

} // namespace gint
