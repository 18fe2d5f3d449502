"""What the device interpreters, `opencl` and `cuda`, share on the host.

    build.py       compile-time numbers and the source text
    encoder.py     a verified program in the device form, once per load
    allocation.py  ... registers and spills of one section
    layout.py      how a binding's points are dealt to threads
    uniforms.py    what is known at launch
    dispatches.py  records and dispatches, once per binding
    describe.py    the device form and its dispatches as text
    kernel.py      Kernel.launch and Kernel.prepare on any device that has a dispatcher

How a kernel is launched (the contract of portable/interpreter.h):

    gint_run_W(records, record_at, scratch, error, slots)
    gint_combine_W(records, record_at, scratch)

W is `Build.word_bits`. `records` is `DispatchList.records` in device memory, aligned to 16 bytes;
`record_at` (uint32) `Dispatch.record_at`; `scratch` at least `DispatchList.scratch_bytes` of device
memory that nothing else uses until the last dispatch is done, its content does not matter, null if
none is needed; `error` an int32 that the caller has cleared and reads after the last dispatch;
`slots` the pointers to the storages (offsets are in the record): in CUDA C++ a `struct gi_slots`,
MAX_SLOTS pointers by value, in OpenCL C as many arguments. A dispatch has `Dispatch.groups` groups
of `Build.block` threads, in one dimension; those of a list run in order, each seeing what the one
before wrote.

Compile with the macros `Build.defines` and no contraction, no fast math:

    nvcc       -fmad=false --jump-table-density=20, and portable/ as an include directory. Without
               jump tables the switch is a tree of comparisons (nine deep) that also costs registers
    OpenCL C   -cl-std=CL1.2 -cl-fp32-correctly-rounded-divide-sqrt

The generated header is what `python -m gint.isa.generate device isa_device.inc` writes, to a
directory among the includes; `build.source()` is everything in one text, for NVRTC and OpenCL.
GI_TABLE_CHECKSUM in it is `gint.isa.generate.checksum()`.
"""
