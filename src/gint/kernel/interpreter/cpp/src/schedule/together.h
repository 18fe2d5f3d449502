// Tiles that go on from one another and leave nothing in the frame: a worker takes several as one.
#pragma once

#include "schedule/inputs.h"

namespace gint {

// Of a finished schedule. 1 where a tile has to be a tile.
int64_t tiles_at_once(const Inputs &inputs, const Schedule &schedule);

} // namespace gint
