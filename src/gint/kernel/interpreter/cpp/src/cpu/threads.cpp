#include "cpu/threads.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#if defined(GINT_LIBGOMP)
// The functions of libgomp that gcc makes of OpenMP's pragmas. clang would make calls of libomp of
// them: a second runtime beside torch's, whose threads would know nothing of torch's settings.
extern "C" {
void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
void GOMP_barrier();
int omp_get_max_threads();
int omp_get_num_threads();
int omp_get_thread_num();
}
#elif defined(_OPENMP)
#include <omp.h>
#endif

#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void *address);
extern "C" void __tsan_release(void *address);
#endif

namespace gint {

#if defined(GINT_LIBGOMP) || defined(_OPENMP)

// After fork the child has none of OpenMP's threads, but its runtime believes it has them and would
// wait for them for ever. So a child process runs on one thread.
static bool is_forked_child = false;
#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] static const int registered =
    pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; });
#endif

int default_threads() { return omp_get_max_threads(); }

int allowed_threads(int threads) {
    if (is_forked_child) return 1;
    return threads ? threads : default_threads();
}

int team_size() { return omp_get_num_threads(); }

int thread_number() { return omp_get_thread_num(); }

namespace {

#if defined(GINT_LIBGOMP)
void enter(int threads, void (*body)(void *), void *data) {
    GOMP_parallel(body, data, unsigned(threads), 0);
}
void wait_for_all() { GOMP_barrier(); }
#else
void enter(int threads, void (*body)(void *), void *data) {
#pragma omp parallel num_threads(threads)
    body(data);
}
void wait_for_all() {
#pragma omp barrier
}
#endif

#ifdef __SANITIZE_THREAD__
// The runtime orders its threads by futexes, which ThreadSanitizer does not see: it is told that
// what is written before all threads of a team meet is seen after.
struct Region {
    void (*body)(void *);
    void *data;
};
thread_local Region *own = nullptr;

void run_member(void *region) {
    __tsan_acquire(region);
    own = static_cast<Region *>(region);
    own->body(own->data);
    __tsan_release(region);
}
#endif

} // namespace

#ifdef __SANITIZE_THREAD__

void run_in_team(int threads, void (*body)(void *), void *data) {
    Region region{body, data};
    __tsan_release(&region);
    enter(threads, run_member, &region);
    __tsan_acquire(&region);
}

void barrier() {
    __tsan_release(own);
    wait_for_all();
    __tsan_acquire(own);
}

#else

void run_in_team(int threads, void (*body)(void *), void *data) { enter(threads, body, data); }

void barrier() { wait_for_all(); }

#endif

#else

int default_threads() { return 1; }

int allowed_threads(int) { return 1; }

void run_in_team(int, void (*body)(void *), void *data) { body(data); }

int team_size() { return 1; }

int thread_number() { return 0; }

void barrier() {}

#endif

} // namespace gint
