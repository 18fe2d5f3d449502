#include "torch_shim.h"

namespace gint {

namespace {

TorchShim shim;
PyTypeObject *type = nullptr;
PyObject *wrap_capsules = nullptr;
ptrdiff_t offset_in_object = 0;

template <class Function> bool find(PyObject *functions, const char *name, Function *out) {
    PyObject *address = PyMapping_GetItemString(functions, name);
    if (!address) return false;
    void *found = PyLong_AsVoidPtr(address);
    Py_DECREF(address);
    *out = reinterpret_cast<Function>(found);
    return found != nullptr;
}

// Of functions that not every torch has, all of a kind or none: the others stay null.
void find_onednn(PyObject *functions) {
    TorchShim found = shim;
    if (find(functions, "linear_pointwise", &found.linear_pointwise) &&
        find(functions, "linear_pointwise_binary", &found.linear_pointwise_binary) &&
        find(functions, "convolution_pointwise", &found.convolution_pointwise) &&
        find(functions, "convolution_pointwise_binary", &found.convolution_pointwise_binary))
        shim = found;
    else
        PyErr_Clear();
}

} // namespace

const TorchShim *torch_shim() { return type ? &shim : nullptr; }

TensorHandle handle_of(PyObject *object) {
    if (!type || !PyObject_TypeCheck(object, type)) return nullptr;
    return reinterpret_cast<char *>(object) + offset_in_object;
}

PyObject *tensor_of(TensorHandle handle) {
    PyObject *capsule = PyCapsule_New(handle, nullptr, nullptr);
    if (!capsule) {
        shim.free_tensor(handle);
        return nullptr;
    }
    PyObject *tensors = PyObject_CallFunction(wrap_capsules, "([N])", capsule);
    PyObject *tensor = tensors ? PySequence_GetItem(tensors, 0) : nullptr;
    Py_XDECREF(tensors);
    return tensor;
}

bool set_torch_shim(PyObject *tensor_type, ptrdiff_t offset, PyObject *wrap, PyObject *functions) {
    const bool found =
        find(functions, "data_ptr", &shim.data_ptr) &&
        find(functions, "reinterpret", &shim.reinterpret) &&
        find(functions, "copy_handle", &shim.copy_handle) &&
        find(functions, "free_tensor", &shim.free_tensor) &&
        find(functions, "mm_out", &shim.mm_out) && find(functions, "bmm_out", &shim.bmm_out) &&
        find(functions, "addmm_out", &shim.addmm_out) &&
        find(functions, "baddbmm_out", &shim.baddbmm_out) &&
        find(functions, "attention", &shim.attention) &&
        find(functions, "convolution", &shim.convolution) && find(functions, "rank", &shim.rank) &&
        find(functions, "device_type", &shim.device_type) &&
        find(functions, "sizes", &shim.sizes) && find(functions, "strides", &shim.strides) &&
        find(functions, "dtype", &shim.dtype) &&
        find(functions, "empty_strided", &shim.empty_strided) &&
        find(functions, "copy", &shim.copy) && find(functions, "what", &shim.what);
    if (!found) return false;
    find_onednn(functions);
    wrap_capsules = Py_NewRef(wrap);
    Py_INCREF(tensor_type);
    type = reinterpret_cast<PyTypeObject *>(tensor_type);
    offset_in_object = offset;
    return true;
}

} // namespace gint
