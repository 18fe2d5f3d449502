// How many threads a launch may have.
#pragma once

namespace gint {

// OpenMP's own number of threads, which the calling thread may have set.
int default_threads();

// `threads`, or OpenMP's own number for 0; one in a forked child.
int allowed_threads(int threads);

} // namespace gint
