// Threads that help with a piece of work if they come in time. OpenMP waits for every thread of a
// region, also for one that wakes after all has been done, and that may take milliseconds: an idle
// core of a virtual machine, or one on which another library's thread spins.
#pragma once

#include <functional>

namespace gint {

// part(0) on this thread, and at the same time part(1) ... part(threads - 1) on others, as far as
// they begin before part(0) returns. Each part takes what is left of the work until nothing is, and
// throws nothing. Returns when all that began have ended.
void work_together(int threads, const std::function<void(int)> &part);

} // namespace gint
