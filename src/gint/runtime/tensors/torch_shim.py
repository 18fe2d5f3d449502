"""torch's C shim, told to the native module: how a plan's steps call ATen without Python between.

The shim is a set of C functions in libtorch_cpu that torch keeps stable for models compiled ahead
of time. It is found at run time, by name; nothing is compiled against torch. A tensor is handed to
it by the address of the at::Tensor within the Python object. Where that lies is asked of a few
tensors, by `Tensor._cdata`; where they do not agree, or a function is missing, there is no shim.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from gint.native import NativeMissingError, load_native

#: As the native module calls them -> as torch does.
FUNCTIONS = {
    "data_ptr": "aoti_torch_get_data_ptr",
    "reinterpret": "aoti_torch__reinterpret_tensor",
    "copy_handle": "aoti_torch_new_tensor_handle",
    "free_tensor": "aoti_torch_delete_tensor_object",
    "rank": "aoti_torch_get_dim",
    "device_type": "aoti_torch_get_device_type",
    "sizes": "aoti_torch_get_sizes",
    "strides": "aoti_torch_get_strides",
    "dtype": "aoti_torch_get_dtype",
    "empty_strided": "aoti_torch_empty_strided",
    "copy": "aoti_torch_copy_",
    "mm_out": "aoti_torch_cpu_mm_out",
    "bmm_out": "aoti_torch_cpu_bmm_out",
    "addmm_out": "aoti_torch_cpu_addmm_out",
    "baddbmm_out": "aoti_torch_cpu_baddbmm_out",
    "attention": "aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu",
    "convolution": "aoti_torch_cpu_convolution",
    "what": "torch_exception_get_what_without_backtrace",
}
#: Of a torch that is built with oneDNN.
ONEDNN_FUNCTIONS = {
    "linear_pointwise": "aoti_torch_cpu__linear_pointwise",
    "linear_pointwise_binary": "aoti_torch_cpu__linear_pointwise_binary",
    "convolution_pointwise": "aoti_torch_cpu_mkldnn__convolution_pointwise",
    "convolution_pointwise_binary": "aoti_torch_cpu_mkldnn__convolution_pointwise_binary",
}


@lru_cache(maxsize=1)
def native_with_torch() -> Any | None:
    """The native module, whose runs take torch's tensors and call its operators; None where
    this torch has no shim, or the module is not there."""
    try:
        native = load_native()
        # The one for a single tensor returns it with a reference too many (torch 2.13).
        wrap = torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        functions = _addresses(library, FUNCTIONS)
        if has_onednn():
            functions |= _addresses(library, ONEDNN_FUNCTIONS)
    except (NativeMissingError, AttributeError, OSError):
        return None
    offset = _offset_of_tensor()
    if offset is None:
        return None
    native.use_torch(torch._C.TensorBase, offset, wrap, functions)
    return native


@lru_cache(maxsize=1)
def has_onednn() -> bool:
    """Whether runs can call oneDNN's products and convolutions with what follows them."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    except OSError:
        return False
    return all(hasattr(library, name) for name in ONEDNN_FUNCTIONS.values())


def _addresses(library: ctypes.CDLL, names: dict[str, str]) -> dict[str, Any]:
    return {
        name: ctypes.cast(getattr(library, of_torch), ctypes.c_void_p).value
        for name, of_torch in names.items()
    }


def _offset_of_tensor() -> int | None:
    """Where in a Python tensor its at::Tensor lies: a pointer to what `_cdata` tells."""
    probed = (torch.empty(2), torch.nn.Parameter(torch.empty(3)), torch.empty(0, dtype=torch.int8))
    words = torch._C.TensorBase.__basicsize__ // 8
    found = set(range(0, 8 * words, 8))
    for t in probed:
        memory = (ctypes.c_uint64 * words).from_address(id(t))
        found &= {8 * n for n, word in enumerate(memory) if word == t._cdata}
    return found.pop() if len(found) == 1 else None
