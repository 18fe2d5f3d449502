/* A CUDA driver for rehearsals: `libcuda.so.1` whose devices are this process and whose kernels are
 * the device sources compiled for the host. What the Python side hands to the driver, the order of
 * its calls and its answers to errors are tested with it; speed and the GPU itself are not.
 *
 * It is stricter than a driver where that finds mistakes: device memory is filled with a pattern,
 * every call that needs a context fails without one, and what is copied to the device arrives when
 * the default stream is waited for or launched on (as a copy of pageable memory may). A stream is
 * being captured, in the mode that forbids memory and modules, after rehearse_capture(1).
 *
 *   GINT_REHEARSAL_DEVICES=2          how many devices there are (default 1)
 *   GINT_REHEARSAL_CAPABILITY=70      compute capability (default 90)
 *   GINT_REHEARSAL_MEMORY=1000000     bytes a device has (default 1 GiB)
 *   GINT_REHEARSAL_FAIL=cuInit:100    a function that answers with this code
 *   GINT_REHEARSAL_FAULT=1            every launch faults; the context is broken afterwards
 *   GINT_REHEARSAL_SKIP=1             launches do nothing: what is left is Python's and the
 * bindings' GINT_REHEARSAL_SLEEP=5            cuInit takes so many seconds */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cuda_on_host.h"

typedef int Result;
typedef void *Handle;
typedef unsigned long long Pointer;

enum {
    OK = 0,
    INVALID = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
    CAPTURE_UNSUPPORTED = 900,
};

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

static Result told(const char *function) {
    const char *text = getenv("GINT_REHEARSAL_FAIL");
    size_t length = strlen(function);
    return text && !strncmp(text, function, length) && text[length] == ':' ? atoi(text + length + 1)
                                                                           : OK;
}

struct Context {
    int ordinal;
    bool broken;
    long used;
};
static Context contexts[16];
static bool started;
static thread_local std::vector<Context *> stack;
static std::map<Pointer, std::pair<Context *, size_t>> allocated;

static bool capturing;
enum { GLOBAL = 0, RELAXED = 2 };
static thread_local int capture_mode = GLOBAL;

struct Copy {
    Pointer to;
    std::vector<char> bytes;
};
static std::vector<Copy> under_way;
static void arrive() {
    for (Copy &copy : under_way) memcpy((void *)copy.to, copy.bytes.data(), copy.bytes.size());
    under_way.clear();
}

static Context *current() { return stack.empty() ? nullptr : stack.back(); }

