// The steps of the section being made, in order.
#pragma once

#include <utility>

#include "schedule/schedule.h"

namespace gint {

inline Step apply_step(ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a, uint16_t b, uint16_t c) {
    Step step{};
    step.kind = Step::APPLY;
    step.shape = shape;
    step.d = d, step.a = a, step.b = b, step.c = c;
    step.apply = fn;
    return step;
}

class Steps {
  public:
    // `size` is an element's. The result holds until the next step is added.
    Step &add(Step::Kind kind, uint8_t shape, size_t size, uint16_t d, uint16_t a) {
        Step step{};
        step.kind = kind;
        step.shape = shape;
        step.size_log2 = uint8_t(log2_size(size));
        step.d = d;
        step.a = step.b = step.c = a;
        return steps.emplace_back(step);
    }

    void apply(ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a, uint16_t b, uint16_t c) {
        steps.push_back(apply_step(fn, shape, d, a, b, c));
    }
    void apply(ApplyFn fn, uint8_t shape, uint16_t d, uint16_t a) { apply(fn, shape, d, a, a, a); }

    std::vector<Step> take() { return std::exchange(steps, {}); }

  private:
    std::vector<Step> steps;
};

} // namespace gint
