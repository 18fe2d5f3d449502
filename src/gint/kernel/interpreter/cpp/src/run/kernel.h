// A program loaded into the interpreter, and its launches. What module.cpp shows to Python.
#pragma once

#include <mutex>
#include <optional>

#include "run/run.h"

namespace gint {

// A launch whose extents, parameters and strides are fixed: verified and scheduled, ready for any
// addresses.
class Launch {
  public:
    Launch(std::shared_ptr<const Program> program, Binding binding, Regions regions, int threads);

    // The error flag, or nothing where the binding must not run with these addresses.
    std::optional<int32_t> operator()(const uint64_t *pointers) const;

    size_t slot_count() const { return program->slots.size(); }
    bool is_short() const { return apart->schedule().work < 100e3; } // not worth releasing the GIL

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

    std::unique_ptr<Run> apart; // for slots that share no element
    mutable std::mutex sharing_mutex;
    mutable std::vector<std::pair<std::vector<uint16_t>, std::shared_ptr<const Run>>> sharing;

    bool all_apart(const uint64_t *pointers) const;
    std::optional<int32_t> run_sharing(const uint64_t *pointers) const;
};

class Kernel {
  public:
    explicit Kernel(Program program);

    // Nothing where the binding must not run.
    std::shared_ptr<Launch> prepare(Binding binding, int threads) const;

    const Program &get() const { return *program; }

  private:
    std::shared_ptr<const Program> program;
};

} // namespace gint
