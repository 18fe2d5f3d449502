// Python's lock, given up for as long as a scope lasts.
#pragma once

#include <Python.h>

#include <chrono>
#include <thread>

namespace gint {

// Taken back however the scope is left: a launch that finds no memory throws. Where Python is
// ending meanwhile it ends the thread that asks, by an exception of the C library's, which would
// have to pass through whoever called, nanobind and torch among them, who take it for one of
// theirs. So the thread stays here, as from Python 3.14 on it does of itself, and ends with the
// process.
class ReleasedGil {
  public:
    ReleasedGil() : state(PyEval_SaveThread()) {}
    ~ReleasedGil() {
        try {
            PyEval_RestoreThread(state);
        } catch (...) {
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
    }
    ReleasedGil(const ReleasedGil &) = delete;
    ReleasedGil &operator=(const ReleasedGil &) = delete;

  private:
    PyThreadState *state;
};

} // namespace gint
