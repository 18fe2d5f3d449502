"""The `opencl` backend: the device interpreter on any OpenCL 1.2 device, through pyopencl."""
