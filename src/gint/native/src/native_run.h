// Steps in one call, as Python calls them: `NativeRun`.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "run_steps.h"

namespace gint {

struct NativeRun {
    size_t inputs = 0, made = 0, sizes = 0; // sizes: arguments behind the inputs
    bool takes_addresses = false;           // as inputs, besides tensors and arrays
    std::vector<bool> is_tensor;            // per input, whether a step needs one of torch's
    std::vector<nanobind::object> fixed;    // tensors and arrays that are the same at every call
    std::vector<RunValue> fixed_values;
    std::vector<std::unique_ptr<RunStep>> steps;
    // Per step None or, of a launch, what is called where it must not run: on copies of its
    // tensors, or the launch itself, which raises why.
    std::vector<nanobind::object> refused;
    std::vector<nanobind::object> kept; // what else steps refer to
    std::vector<Number> outputs;
    nanobind::object raise_for;
    bool is_short = true;
    size_t own_bytes = 0; // of a call's own memory, a value behind the others

    size_t first_made() const { return inputs + fixed.size(); }
    size_t value_count() const { return first_made() + made; }
    size_t memory() const { return value_count(); }
};

// A value from what Python has: an array or a tensor. False with a Python error set.
bool read_value(PyObject *object, RunValue *value);

// A new reference; null with a Python error set. Between steps signals are handled, every few
// milliseconds: what a handler raises ends the call.
PyObject *make_native_run(std::unique_ptr<NativeRun> run);

// Adds the type; false with a Python error set.
bool add_native_run_type(PyObject *module);

} // namespace gint
