"""Bounds that every backend keeps to; the C headers have them as GI_MAX_AXES and so on."""

#: Axes of a program.
MAX_AXES = 16
#: Indexed axes of a slot: as many registers as an instruction reads.
MAX_INDICES = 3
#: Points of an iteration space, no extent counted as less than 1: positions fit i64 in any order.
MAX_POINTS = 2**48
#: Tensor slots of a program: as many pointers as a device's kernel takes.
MAX_SLOTS = 64
