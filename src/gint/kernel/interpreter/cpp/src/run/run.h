// Running a schedule: tiles, sections, threads.
#pragma once

#include "schedule/schedule.h"

namespace gint {

constexpr int32_t OUT_OF_MEMORY = GI_OUT_OF_MEMORY; // a bit of the error flag

// One launch of a schedule whose numbers are known: everything but the addresses.
class Run {
  public:
    Run(std::shared_ptr<const Schedule> schedule, const Binding &binding);

    // Runs on up to `threads` threads (0: OpenMP's own number) with the slots' storages at these
    // addresses; the error flag.
    int32_t operator()(const uint64_t *pointers, int threads) const;

    const Schedule &schedule() const { return *s; }

  private:
    std::shared_ptr<const Schedule> s;
    std::vector<int64_t> offsets; // per Schedule::touched, in bytes
    std::vector<uint8_t> pool;
    int32_t pool_error = 0;
};

} // namespace gint
