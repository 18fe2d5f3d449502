#include "arrays.h"

namespace gint {

namespace {

PyTypeObject *type = nullptr;

} // namespace

bool load_arrays() {
    PyObject *numpy = PyImport_ImportModule("numpy");
    if (!numpy) return false;
    type = reinterpret_cast<PyTypeObject *>(PyObject_GetAttrString(numpy, "ndarray"));
    Py_DECREF(numpy);
    return type != nullptr;
}

PyTypeObject *array_type() { return type; }

} // namespace gint
