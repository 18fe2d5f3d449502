// A tensor as the shim tells it.
#pragma once

#include <cstdint>

#include "torch_shim.h"

namespace gint {

constexpr int32_t CPU = 0, FLOAT = 6; // c10::DeviceType's and c10::ScalarType's numbers

struct Tensor {
    int64_t rank = 0, *sizes = nullptr, *strides = nullptr;
    int32_t dtype = 0;

    bool read(TensorHandle handle) {
        const TorchShim &torch = *torch_shim();
        return !torch.rank(handle, &rank) && !torch.sizes(handle, &sizes) &&
               !torch.strides(handle, &strides) && !torch.dtype(handle, &dtype);
    }
};

} // namespace gint
