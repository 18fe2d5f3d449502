// Preloaded before Python: C++'s allocations, of which the n-th fails once when told so. Python's
// own do not come here. `live` counts the blocks that were not freed.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <dlfcn.h>
#include <new>
#include <sys/mman.h>

static std::atomic<long> countdown{0}, live{0};

static bool fails() { return countdown.load() > 0 && countdown.fetch_sub(1) == 1; }

static void *allocate(size_t size) {
    if (fails()) return nullptr;
    void *block = malloc(size ? size : 1);
    if (block) live++;
    return block;
}

void *operator new(size_t size) {
    void *block = allocate(size);
    if (!block) throw std::bad_alloc();
    return block;
}
void *operator new[](size_t size) { return operator new(size); }
void *operator new(size_t size, const std::nothrow_t &) noexcept { return allocate(size); }
void *operator new[](size_t size, const std::nothrow_t &) noexcept { return allocate(size); }
void operator delete(void *block) noexcept {
    if (block) live--;
    free(block);
}
void operator delete[](void *block) noexcept { operator delete(block); }
void operator delete(void *block, size_t) noexcept { operator delete(block); }
void operator delete[](void *block, size_t) noexcept { operator delete(block); }

extern "C" {
void *aligned_alloc(size_t alignment, size_t size) {
    using Allocate = void *(*)(size_t, size_t);
    static const auto real = reinterpret_cast<Allocate>(dlsym(RTLD_NEXT, "aligned_alloc"));
    return fails() ? nullptr : real(alignment, size);
}
// What asks the system itself, as packed weights do.
void *mmap(void *at, size_t size, int may, int how, int file, off_t offset) {
    using Map = void *(*)(void *, size_t, int, int, int, off_t);
    static const auto real = reinterpret_cast<Map>(dlsym(RTLD_NEXT, "mmap"));
    if (!fails()) return real(at, size, may, how, file, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}
void failing_new_arm(long n) { countdown = n; }
// What is left of the count: 0 where the allocation came and failed.
long failing_new_left() { return countdown.exchange(0); }
long failing_new_live() { return live; }
}
