// The steps of the section being made, in order.
#pragma once

#include <array>
#include <utility>

#include "schedule/schedule.h"

namespace gint {

// What a step computes: an opcode and the type of its instruction.
struct Operation {
    uint16_t op;
    uint8_t type;
};
inline Operation operation(const Instruction &in) { return {in.op, in.type}; }

// When a step runs: in each tile, before the first tile of a block, or of all that a worker does.
enum class When : uint8_t { EACH_TILE, EACH_BLOCK, ONCE };

inline Step apply_step(Operation what, ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a,
                       uint16_t b, uint16_t c) {
    Step step{};
    step.kind = Step::APPLY;
    step.op = what.op, step.type = what.type;
    step.shape = shape;
    step.d = d, step.a = a, step.b = b, step.c = c;
    step.apply = fn;
    return step;
}

class Steps {
  public:
    // `size` is an element's. `what` is for steps that compute. The result holds until the next
    // step is added.
    Step &add(Step::Kind kind, uint8_t shape, size_t size, uint16_t d, uint16_t a,
              Operation what = {}) {
        Step step{};
        step.kind = kind;
        step.op = what.op, step.type = what.type;
        step.shape = shape;
        step.size_log2 = uint8_t(log2_size(size));
        step.d = d;
        step.a = step.b = step.c = a;
        return list().emplace_back(step);
    }

    void apply(Operation what, ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a, uint16_t b,
               uint16_t c) {
        list().push_back(apply_step(what, fn, shape, d, a, b, c));
    }
    void apply(Operation what, ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a) {
        apply(what, fn, shape, d, a, a, a);
    }

    std::vector<Step> take(When when = When::EACH_TILE) {
        return std::exchange(lists[size_t(when)], {});
    }
    // When do steps from here on run? What was so before.
    When set_when(When value) { return std::exchange(when, value); }

  private:
    std::array<std::vector<Step>, 3> lists;
    When when = When::EACH_TILE;

    std::vector<Step> &list() { return lists[size_t(when)]; }
};

} // namespace gint
