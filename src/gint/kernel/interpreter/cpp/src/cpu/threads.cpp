#include "cpu/threads.h"

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#endif

namespace gint {

#ifdef _OPENMP

// After fork the child has none of libgomp's threads, but libgomp believes it has them and would
// wait for them for ever. So a child process runs on one thread.
static bool is_forked_child = false;
[[maybe_unused]] static const int registered =
    pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; });

int default_threads() { return omp_get_max_threads(); }

int allowed_threads(int threads) {
    if (is_forked_child) return 1;
    return threads ? threads : default_threads();
}

#else

int default_threads() { return 1; }

int allowed_threads(int) { return 1; }

#endif

} // namespace gint
