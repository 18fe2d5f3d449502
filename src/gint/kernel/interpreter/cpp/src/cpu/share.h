// Work dealt out to threads, and the memory that each of them reads next.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "cpu/team.h"

namespace gint {

// A piece of memory that is read soon.
struct Piece {
    const void *at;
    size_t bytes;
};

// What a thread of so many reads once its work is done.
using NextRead = std::function<Piece(size_t thread, size_t threads)>;
// Of work that is done again and again, and known before what follows it.
using Following = std::shared_ptr<const NextRead>;

// The beginning of what is read next, so that memory is not idle until then.
inline void ask_for(const Piece &piece) {
    constexpr size_t ASKED_BYTES = size_t(16) << 10, LINE_BYTES = 64;
    const char *const first = static_cast<const char *>(piece.at);
    for (size_t at = 0; at < std::min(piece.bytes, ASKED_BYTES); at += LINE_BYTES)
        __builtin_prefetch(first + at);
}

// A thread's share of the work: n from `next` up to `end`, also for others who have done theirs.
struct alignas(64) Share {
    std::atomic<size_t> next;
    size_t end;
};

// `work(n, thread)` for n < count, and `done(thread)` when a thread finds nothing more to do. Each
// goes through a share of neighbours in order: threads that take turns read memory at half the
// speed (docs/performance.md).
template <class Work, class Done>
void share(size_t count, size_t threads, const Work &work, const Done &done) {
    const size_t shares = std::min(threads, count);
    if (shares < 2) {
        for (size_t n = 0; n < count; n++) work(n, 0);
        return done(0);
    }
    std::vector<Share> all(shares);
    for (size_t k = 0; k < shares; k++)
        all[k].next = count * k / shares, all[k].end = count * (k + 1) / shares;
    work_together(int(shares), [&](int thread) {
        for (size_t k = 0; k < shares; k++) {
            Share &mine = all[(size_t(thread) + k) % shares];
            for (size_t n; (n = mine.next.fetch_add(1, std::memory_order_relaxed)) < mine.end;)
                work(n, size_t(thread));
        }
        done(size_t(thread));
    });
}

template <class Work> void share(size_t count, int threads, const Work &work) {
    share(count, size_t(threads), work, [](size_t) {});
}

} // namespace gint
