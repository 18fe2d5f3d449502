// A schedule as text, for people and tests. Says nothing that depends on the CPU or on how many
// threads there are.
#pragma once

#include <string>

#include "schedule/schedule.h"

namespace gint {

// What the parts of a program are called in its text form.
struct Names {
    std::vector<std::string> axes, slots, params;
};

std::string describe(const Schedule &schedule, const Names &names);

} // namespace gint
