// torch's C shim: functions of libtorch_cpu with a C interface that torch keeps stable, found at
// run time. Nothing here is compiled or linked against torch.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>

namespace gint {

using TensorHandle = void *; // an at::Tensor, by address
using ShimError = int32_t;   // 0 is success

struct TorchShim {
    ShimError (*data_ptr)(TensorHandle, void **);
    ShimError (*reinterpret)(TensorHandle, int64_t dims, const int64_t *sizes,
                             const int64_t *strides, int64_t offset, TensorHandle *made);
    ShimError (*copy_handle)(TensorHandle, TensorHandle *made);
    ShimError (*free_tensor)(TensorHandle);
    ShimError (*mm_out)(TensorHandle out, TensorHandle a, TensorHandle b);
    ShimError (*bmm_out)(TensorHandle out, TensorHandle a, TensorHandle b);
    ShimError (*addmm_out)(TensorHandle out, TensorHandle c, TensorHandle a, TensorHandle b,
                           double beta, double alpha);
    ShimError (*baddbmm_out)(TensorHandle out, TensorHandle c, TensorHandle a, TensorHandle b,
                             double beta, double alpha);
    ShimError (*attention)(TensorHandle query, TensorHandle key, TensorHandle value, double dropout,
                           int32_t is_causal, TensorHandle *mask, double *scale,
                           TensorHandle *result, TensorHandle *logsumexp);
    ShimError (*convolution)(TensorHandle input, TensorHandle weight, TensorHandle *bias,
                             const int64_t *stride, int64_t, const int64_t *padding, int64_t,
                             const int64_t *dilation, int64_t, int32_t is_transposed,
                             const int64_t *output_padding, int64_t, int64_t groups,
                             TensorHandle *made);
    ShimError (*rank)(TensorHandle, int64_t *);
    ShimError (*device_type)(TensorHandle, int32_t *);
    // By oneDNN, with what follows; null where this torch is built without it. `scalars` and
    // `algorithm` are those of the operation `attr`.
    ShimError (*linear_pointwise)(TensorHandle input, TensorHandle weight, TensorHandle *bias,
                                  const char *attr, const double **scalars, int64_t,
                                  const char **algorithm, TensorHandle *made);
    ShimError (*linear_pointwise_binary)(TensorHandle input, TensorHandle other,
                                         TensorHandle weight, TensorHandle *bias, const char *attr,
                                         TensorHandle *made);
    ShimError (*convolution_pointwise)(TensorHandle input, TensorHandle weight, TensorHandle *bias,
                                       const int64_t *padding, int64_t, const int64_t *stride,
                                       int64_t, const int64_t *dilation, int64_t, int64_t groups,
                                       const char *attr, const double **scalars, int64_t,
                                       const char **algorithm, TensorHandle *made);
    ShimError (*convolution_pointwise_binary)(
        TensorHandle input, TensorHandle other, TensorHandle weight, TensorHandle *bias,
        const int64_t *padding, int64_t, const int64_t *stride, int64_t, const int64_t *dilation,
        int64_t, int64_t groups, const char *binary_attr, double *alpha, const char **attr,
        const double **scalars, int64_t, const char **algorithm, TensorHandle *made);
    ShimError (*sizes)(TensorHandle, int64_t **);
    ShimError (*strides)(TensorHandle, int64_t **);
    ShimError (*dtype)(TensorHandle, int32_t *);
    ShimError (*empty_strided)(int64_t dims, const int64_t *sizes, const int64_t *strides,
                               int32_t dtype, int32_t device_type, int32_t device,
                               TensorHandle *made);
    ShimError (*copy)(TensorHandle into, TensorHandle from, int32_t non_blocking);
    const char *(*what)(); // what the last error of this thread was
};

// Null until Python has told where the functions are.
const TorchShim *torch_shim();

// The at::Tensor within a Python tensor; null for any other object.
TensorHandle handle_of(PyObject *object);

// A Python tensor for a handle, which is taken over; null with a Python error set.
PyObject *tensor_of(TensorHandle handle);

// `functions` maps the fields' names to addresses, `offset` is where in an object of `tensor_type`
// its at::Tensor lies, `wrap` makes a list of Python tensors of one of capsules with handles. False
// with a KeyError set for a function that is missing.
bool set_torch_shim(PyObject *tensor_type, ptrdiff_t offset, PyObject *wrap, PyObject *functions);

} // namespace gint
