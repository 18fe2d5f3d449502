"""Prints the devices that a driver knows, one a line: `devices.py opencl` or `devices.py cuda`.

Runs in a process of its own (see capabilities.py), because a driver may hang or crash. Knows
pyopencl and the CUDA driver's C interface; imports nothing of gint.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from collections.abc import Iterator


def opencl() -> Iterator[str]:
    """OpenCL platforms and their devices."""
    try:
        import pyopencl
    except ImportError as error:
        yield f"not found: {error} (pip install pyopencl)"
        return
    try:
        platforms = pyopencl.get_platforms()
    except pyopencl.Error as error:
        yield f"no platform: {error} (pyopencl {pyopencl.VERSION_TEXT} is installed)"
        return
    if not platforms:
        yield f"no platform (pyopencl {pyopencl.VERSION_TEXT} is installed)"
    for platform in platforms:
        yield f"platform {platform.name.strip()}, {platform.version.strip()}"
        try:
            devices = platform.get_devices()
        except pyopencl.Error as error:
            yield f"  no device: {error}"
            continue
        for device in devices:
            kinds = pyopencl.device_type.to_string(device.type).lower().split(" | ")
            kind = " ".join(k for k in kinds if k != "all")
            yield (
                f"  {device.name.strip()} ({kind}, {device.max_compute_units} compute units, "
                f"{device.global_mem_size / 2**30:.1f} GiB)"
            )


def cuda() -> Iterator[str]:
    """The CUDA driver's version and its devices."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError as error:
        yield f"no driver: {error}"
        return
    status = driver.cuInit(0)
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    yield f"driver for CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    if status != 0:
        yield f"  no device: cuInit gives {_cuda_error(driver, status)}"
        return
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    if count.value == 0:
        yield "  no device"
    for ordinal in range(count.value):
        yield f"  {_cuda_device(driver, ordinal)}"


def _cuda_error(driver: ctypes.CDLL, status: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(status, ctypes.byref(text))
    return text.value.decode() if text.value else f"error {status}"


def _cuda_device(driver: ctypes.CDLL, ordinal: int) -> str:
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


if __name__ == "__main__":
    for line in {"opencl": opencl, "cuda": cuda}[sys.argv[1]]():
        print(line)
