#include "cpu/team.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

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

// What a caller offers; it lives on the caller's stack, and nobody joins once it is withdrawn.
struct Job {
    const std::function<void(int)> &part;
    int wanted;   // helpers that may still join
    int next = 1; // the number of the next one
    std::atomic<int> active = 0;
};

class Team {
  public:
    void run(int threads, const std::function<void(int)> &part) {
        Job job{part, threads - 1};
        {
            const std::lock_guard lock(mutex);
            hire(threads - 1);
            jobs.push_back(&job);
            offers++;
        }
        for (int n = 1; n < threads; n++) wake.notify_one();
        part(0);
        {
            const std::lock_guard lock(mutex);
            jobs.erase(std::find(jobs.begin(), jobs.end(), &job));
        }
        for (int spins = 0; job.active.load(std::memory_order_acquire); spins++)
            spins < SPINS ? relax() : std::this_thread::yield();
    }

  private:
    std::mutex mutex; // of all but `offers`, which helpers look at without it
    std::condition_variable wake;
    std::vector<Job *> jobs;
    std::atomic<unsigned> offers = 0;
    int helpers = 0;

    void hire(int count) {
        try {
            for (; helpers < count; helpers++) std::thread([this] { help(); }).detach();
        } catch (const std::system_error &) {
            // Then those that there are do it.
        }
    }

    void help() {
        std::unique_lock lock(mutex);
        for (;;) {
            const auto found = std::find_if(jobs.begin(), jobs.end(),
                                            [](const Job *job) { return job->wanted > 0; });
            if (found == jobs.end()) {
                wait(lock);
                continue;
            }
            Job &job = **found;
            const int number = job.next++;
            job.wanted--, job.active++;
            lock.unlock();
            job.part(number);
            job.active.fetch_sub(1, std::memory_order_release); // the job may be gone from here on
            lock.lock();
        }
    }

    void wait(std::unique_lock<std::mutex> &lock) {
        const unsigned seen = offers;
        lock.unlock();
        for (int n = 0; n < SPINS && offers.load(std::memory_order_relaxed) == seen; n++) relax();
        lock.lock();
        wake.wait(lock, [&] { return offers != seen; });
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
