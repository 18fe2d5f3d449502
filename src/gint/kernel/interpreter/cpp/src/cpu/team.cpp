#include "cpu/team.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <system_error>
#include <thread>

#include "cpu/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gint {

namespace {

// Some tens of microseconds: longer than between two products, shorter than what waits for the
// core.
constexpr int SPINS = 3000;

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); // takes about as long as x86's pause; `yield` does nothing on most
#else
    std::this_thread::yield();
#endif
}

// What a caller offers. Callers own one for a job's time; helpers join while there are places, and
// nobody joins once it is withdrawn: joining and withdrawing are each one change of `state`.
struct alignas(64) Offer {
    std::atomic<bool> is_taken = false;
    const std::function<void(int)> *part = nullptr;
    // The job's number (upper half), how many have joined, and how many still may (lower half).
    std::atomic<uint64_t> state = 0;
    std::atomic<uint32_t> finished = 0;

    static constexpr uint64_t JOINED = uint64_t(1) << 16, JOB = uint64_t(1) << 32;

    static uint32_t places(uint64_t s) { return uint32_t(s % JOINED); }
    static uint32_t joined(uint64_t s) { return uint32_t(s % JOB / JOINED); }

    void open(const std::function<void(int)> &work, uint32_t wanted) {
        part = &work;
        finished.store(0, std::memory_order_relaxed);
        const uint64_t job = state.load(std::memory_order_relaxed) / JOB + 1;
        state.store(job * JOB + wanted, std::memory_order_release);
    }

    // Nobody joins from here on. Returns when those that did have ended.
    void close() {
        const uint64_t job = state.load(std::memory_order_relaxed) / JOB * JOB;
        const uint32_t others = joined(state.exchange(job, std::memory_order_relaxed));
        for (int spins = 0; finished.load(std::memory_order_acquire) != others; spins++)
            spins < SPINS ? relax() : std::this_thread::yield();
        is_taken.store(false, std::memory_order_release);
    }

    // A helper's share, if there is a place.
    bool help() {
        uint64_t seen = state.load(std::memory_order_acquire);
        while (places(seen)) {
            if (!state.compare_exchange_weak(seen, seen - 1 + JOINED, std::memory_order_acquire))
                continue;
            (*part)(int(joined(seen)) + 1);
            finished.fetch_add(1, std::memory_order_release); // `part` may be gone from here on
            return true;
        }
        return false;
    }
};

class Team {
  public:
    void run(int threads, const std::function<void(int)> &part) {
        Offer *const offer = free_offer();
        if (!offer) return part(0); // as many jobs at a time leave nobody to help
        const int wanted = std::min(threads - 1, MOST_HELPERS);
        if (helpers.load(std::memory_order_relaxed) < wanted) hire(wanted);
        offer->open(part, uint32_t(wanted));
        // Either a helper sees this offer before it sleeps, or it is seen here that it does.
        offers.fetch_add(1);
        if (asleep.load()) wake_up(wanted);
        part(0);
        offer->close();
    }

  private:
    static constexpr size_t MOST_OFFERS = 8;
    static constexpr int MOST_HELPERS = int(Offer::JOINED - 1);

    Offer all[MOST_OFFERS];
    alignas(64) std::atomic<unsigned> offers = 0;
    alignas(64) std::atomic<int> asleep = 0;
    std::atomic<int> helpers = 0;
    std::mutex mutex; // of those that sleep, and of hiring
    std::condition_variable wake;

    Offer *free_offer() {
        for (Offer &offer : all)
            if (!offer.is_taken.exchange(true, std::memory_order_acquire)) return &offer;
        return nullptr;
    }

    void hire(int count) {
        const std::lock_guard lock(mutex);
        try {
            for (; helpers < count; helpers++) std::thread([this] { help(); }).detach();
        } catch (const std::system_error &) {
            // Then those that there are do it.
        }
    }

    void wake_up(int count) {
        const std::lock_guard lock(mutex);
        for (int n = 0; n < count; n++) wake.notify_one();
    }

    // libgomp's threads spin for milliseconds after each of torch's operators, on the core that a
    // helper needs, unless libgomp counts more threads than processors. It does not know helpers: a
    // region of two counts one thread for each, which sleeps from then on.
    static void be_counted() {
        run_in_team(2, [](void *) {}, nullptr);
    }

    void help() {
        be_counted();
        for (;;) {
            const unsigned seen = offers.load();
            if (!std::any_of(std::begin(all), std::end(all), [](Offer &o) { return o.help(); }))
                wait(seen);
        }
    }

    void wait(unsigned seen) {
        for (int n = 0; n < SPINS; n++) {
            if (offers.load(std::memory_order_relaxed) != seen) return;
            relax();
        }
        std::unique_lock lock(mutex);
        asleep++;
        wake.wait(lock, [&] { return offers.load() != seen; });
        asleep--;
    }
};

} // namespace

void work_together(int threads, const std::function<void(int)> &part) {
    if (threads < 2) return part(0);
    // Never destroyed: helpers wait in it until the process ends. (A child made by fork, which has
    // none of them, is allowed one thread: threads.cpp.)
    static Team *const team = new Team;
    team->run(threads, part);
}

} // namespace gint
