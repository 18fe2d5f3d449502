// A program loaded into the interpreter, and its launches. What gint/native shows to Python.
#pragma once

#include <atomic>
#include <optional>

#include "run/run.h"
#include "schedule/describe.h"

namespace gint {

// A launch with everything but the addresses: verified and scheduled.
class BoundLaunch {
  public:
    BoundLaunch(std::shared_ptr<const Program> program, Binding binding, Regions regions,
                int threads);
    ~BoundLaunch();

    // The error flag, or nothing where the binding must not run with these addresses.
    std::optional<int32_t> operator()(const uint64_t *pointers) const;

    size_t slot_count() const { return program->slots.size(); }
    // Of slots that share no element.
    const Schedule &schedule() const { return run->schedule(); }
    bool is_short() const { return schedule().work < 100e3; } // not worth releasing the GIL

  private:
    std::shared_ptr<const Program> program;
    Binding binding;
    Regions regions;
    int threads;
    // Bytes touched, from the storage's first, of the slots that are touched, outputs first.
    struct Range {
        uint16_t slot;
        int64_t low, high;
        uint64_t align;
    };
    std::vector<Range> ranges;
    size_t written = 0; // of the ranges

    using Groups = std::vector<uint16_t>; // as verify_overlaps finds them
    std::shared_ptr<const Run> run;       // of slots that share no element
    // The ones of slots that do: a list that only grows. There is no lock, which a child made by
    // fork would find locked if another thread had held it then.
    struct Overlapping {
        Groups groups;
        std::shared_ptr<const Run> run;
        const Overlapping *next;
    };
    mutable std::atomic<const Overlapping *> overlapping = nullptr;

    std::shared_ptr<const Run> make_run(const Groups &groups) const;
    std::shared_ptr<const Run> find_run(const Groups &groups) const;
    bool is_disjoint(const uint64_t *pointers) const;
};

class Kernel {
  public:
    explicit Kernel(Program program);

    // Nothing where the binding must not run.
    std::shared_ptr<BoundLaunch> prepare(Binding binding, int threads) const;

    // What is decided for slots that share no element, as text; nothing as above.
    std::optional<std::string> describe(Binding binding, const Names &names) const;

    const Program &get() const { return *program; }

  private:
    std::shared_ptr<const Program> program;
};

} // namespace gint
