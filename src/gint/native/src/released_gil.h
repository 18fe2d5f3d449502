// Python's lock, given up for as long as a scope lasts.
#pragma once

#include <Python.h>

namespace gint {

// Taken back however the scope is left: a launch that finds no memory throws. Taking it back ends
// the thread where Python is ending, by an exception of the C library's that has to pass.
class ReleasedGil {
  public:
    ReleasedGil() : state(PyEval_SaveThread()) {}
    ~ReleasedGil() noexcept(false) { PyEval_RestoreThread(state); }
    ReleasedGil(const ReleasedGil &) = delete;
    ReleasedGil &operator=(const ReleasedGil &) = delete;

  private:
    PyThreadState *state;
};

} // namespace gint
