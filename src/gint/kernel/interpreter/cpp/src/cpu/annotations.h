// What ThreadSanitizer cannot see for itself: libgomp orders its threads by futexes. Nothing in
// other builds.
#pragma once

#ifdef __SANITIZE_THREAD__
extern "C" void __tsan_acquire(void *address);
extern "C" void __tsan_release(void *address);
#endif

namespace gint {

// All threads of a launch meet in one place: what is written before release is seen after acquire.
class MeetingPoint {
  public:
#ifdef __SANITIZE_THREAD__
    void release() { __tsan_release(this); }
    void acquire() { __tsan_acquire(this); }

  private:
    char place = 0;
#else
    void release() {}
    void acquire() {}
#endif
};

} // namespace gint
