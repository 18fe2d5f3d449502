#include "native_run.h"

#include <algorithm>
#include <chrono>
#include <structmember.h>
#include <utility>

#include "arrays.h"
#include "launch_type.h"
#include "quantized/quantized.h"
#include "released_gil.h"

namespace nb = nanobind;

namespace gint {

namespace {

struct NativeRunObject {
    PyObject_HEAD vectorcallfunc call;
    NativeRun *run;
};

PyTypeObject *native_run_type = nullptr;

// The values of one call. What steps made and nothing released is freed.
class Values {
  public:
    explicit Values(const NativeRun &s)
        : first_made(s.first_made()), count(s.value_count()), memory(s.own_bytes) {
        if (count >= FEW) many.resize(count + 1);
        values = count >= FEW ? many.data() : few;
        values[s.memory()].address = reinterpret_cast<uint64_t>(memory.get());
        std::copy(s.fixed_values.begin(), s.fixed_values.end(), values + s.inputs);
    }
    ~Values() {
        for (size_t n = first_made; n < count; n++)
            if (values[n].handle) torch_shim()->free_tensor(values[n].handle);
    }
    Values(const Values &) = delete;
    Values &operator=(const Values &) = delete;
    RunValue *get() { return values; }

  private:
    static constexpr size_t FEW = 48;
    size_t first_made, count;
    RunValue few[FEW], *values;
    std::vector<RunValue> many;
    const Memory memory;
};

using Clock = std::chrono::steady_clock;
// How long Python hears of no signal; the clock is read once for so many steps.
constexpr std::chrono::milliseconds DEAF{10};
constexpr size_t STEPS_PER_LOOK = 16;
constexpr Clock::time_point NEVER = Clock::time_point::max();

// The steps from `next` on, which is then the one behind the last that was tried. Later than
// `end` it pauses.
Outcome run(const NativeRun &s, RunValue *values, const int64_t *sizes, Clock::time_point end,
            size_t *next, int32_t *flag) {
    while (*next < s.steps.size()) {
        const Outcome outcome = s.steps[(*next)++]->run(values, sizes, flag);
        if (outcome != Outcome::done) return outcome;
        if (*next % STEPS_PER_LOOK == 0 && end != NEVER && Clock::now() > end)
            return Outcome::paused;
    }
    return Outcome::done;
}

Outcome run_released(const NativeRun &s, RunValue *values, const int64_t *sizes, size_t *next,
                     int32_t *flag) {
    if (s.is_short) return run(s, values, sizes, NEVER, next, flag);
    const ReleasedGil released;
    return run(s, values, sizes, Clock::now() + DEAF, next, flag);
}

bool raise_for(const NativeRun &s, long flag) {
    PyObject *nothing = PyObject_CallFunction(s.raise_for.ptr(), "l", flag);
    Py_XDECREF(nothing);
    return nothing != nullptr;
}

// A value as Python has it; null with a Python error set.
PyObject *object_of(const NativeRun &s, Number n, const RunValue &value,
                    PyObject *const *arguments) {
    if (n < s.inputs) return Py_NewRef(arguments[n]);
    if (n < s.first_made()) return Py_NewRef(s.fixed[n - s.inputs].ptr());
    TensorHandle copy = nullptr;
    if (value.handle && !torch_shim()->copy_handle(value.handle, &copy)) return tensor_of(copy);
    PyErr_SetString(PyExc_RuntimeError, "A value of a run has no tensor.");
    return nullptr;
}

// New references to the values of a launch; null with a Python error set.
template <class ObjectOf> PyObject *tuple_of(const std::vector<Number> &slots, ObjectOf object_of) {
    PyObject *tuple = PyTuple_New(Py_ssize_t(slots.size()));
    for (size_t k = 0; tuple && k < slots.size(); k++) {
        PyObject *object = object_of(slots[k]);
        if (!object)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, Py_ssize_t(k), object);
    }
    return tuple;
}

// Raises why a launch must not run on its memory.
bool explain(PyObject *launch, const std::vector<Number> &slots, const RunValue *values) {
    PyObject *addresses =
        tuple_of(slots, [&](Number n) { return PyLong_FromUnsignedLongLong(values[n].address); });
    PyObject *flag = addresses ? PyObject_CallObject(launch, addresses) : nullptr;
    Py_XDECREF(addresses);
    Py_XDECREF(flag);
    if (flag) PyErr_SetString(PyExc_RuntimeError, "A launch was refused without a reason.");
    return false;
}

// Does for a refused launch what is to be done; false with a Python error set.
bool run_again(const NativeRun &s, size_t n, const RunValue *values, PyObject *const *arguments) {
    const auto &slots = static_cast<const LaunchStep &>(*s.steps[n]).memory();
    PyObject *again = s.refused[n].ptr();
    if (launch_of(again)) return explain(again, slots, values);
    PyObject *tensors =
        tuple_of(slots, [&](Number k) { return object_of(s, k, values[k], arguments); });
    PyObject *result = tensors ? PyObject_CallOneArg(again, tensors) : nullptr;
    Py_XDECREF(tensors);
    if (!result) return false;
    const long flag = PyLong_AsLong(result);
    Py_DECREF(result);
    if (flag == -1 && PyErr_Occurred()) return false;
    return flag == 0 || raise_for(s, flag);
}

// What follows after step `n`; false with a Python error set.
bool settle(const NativeRun &s, size_t n, Outcome outcome, int32_t flag, const RunValue *values,
            PyObject *const *arguments) {
    switch (outcome) {
    case Outcome::paused:
        return PyErr_CheckSignals() == 0;
    case Outcome::refused:
        return run_again(s, n, values, arguments);
    case Outcome::flagged:
        return raise_for(s, flag);
    case Outcome::no_memory:
        no_memory();
        return false;
    case Outcome::failed: {
        const char *what = torch_shim()->what();
        PyErr_Format(PyExc_RuntimeError, "An operator of torch's failed in a plan: %s",
                     what && *what ? what : "its operands do not fit together");
        return false;
    }
    case Outcome::unexpected:
        PyErr_SetString(PyExc_ValueError,
                        "An operator made other sizes or elements than the plan says.");
        return false;
    case Outcome::done:
        break;
    }
    return true;
}

// None, a tensor or a tuple of them; null with a Python error set.
PyObject *results(const NativeRun &s, RunValue *values) {
    const auto take = [&](Number n) { return tensor_of(std::exchange(values[n].handle, nullptr)); };
    if (s.outputs.empty()) Py_RETURN_NONE;
    return s.outputs.size() == 1 ? take(s.outputs[0]) : tuple_of(s.outputs, take);
}

// False with a Python error set.
bool read_input(const NativeRun &s, size_t n, PyObject *argument, RunValue *value) {
    if (s.takes_addresses && PyLong_Check(argument)) {
        value->address = PyLong_AsUnsignedLongLong(argument);
        if (value->address == ~0ull && PyErr_Occurred()) return false;
    } else if (!read_value(argument, value)) {
        return false;
    }
    if (!s.is_tensor[n] || value->handle) return true;
    PyErr_Format(PyExc_TypeError, "Argument %zu of this run is a tensor, not %s.", n,
                 Py_TYPE(argument)->tp_name);
    return false;
}

// False with a Python error set.
bool read_arguments(const NativeRun &s, PyObject *const *arguments, RunValue *values,
                    std::vector<int64_t> *sizes) {
    for (size_t n = 0; n < s.inputs; n++)
        if (!read_input(s, n, arguments[n], values + n)) return false;
    for (size_t n = 0; n < s.sizes; n++) {
        sizes->push_back(PyLong_AsLongLong(arguments[s.inputs + n]));
        if (sizes->back() == -1 && PyErr_Occurred()) return false;
    }
    return true;
}

PyObject *call_run(PyObject *object, PyObject *const *arguments, size_t flags, PyObject *names) {
    const NativeRun &s = *reinterpret_cast<NativeRunObject *>(object)->run;
    const size_t count = size_t(PyVectorcall_NARGS(flags));
    if (count != s.inputs + s.sizes || (names && PyTuple_GET_SIZE(names))) {
        PyErr_Format(PyExc_TypeError, "This run takes %zu %s and %zu sizes, not %zu arguments.",
                     s.inputs, s.takes_addresses ? "addresses or arrays" : "tensors or arrays",
                     s.sizes, count);
        return nullptr;
    }
    try {
        Values values(s);
        std::vector<int64_t> sizes;
        sizes.reserve(s.sizes);
        if (!read_arguments(s, arguments, values.get(), &sizes)) return nullptr;
        int32_t flag = 0;
        for (size_t next = 0;;) {
            const Outcome outcome = run_released(s, values.get(), sizes.data(), &next, &flag);
            if (outcome == Outcome::done) return results(s, values.get());
            if (!settle(s, next - 1, outcome, flag, values.get(), arguments)) return nullptr;
        }
    } catch (const std::bad_alloc &) {
        return no_memory();
    } catch (const std::exception &error) { // a thread that cannot be started
        PyErr_SetString(PyExc_RuntimeError, error.what());
        return nullptr;
    }
}

void destroy_run(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    delete reinterpret_cast<NativeRunObject *>(object)->run;
    type->tp_free(object);
    Py_DECREF(type);
}

PyMemberDef run_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(NativeRunObject, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};
PyType_Slot run_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void *>(destroy_run)},
    {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
    {Py_tp_members, run_members},
    {Py_tp_doc, const_cast<char *>("run(tensor or array, ..., size, ...)\n\nSteps in one call.")},
    {0, nullptr},
};
PyType_Spec run_spec = {
    "gint.native._native.NativeRun", sizeof(NativeRunObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, run_slots};

} // namespace

bool read_value(PyObject *object, RunValue *value) {
    if (is_array(object)) {
        value->address = Array(object).address();
        return true;
    }
    value->handle = handle_of(object);
    if (!value->handle) {
        PyErr_Format(PyExc_TypeError, "A run takes tensors and arrays, not %s.",
                     Py_TYPE(object)->tp_name);
        return false;
    }
    void *address = nullptr;
    if (torch_shim()->data_ptr(value->handle, &address)) {
        PyErr_SetString(PyExc_RuntimeError, "A tensor without memory came to a run.");
        return false;
    }
    value->address = reinterpret_cast<uint64_t>(address);
    return true;
}

bool add_native_run_type(PyObject *module) {
    native_run_type = reinterpret_cast<PyTypeObject *>(PyType_FromSpec(&run_spec));
    return native_run_type &&
           PyModule_AddObjectRef(module, "NativeRun",
                                 reinterpret_cast<PyObject *>(native_run_type)) == 0;
}

PyObject *make_native_run(std::unique_ptr<NativeRun> run) {
    auto *object = PyObject_New(NativeRunObject, native_run_type);
    if (!object) return nullptr;
    object->call = call_run;
    object->run = run.release();
    return reinterpret_cast<PyObject *>(object);
}

} // namespace gint
