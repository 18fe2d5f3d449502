// NumPy's arrays, read from their own fields: the buffer protocol describes an array anew every
// time it is asked, which costs more than a small launch.
#pragma once

#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/ndarraytypes.h>

#include <cstdint>

namespace gint {

constexpr int64_t FLOAT_BYTES = sizeof(float);

// Imports NumPy; false with a Python error set.
bool load_arrays();

// numpy.ndarray
PyTypeObject *array_type();

// An uninitialised array of the shape and type of another, in C order; null with a Python error
// set.
PyObject *new_like(PyObject *pattern);

inline bool is_array(PyObject *object) { return PyObject_TypeCheck(object, array_type()); }
inline bool is_exact_array(PyObject *object) { return Py_TYPE(object) == array_type(); }

// What an array says of itself.
class Array {
  public:
    explicit Array(PyObject *object) : array(reinterpret_cast<PyArrayObject *>(object)) {}

    uint64_t address() const { return reinterpret_cast<uintptr_t>(PyArray_DATA(array)); }
    template <class T> T *as() const { return static_cast<T *>(PyArray_DATA(array)); }
    int rank() const { return PyArray_NDIM(array); }
    int64_t length(int d) const { return PyArray_DIM(array, d); }
    int64_t stride(int d) const { return PyArray_STRIDE(array, d); } // bytes
    int type() const { return PyArray_DESCR(array)->type_num; }      // NumPy's number of it
    // Bytes of an element, for the types that arrive here without a conversion; 0 for others.
    size_t plain_size() const {
        switch (type()) {
        case NPY_FLOAT:
            return 4;
        case NPY_HALF:
            return 2;
        case NPY_UBYTE:
            return 1;
        default:
            return 0;
        }
    }
    bool is_writable() const { return PyArray_CHKFLAGS(array, NPY_ARRAY_WRITEABLE); }
    bool is_contiguous() const { return PyArray_CHKFLAGS(array, NPY_ARRAY_C_CONTIGUOUS); }
    // In this machine's byte order, and at addresses that its type may have.
    bool is_behaved() const {
        return PyArray_CHKFLAGS(array, NPY_ARRAY_ALIGNED) &&
               PyArray_ISNBO(PyArray_DESCR(array)->byteorder);
    }

  private:
    PyArrayObject *array;
};

} // namespace gint