static std::recursive_mutex door; /* one call at a time */
#define ENTER(function)                                                                            \
    std::lock_guard<std::recursive_mutex> inside_the_door(door);                                   \
    if (Result asked = told(#function)) return asked;                                              \
    if (!started) return NOT_INITIALIZED;
#define IN_CONTEXT(function)                                                                       \
    ENTER(function)                                                                                \
    if (!current()) return INVALID_CONTEXT;                                                        \
    if (current()->broken) return ILLEGAL_ADDRESS;
/* What no stream sees is forbidden while one is captured, unless the thread says that it knows. */
#define UNSEEN                                                                                     \
    if (capturing && capture_mode != RELAXED) return CAPTURE_UNSUPPORTED;

/* --- Fibers: the threads of one block. */

uint3 threadIdx, blockIdx, blockDim, gridDim;
static ucontext_t scheduler;
struct Fiber {
    ucontext_t context;
    bool done;
    std::vector<char> memory;
};
static std::vector<Fiber> fibers;
static unsigned running;
static void (*kernel)(void **);
static void **arguments;

static void run_fiber() {
    kernel(arguments);
    fibers[running].done = true;
    swapcontext(&fibers[running].context, &scheduler);
}

void __syncthreads() { swapcontext(&fibers[running].context, &scheduler); }

/* A trap in a kernel ends the launch, with an error of its own, so that the test that met it can be
 * made smaller. A GPU would not trap on a division by zero: it computes something. */
static bool trapped;

static void trap(int) {
    trapped = true;
    setcontext(&scheduler);
}

struct Traps {
    struct sigaction before[2];
    Traps() {
        struct sigaction mine = {};
        mine.sa_handler = trap;
        mine.sa_flags = SA_NODEFER;
        sigaction(SIGFPE, &mine, &before[0]);
        sigaction(SIGSEGV, &mine, &before[1]);
        trapped = false;
    }
    ~Traps() {
        sigaction(SIGFPE, &before[0], nullptr);
        sigaction(SIGSEGV, &before[1], nullptr);
    }
};

/* False where some threads of a block left while others waited at a barrier. */
static bool run_block() {
    unsigned count = blockDim.x, left = count;
    if (fibers.size() < count) fibers.resize(count);
    for (unsigned t = 0; t < count; t++) {
        Fiber &f = fibers[t];
        f.done = false;
        if (f.memory.empty()) f.memory.resize(256 << 10);
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.memory.data();
        f.context.uc_stack.ss_size = f.memory.size();
        f.context.uc_link = nullptr;
        makecontext(&f.context, run_fiber, 0);
    }
    while (left) {
        unsigned gone = 0;
        for (running = 0; running < count; running++) {
            threadIdx = {running, 0, 0};
            swapcontext(&scheduler, &fibers[running].context);
            if (trapped) return false;
            gone += fibers[running].done;
        }
        if (gone && gone != count) return false;
        left = count - gone;
    }
    return true;
}

/* --- The driver API. */

#pragma GCC visibility push(default)
extern "C" {

Result cuInit(unsigned) {
    sleep((unsigned)number("GINT_REHEARSAL_SLEEP", 0));
    if (Result asked = told("cuInit")) return asked;
    if (number("GINT_REHEARSAL_DEVICES", 1) == 0) return NO_DEVICE;
    started = true;
    return OK;
}
Result cuDriverGetVersion(int *version) { return *version = 13000, OK; }
Result cuDeviceGetCount(int *count) {
    ENTER(cuDeviceGetCount)
    return *count = (int)number("GINT_REHEARSAL_DEVICES", 1), OK;
}
Result cuDeviceGet(int *device, int ordinal) {
    ENTER(cuDeviceGet)
    return *device = ordinal, ordinal < number("GINT_REHEARSAL_DEVICES", 1) ? OK : INVALID_DEVICE;
}
Result cuDeviceGetName(char *name, int length, int device) {
    ENTER(cuDeviceGetName)
    return snprintf(name, (size_t)length, "Rehearsal %d", device), OK;
}
Result cuDeviceTotalMem_v2(size_t *bytes, int) {
    ENTER(cuDeviceTotalMem)
    return *bytes = size_t(1) << 34, OK;
}
Result cuDeviceGetAttribute(int *value, int which, int) {
    ENTER(cuDeviceGetAttribute)
    long capability = number("GINT_REHEARSAL_CAPABILITY", 90);
    *value = which == 75   ? (int)capability / 10
             : which == 76 ? (int)capability % 10
             : which == 16 ? 4
                           : 1;
    return OK;
}
Result cuDevicePrimaryCtxRetain(Handle *context, int device) {
    ENTER(cuDevicePrimaryCtxRetain)
    contexts[device].ordinal = device;
    return *context = &contexts[device], OK;
}
Result cuCtxGetCurrent(Handle *context) {
    ENTER(cuCtxGetCurrent)
    return *context = current(), OK;
}
Result cuCtxSetCurrent(Handle context) {
    ENTER(cuCtxSetCurrent)
    if (!stack.empty()) stack.pop_back();
    if (context) stack.push_back((Context *)context);
    return OK;
}
Result cuCtxPushCurrent_v2(Handle context) {
    ENTER(cuCtxPushCurrent)
    return stack.push_back((Context *)context), OK;
}
Result cuCtxPopCurrent_v2(Handle *context) {
    ENTER(cuCtxPopCurrent)
    if (stack.empty()) return INVALID_CONTEXT;
    *context = stack.back();
    return stack.pop_back(), OK;
}
Result cuCtxSynchronize() {
    IN_CONTEXT(cuCtxSynchronize)
    UNSEEN
    return arrive(), OK;
}
Result cuStreamSynchronize(Handle stream) {
    IN_CONTEXT(cuStreamSynchronize)
    UNSEEN
    if (!stream) arrive();
    return OK;
}
Result cuMemGetInfo_v2(size_t *free, size_t *total) {
    IN_CONTEXT(cuMemGetInfo)
    *total = (size_t)number("GINT_REHEARSAL_MEMORY", 1L << 30);
    return *free = *total - (size_t)current()->used, OK;
}
static Result allocate(Pointer *pointer, size_t bytes) {
    if (!bytes) return INVALID;
    if (current()->used + (long)bytes > number("GINT_REHEARSAL_MEMORY", 1L << 30))
        return OUT_OF_MEMORY;
    void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(memory, 0x5a, bytes);
    *pointer = (Pointer)memory;
    allocated[*pointer] = {current(), bytes};
    current()->used += (long)bytes;
    return OK;
}
static Result release(Pointer pointer) {
    auto found = allocated.find(pointer);
    if (found == allocated.end()) return INVALID;
    found->second.first->used -= (long)found->second.second;
    allocated.erase(found);
    return free((void *)pointer), OK;
}
Result cuMemAlloc_v2(Pointer *pointer, size_t bytes) {
    IN_CONTEXT(cuMemAlloc)
    UNSEEN
    return allocate(pointer, bytes);
}
Result cuMemFree_v2(Pointer pointer) {
    ENTER(cuMemFree)
    UNSEEN
    arrive();
    return release(pointer);
}
Result cuMemAllocAsync(Pointer *pointer, size_t bytes, Handle) {
    IN_CONTEXT(cuMemAllocAsync)
    return allocate(pointer, bytes);
}
Result cuMemFreeAsync(Pointer pointer, Handle) {
    ENTER(cuMemFreeAsync)
    return release(pointer);
}
/* Copies must stay within one allocation of the current context. */
static Result inside(Pointer pointer, size_t bytes) {
    auto after = allocated.upper_bound(pointer);
    if (after == allocated.begin()) return INVALID;
    auto [start, owner] = *--after;
    return owner.first == current() && pointer + bytes <= start + owner.second ? OK : INVALID;
}
Result cuMemcpyHtoD_v2(Pointer to, const void *from, size_t bytes) {
    IN_CONTEXT(cuMemcpyHtoD)
    UNSEEN
    if (Result wrong = inside(to, bytes)) return wrong;
    under_way.push_back({to, std::vector<char>((const char *)from, (const char *)from + bytes)});
    return OK;
}
Result cuMemcpyDtoH_v2(void *to, Pointer from, size_t bytes) {
    IN_CONTEXT(cuMemcpyDtoH)
    UNSEEN
    if (Result wrong = inside(from, bytes)) return wrong;
    arrive();
    return memcpy(to, (const void *)from, bytes), OK;
}
Result cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
    IN_CONTEXT(cuMemHostAlloc)
    UNSEEN
    return *memory = calloc(1, bytes), OK;
}
Result cuMemHostGetDevicePointer_v2(Pointer *pointer, void *memory, unsigned) {
    IN_CONTEXT(cuMemHostGetDevicePointer)
    return *pointer = (Pointer)memory, OK;
}
Result cuThreadExchangeStreamCaptureMode(int *mode) {
    ENTER(cuThreadExchangeStreamCaptureMode)
    std::swap(*mode, capture_mode);
    return OK;
}
/* No part of the API: a test says that a stream is being captured. */
void rehearse_capture(int on) { capturing = on; }
Result cuModuleLoadData(Handle *module, const void *image) {
    IN_CONTEXT(cuModuleLoadData)
    UNSEEN
    return *module = current(), image ? OK : INVALID;
}
Result cuModuleGetFunction(Handle *function, Handle, const char *name) {
    IN_CONTEXT(cuModuleGetFunction)
    *function = dlsym(RTLD_DEFAULT, (std::string("rehearse_") + name).c_str());
    if (!*function) {
        Dl_info here;
        dladdr((void *)&cuInit, &here);
        *function = dlsym(dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD),
                          (std::string("rehearse_") + name).c_str());
    }
    return *function ? OK : NOT_FOUND;
}
Result cuLaunchKernel(Handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                      unsigned by, unsigned bz, unsigned, Handle stream, void **parameters,
                      void **) {
    IN_CONTEXT(cuLaunchKernel)
    if (!stream) arrive();
    if (!gx || gy != 1 || gz != 1 || !bx || bx > 1024 || by != 1 || bz != 1) return INVALID;
    static const bool fault = number("GINT_REHEARSAL_FAULT", 0);
    if (fault) {
        current()->broken = true;
        return OK; /* as a GPU: the fault shows later */
    }
    static const bool skip = number("GINT_REHEARSAL_SKIP", 0);
    if (skip) return OK;
    Traps traps;
    kernel = (void (*)(void **))function;
    arguments = parameters;
    gridDim = {gx, 1, 1};
    blockDim = {bx, 1, 1};
    for (unsigned block = 0; block < gx; block++) {
        blockIdx = {block, 0, 0};
        if (run_block()) continue;
        if (trapped) return LAUNCH_FAILED;
        return current()->broken = true, OK;
    }
    return OK;
}
Result cuGetErrorString(Result error, const char **text) {
    *text = error == OUT_OF_MEMORY     ? "out of memory"
            : error == ILLEGAL_ADDRESS ? "an illegal memory access was encountered"
            : error == NO_DEVICE       ? "no CUDA-capable device is detected"
                                       : "an error of the rehearsal";
    return OK;
}
Result cuGetProcAddress_v2(const char *symbol, void **function, int, unsigned long long,
                           int *status) {
    Dl_info here;
    dladdr((void *)&cuInit, &here);
    Handle library = dlopen(here.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    for (const char *suffix : {"", "_v2"})
        if ((*function = dlsym(library, (std::string(symbol) + suffix).c_str()))) break;
    if (status) *status = *function ? 0 : 1;
    return *function ? OK : NOT_FOUND;
}
}
