"""The OpenCL devices there are, and which of them to try.

Knows pyopencl, and imports it when a driver is to be asked; nothing else of gint but its protocol,
so that it works before anything is built.
"""

from __future__ import annotations

import os
from typing import Any

from gint.backend.protocol import Listing, Platform

#: What lists of devices call this driver.
DRIVER = "OpenCL"
#: Restricts the devices tried; see `candidates`.
VARIABLE = "GINT_OPENCL_DEVICE"
_VERSION = (1, 2)


class NoDeviceError(Exception):
    """No OpenCL device can be used; the text says why."""


def list_platforms() -> Listing:
    """All platforms with their devices, usable or not."""
    try:
        import pyopencl as cl
    except ImportError as error:
        return Listing(reason=f"not found: {error} (pip install pyopencl)")
    installed = f"(pyopencl {cl.VERSION_TEXT} is installed)"
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        return Listing(reason=f"no platform: {error} {installed}")
    if not platforms:
        return Listing(reason=f"no platform {installed}")
    return Listing(tuple(_platform(p) for p in platforms))


def _platform(platform: Any) -> Platform:
    import pyopencl as cl

    name = f"platform {platform.name.strip()}, {platform.version.strip()}"
    try:
        return Platform(name, tuple(_facts(device) for device in platform.get_devices()))
    except cl.Error as error:  # how a platform without a device says so
        return Platform(name, reason=str(error))


def _facts(device: Any) -> str:
    import pyopencl as cl

    kinds = cl.device_type.to_string(device.type).lower().split(" | ")
    kind = " ".join(k for k in kinds if k != "all")
    return (
        f"{device.name.strip()} ({kind}, {device.max_compute_units} compute units, "
        f"{device.global_mem_size / 2**30:.1f} GiB)"
    )


def candidates(wanted: str | None = None) -> list[tuple[str, Any]]:
    """Devices to try, the preferred first, each with its number "platform:device".

    GPUs, then accelerators, then CPUs, of OpenCL 1.2 or later; `wanted`, else GINT_OPENCL_DEVICE,
    restricts them: numbers or parts of names ("0:0", "pocl", ":nvidia"). Raises NoDeviceError.
    """
    import pyopencl as cl

    wanted = os.environ.get(VARIABLE, "") if wanted is None else wanted
    try:
        platforms = cl.get_platforms()
    except cl.Error as error:
        raise NoDeviceError(f"there is no OpenCL platform: {error}") from None
    found = [(f"{n}:{k}", p, d) for n, p in enumerate(platforms) for k, d in enumerate(_devices(p))]
    if not found:
        names = ", ".join(p.name.strip() for p in platforms) or "none there"
        raise NoDeviceError(f"no OpenCL platform has a device: {names}")
    platform, _, device = wanted.partition(":")
    matching = [
        (number, d) for number, p, d in found
        if _matches(platform, number.partition(":")[0], p.name)
        and _matches(device, number.partition(":")[2], d.name)
    ]  # fmt: skip
    if not matching:
        known = "; ".join(f"{number} is {describe(d)}" for number, _, d in found)
        raise NoDeviceError(f"{VARIABLE} asks for {wanted!r}, and no device is that: {known}")
    new = [(number, d) for number, d in matching if _version(d) >= _VERSION]
    if not new:
        _, old = matching[0]
        raise NoDeviceError(f"{describe(old)} speaks {old.version.strip()}; 1.2 is needed")
    return sorted(new, key=lambda pair: _rank(pair[1]))


def _devices(platform: Any) -> list[Any]:
    import pyopencl as cl

    try:
        return platform.get_devices()
    except cl.Error:  # a platform without a device says so by an error
        return []


def _matches(wanted: str, number: str, name: str) -> bool:
    return (
        not wanted or wanted == number or (not wanted.isdigit() and wanted.lower() in name.lower())
    )


def _rank(device: Any) -> int:
    import pyopencl as cl

    order = (cl.device_type.GPU, cl.device_type.ACCELERATOR, cl.device_type.CPU)
    return next((n for n, kind in enumerate(order) if device.type & kind), len(order))


def _version(device: Any) -> tuple[int, int]:
    """Of "OpenCL 1.2 pocl HSTR..."."""
    major, _, minor = device.version.split()[1].partition(".")
    return int(major), int(minor)


def describe(device: Any) -> str:
    return f"{device.name.strip()} on {device.platform.name.strip()}"


def is_cpu(device: Any) -> bool:
    import pyopencl as cl

    return bool(device.type & cl.device_type.CPU)
