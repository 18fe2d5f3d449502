#include "arrays.h"

#include <numpy/arrayobject.h>

namespace gint {

namespace {

PyTypeObject *type = nullptr;

} // namespace

bool load_arrays() {
    if (_import_array() < 0) return false;
    type = &PyArray_Type;
    return true;
}

PyTypeObject *array_type() { return type; }

PyObject *new_like(PyObject *pattern) {
    return PyArray_NewLikeArray(reinterpret_cast<PyArrayObject *>(pattern), NPY_CORDER, nullptr, 0);
}

} // namespace gint
