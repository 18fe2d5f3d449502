// The steps of the section being made, in order.
#pragma once

#include <utility>

#include "schedule/schedule.h"

namespace gint {

// What a step computes: an opcode and the type of its instruction.
struct Operation {
    uint16_t op;
    uint8_t type;
};
inline Operation operation(const Instruction &in) { return {in.op, in.type}; }

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

    std::vector<Step> take() { return std::exchange(steps, {}); }
    std::vector<Step> take_once() { return std::exchange(once, {}); }
    // Do steps from here on run once, or in each tile? What was so before.
    bool set_once(bool value) { return std::exchange(is_once, value); }

  private:
    std::vector<Step> steps, once;
    bool is_once = false;

    std::vector<Step> &list() { return is_once ? once : steps; }
};

} // namespace gint
