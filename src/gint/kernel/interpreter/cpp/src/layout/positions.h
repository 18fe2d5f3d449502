// Integers that are a constant and a multiple of every axis's position, such as the indices that an
// argmax folds and the bounds of a triangle. Found before anything runs: nobody has to compute such
// a number per element.
#pragma once

#include <optional>

#include "program/binding.h"

namespace gint {

struct LinearIndex {
    int64_t constant = 0;
    int64_t per_axis[MAX_AXES] = {}; // of the program
};

// What a register of type i64 holds, or nothing where it is no such number.
std::optional<LinearIndex> linear_index(const Program &program, const Binding &binding,
                                        uint16_t reg);

} // namespace gint
