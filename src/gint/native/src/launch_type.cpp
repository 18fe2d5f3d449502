#include "launch_type.h"

#include <cstddef>
#include <new>
#include <structmember.h>

#include "arrays.h"
#include "released_gil.h"

namespace gint {

namespace {

// Written against Python's C interface, not nanobind, for the sake of small launches: a call costs
// no tuple and no lookup.
struct LaunchObject {
    PyObject_HEAD vectorcallfunc call;
    std::shared_ptr<BoundLaunch> launch;
    PyObject *explain;
};

PyTypeObject *launch_type = nullptr;

bool read_pointers(PyObject *const *arguments, size_t count, uint64_t *pointers) {
    for (size_t n = 0; n < count; n++) {
        if (is_array(arguments[n])) {
            pointers[n] = Array(arguments[n]).address();
            continue;
        }
        pointers[n] = PyLong_AsUnsignedLongLong(arguments[n]);
        if (pointers[n] == ~0ull && PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return false;
            PyErr_Clear();
            pointers[n] = 0; // no address: refused and explained below
        }
    }
    return true;
}

std::optional<int32_t> run_released(const BoundLaunch &launch, const uint64_t *pointers) {
    if (launch.is_short()) return launch(pointers);
    const ReleasedGil released;
    return launch(pointers);
}

PyObject *refuse(LaunchObject *self, const uint64_t *pointers, size_t count) {
    PyObject *arguments = PyTuple_New(Py_ssize_t(count));
    for (size_t n = 0; arguments && n < count; n++)
        PyTuple_SET_ITEM(arguments, n, PyLong_FromUnsignedLongLong(pointers[n]));
    PyObject *nothing = arguments ? PyObject_CallObject(self->explain, arguments) : nullptr;
    Py_XDECREF(arguments);
    Py_XDECREF(nothing);
    if (nothing) PyErr_SetString(PyExc_RuntimeError, "The launch was refused without a reason.");
    return nullptr;
}

PyObject *call_launch(PyObject *object, PyObject *const *arguments, size_t flags, PyObject *names) {
    auto *self = reinterpret_cast<LaunchObject *>(object);
    const size_t count = size_t(PyVectorcall_NARGS(flags));
    const size_t wanted = self->launch->slot_count();
    if (count != wanted || (names && PyTuple_GET_SIZE(names))) {
        PyErr_Format(PyExc_TypeError, "A launch takes one pointer or array per slot, %zu, not %zu.",
                     wanted, count);
        return nullptr;
    }
    constexpr size_t FEW = 16;
    uint64_t few[FEW];
    try {
        std::vector<uint64_t> many(count > FEW ? count : 0);
        uint64_t *pointers = count > FEW ? many.data() : few;
        if (!read_pointers(arguments, count, pointers)) return nullptr;
        const std::optional<int32_t> flag = run_released(*self->launch, pointers);
        if (!flag) return refuse(self, pointers, count);
        if (*flag & OUT_OF_MEMORY) return no_memory();
        return PyLong_FromLong(*flag);
    } catch (const std::bad_alloc &) {
        return no_memory();
    }
}

void destroy_launch(PyObject *object) {
    auto *self = reinterpret_cast<LaunchObject *>(object);
    PyTypeObject *type = Py_TYPE(object);
    self->launch.~shared_ptr();
    Py_XDECREF(self->explain);
    type->tp_free(object);
    Py_DECREF(type);
}

PyMemberDef launch_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(LaunchObject, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};
PyType_Slot launch_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void *>(destroy_launch)},
    {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
    {Py_tp_members, launch_members},
    {Py_tp_doc, const_cast<char *>("launch(pointer or array, ...) -> error flag\n\n"
                                   "A verified launch. One argument per slot: a pointer to its "
                                   "storage, or an array whose first element lies there.")},
    {0, nullptr},
};
PyType_Spec launch_spec = {"gint.native._native.BoundLaunch", sizeof(LaunchObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                               Py_TPFLAGS_DISALLOW_INSTANTIATION,
                           launch_slots};

} // namespace

PyObject *no_memory() {
    PyErr_SetString(PyExc_MemoryError, "The C++ interpreter found no memory for its own use.");
    return nullptr;
}

std::shared_ptr<BoundLaunch> launch_of(PyObject *object) {
    if (Py_TYPE(object) != launch_type) return nullptr;
    return reinterpret_cast<LaunchObject *>(object)->launch;
}

bool add_launch_type(PyObject *module) {
    launch_type = reinterpret_cast<PyTypeObject *>(PyType_FromSpec(&launch_spec));
    return launch_type &&
           PyObject_SetAttrString(reinterpret_cast<PyObject *>(launch_type), "takes_arrays",
                                  Py_True) == 0 &&
           PyModule_AddObjectRef(module, "BoundLaunch",
                                 reinterpret_cast<PyObject *>(launch_type)) == 0;
}

PyObject *make_launch(std::shared_ptr<BoundLaunch> launch, PyObject *explain) {
    auto *self = PyObject_New(LaunchObject, launch_type);
    if (!self) return nullptr;
    self->call = call_launch;
    new (&self->launch) std::shared_ptr<BoundLaunch>(std::move(launch));
    self->explain = Py_NewRef(explain);
    return reinterpret_cast<PyObject *>(self);
}

} // namespace gint
