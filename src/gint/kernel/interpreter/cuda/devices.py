"""The CUDA devices there are, asked for through the driver's C interface.

Standard library only, so that it works before anything is built or installed.
"""

from __future__ import annotations

import ctypes
import os

from gint.backend.protocol import Listing, Platform

#: What lists of devices call this driver.
DRIVER = "CUDA"
LIBRARY = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"


def list_platforms() -> Listing:
    """The driver with its devices, usable or not."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError as error:
        return Listing(reason=f"no driver: {error}")
    status = driver.cuInit(0)
    version, count = ctypes.c_int(), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    name = f"driver for CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    if status != 0:
        return Listing((Platform(name, reason=f"cuInit gives {_error(driver, status)}"),))
    driver.cuDeviceGetCount(ctypes.byref(count))
    return Listing((Platform(name, tuple(_facts(driver, n) for n in range(count.value))),))


def _error(driver: ctypes.CDLL, status: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(status, ctypes.byref(text))
    return text.value.decode() if text.value else f"error {status}"


def _facts(driver: ctypes.CDLL, ordinal: int) -> str:
    major_attribute, minor_attribute = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(device), ordinal)
    driver.cuDeviceGetName(name, len(name), device)
    memory, major, minor = ctypes.c_size_t(), ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), major_attribute, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), minor_attribute, device)
    return (
        f"{name.value.decode()} (compute capability {major.value}.{minor.value}, "
        f"{memory.value / 2**30:.1f} GiB)"
    )
