// How many threads a launch may have, and a region of code that several of them run.
#pragma once

namespace gint {

// OpenMP's own number of threads, which the calling thread may have set.
int default_threads();

// `threads`, or OpenMP's own number for 0; one in a forked child.
int allowed_threads(int threads);

// body(data) on each thread of a team of at most `threads`; it throws nothing.
void run_in_team(int threads, void (*body)(void *), void *data);
template <class Body> void in_team(int threads, Body body) {
    run_in_team(threads, [](void *data) noexcept { (*static_cast<Body *>(data))(); }, &body);
}

// In a body: how many there are, which one this is, and waiting until all have come here.
int team_size();
int thread_number();
void barrier();

} // namespace gint
