#include "run/run.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "cpu/threads.h"
#include "run/worker.h"

namespace gint {

namespace {

// Work a thread must have to be worth waking, in units of op_cost: about 10 us.
constexpr double WORK_PER_THREAD = 400e3;

struct Addresses {
    const Schedule &s;
    char *const *base;
    const uint8_t *pool;
};

int32_t run_alone(const Addresses &at) {
    Worker worker(at.s, at.base, at.pool);
    if (!worker.ready()) return OUT_OF_MEMORY;
    worker.run_blocks(0, at.s.parallel.total);
    if (at.s.streams) at.s.loops->stream_end();
    return worker.error;
}

// Every thread takes a range of the parallel blocks.
int32_t run_side_by_side(const Addresses &at, int threads) {
    std::atomic<int32_t> error = 0;
    const int64_t total = at.s.parallel.total;
    in_team(threads, [&] {
        Worker worker(at.s, at.base, at.pool);
        const int64_t count = team_size(), number = thread_number();
        if (worker.ready()) {
            const Int128 all = total; // total * count may leave 64 bits
            worker.run_blocks(int64_t(all * number / count), int64_t(all * (number + 1) / count));
            if (at.s.streams) at.s.loops->stream_end();
            error |= worker.error;
        } else {
            error |= OUT_OF_MEMORY;
        }
    });
    return error;
}

// Few blocks with much to do in each: all threads work on one block, section by section.
class SharedRun {
  public:
    SharedRun(const Addresses &addresses) : at(addresses), s(addresses.s) {
        chunks = (s.reduced.total + s.tiles_per_chunk - 1) / s.tiles_per_chunk;
        size_t bytes = 0;
        for (const SectionSchedule &section : s.sections)
            bytes = std::max(bytes, Worker::chunk_bytes(section));
        memory.reset(new (std::nothrow) char[bytes * size_t(chunks) + 1]);
        chunk_bytes = bytes;
    }

    int32_t run(int threads) {
        if (!memory) return OUT_OF_MEMORY;
        std::vector<Worker *> workers(size_t(threads), nullptr);
        std::atomic<int32_t> error = 0;
        in_team(threads, [&] {
            Worker worker(s, at.base, at.pool);
            if (!worker.ready()) error |= OUT_OF_MEMORY;
            workers[size_t(thread_number())] = &worker;
            barrier();
            if (!(error & OUT_OF_MEMORY)) take_part(worker, *workers[0]);
            barrier(); // frames are read by others until here
            error |= worker.error;
        });
        return error;
    }

  private:
    const Addresses &at;
    const Schedule &s;
    int64_t chunks;
    size_t chunk_bytes;
    std::unique_ptr<char[]> memory;

    void take_part(Worker &worker, const Worker &first) {
        const int64_t count = team_size(), number = thread_number();
        for (int64_t block = 0; block < s.parallel.total; block++) {
            worker.enter_block(block);
            for (const SectionSchedule &section : s.sections) {
                if (section.kind != SectionKind::SCALAR) {
                    run_chunks(worker, section, chunks * number / count,
                               chunks * (number + 1) / count);
                    barrier();
                }
                if (section.kind == SectionKind::MAP) continue;
                if (number == 0) finish(worker, section);
                barrier();
                if (number != 0) worker.copy_shared(first);
            }
        }
        if (s.streams) s.loops->stream_end();
    }

    void run_chunks(Worker &worker, const SectionSchedule &section, int64_t first, int64_t last) {
        for (int64_t chunk = first; chunk < last; chunk++) {
            const int64_t tile = chunk * s.tiles_per_chunk;
            worker.begin_accumulators(section);
            worker.run_tiles(section, tile, std::min(tile + s.tiles_per_chunk, s.reduced.total));
            if (section.kind == SectionKind::REDUCE)
                worker.save_chunk(section, memory.get() + size_t(chunk) * chunk_bytes);
        }
    }

    // By the first worker alone; the others take its results over.
    void finish(Worker &worker, const SectionSchedule &section) {
        if (section.kind == SectionKind::SCALAR) return worker.run_scalar(section);
        worker.begin_accumulators(section);
        for (int64_t chunk = 0; chunk < chunks; chunk++)
            worker.add_chunk(section, memory.get() + size_t(chunk) * chunk_bytes);
        worker.close_accumulators(section);
    }
};

} // namespace

Run::Run(std::shared_ptr<const Schedule> schedule, const Binding &binding)
    : s(std::move(schedule)), pool(s->pool) {
    for (const Schedule::Touched &touched : s->touched) {
        const int64_t size = touched.size;
        offsets.push_back(binding.slots[touched.slot].offset * size);
    }
    for (auto [param, at] : s->param_at) std::memcpy(pool.data() + at, &binding.params[param], 8);
    for (const Step &step : s->prologue) {
        auto at = [&](uint16_t place) { return pool.data() + s->places[place].at; };
        step.apply(1, at(step.d), at(step.a), at(step.b), at(step.c), &pool_error);
    }
}

int32_t Run::operator()(const uint64_t *pointers, int threads) const {
    if (s->parallel.total == 0) return pool_error;
    constexpr size_t FEW = 16;
    char *few[FEW];
    std::vector<char *> many;
    char **base = few;
    if (offsets.size() > FEW) many.resize(offsets.size()), base = many.data();
    for (size_t k = 0; k < offsets.size(); k++)
        base[k] = reinterpret_cast<char *>(pointers[s->touched[k].slot]) + offsets[k];
    const Addresses at{*s, base, pool.data()};

    threads = allowed_threads(threads);
    if (threads > s->work / WORK_PER_THREAD) threads = int(s->work / WORK_PER_THREAD);
    if (threads < 2) return pool_error | run_alone(at);
    if (s->shares_rows && s->parallel.total < threads) {
        return pool_error | SharedRun(at).run(threads);
    }
    threads = int(std::min<int64_t>(threads, s->parallel.total));
    if (threads < 2) return pool_error | run_alone(at);
    return pool_error | run_side_by_side(at, threads);
}

} // namespace gint
