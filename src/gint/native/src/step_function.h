#pragma once

#include <cstdint>
#include <functional>

namespace gint {

// Works on operands of a layout that it was made for, given where they begin.
using StepFunction = std::function<void(const uint64_t *pointers)>;

} // namespace gint
