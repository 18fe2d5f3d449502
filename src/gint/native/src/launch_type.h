// The Python type of a bound launch: launch(pointer or array, ...) -> error flag.
#pragma once

#include <Python.h>

#include <memory>

#include "run/kernel.h"

namespace gint {

// Adds the type `BoundLaunch` to the module; false with a Python error set.
bool add_launch_type(PyObject *module);

// A new reference; null with a Python error set. `explain(*pointers)` must raise: it is called
// where the launch must not run.
PyObject *make_launch(std::shared_ptr<BoundLaunch> launch, PyObject *explain);

// What a bound launch runs; null for other objects.
std::shared_ptr<BoundLaunch> launch_of(PyObject *object);

// Sets MemoryError, with a sentence; null.
PyObject *no_memory();

} // namespace gint
