#include "schedule/scheduler.h"

namespace gint {

std::shared_ptr<const Schedule> make_schedule(const Program &program, const Binding &binding,
                                              const std::vector<uint16_t> &groups,
                                              const LoopTable &loops) {
    return Scheduler(program, binding, groups, loops).run();
}

} // namespace gint
