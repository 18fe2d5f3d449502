// Launches and products one after the other in one call, without Python between them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace gint {

// Runs on the operands' addresses; the error flag, or nothing where it must not run with them.
using StepFunction = std::function<std::optional<int32_t>(const uint64_t *pointers)>;

// Where an operand lies: `offset` bytes behind the call's argument of this number, or at the
// address `offset` where there is none.
struct OperandPlace {
    int argument; // -1: none
    uint64_t offset;
};

// Knows launches and products, not what they are steps of. Whoever makes one keeps the memory of
// the operands that have a fixed address, and runs it on one thread at a time.
class Sequence {
  public:
    // `steps` are (launch, operands, places): a bound launch or a product, the operands it was
    // run on, and of each None or (argument, offset). Throws nb::type_error for other launches.
    explicit Sequence(nanobind::list steps, int arguments);

    // An address or array per argument. The error flag of the step that stopped it, or 0. Signals
    // are handled between steps: what a handler raises is raised here.
    int32_t operator()(nanobind::args arguments) const;

    size_t size() const { return steps.size(); }

  private:
    struct Step {
        StepFunction run;
        std::vector<OperandPlace> places;
        nanobind::object launch; // for the sentence that says why it is refused
    };
    std::vector<Step> steps;
    int arguments;
    nanobind::list kept; // what the steps were made of

    class Run;
};

void add_sequence(nanobind::module_ &m);

} // namespace gint
