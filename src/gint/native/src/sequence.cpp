#include "sequence.h"

#include <algorithm>
#include <chrono>

#include "arrays.h"
#include "attention_module.h"
#include "launch_type.h"
#include "quantized_module.h"
#include "released_gil.h"
#include "row_module.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

using Clock = std::chrono::steady_clock;
// How long Python hears of no signal; the clock is read once for so many steps.
constexpr std::chrono::milliseconds DEAF{10};
constexpr size_t STEPS_PER_LOOK = 16;
constexpr size_t MOST_OPERANDS = 64; // as many as a program has slots

uint64_t address_of(nb::handle operand) {
    if (is_array(operand.ptr())) return Array(operand.ptr()).address();
    return nb::cast<uint64_t>(operand);
}

// `next`: the weights that are read after it, if there are.
StepFunction make_step(nb::handle launch, nb::handle operands, const NextRead &next) {
    if (auto bound = launch_of(launch.ptr())) {
        if (nb::len(operands) != bound->slot_count())
            throw nb::value_error("A launch takes one operand per slot.");
        return [bound = std::move(bound)](const uint64_t *pointers) { return (*bound)(pointers); };
    }
    if (StepFunction product = product_step(launch, operands, next)) return product;
    if (StepFunction attention = attention_step(launch, next)) return attention;
    if (StepFunction row = row_step(launch)) return row;
    throw nb::type_error("Only native launches are steps of a sequence.");
}

OperandPlace place_of(nb::handle place, nb::handle operand, int arguments) {
    if (place.is_none()) {
        // Weights have a place of their own.
        return {-1, is_array(operand.ptr()) ? Array(operand.ptr()).address() : 0};
    }
    const int argument = nb::cast<int>(place[0]);
    if (argument < 0 || argument >= arguments)
        throw nb::value_error("An operand's place names an argument that there is not.");
    return {argument, nb::cast<uint64_t>(place[1])};
}

} // namespace

Sequence::Sequence(nb::list made_of, int count) : arguments(count), kept(made_of) {
    NextRead next;
    for (size_t n = nb::len(made_of); n-- > 0;) {
        const nb::object entry = made_of[n], operands = entry[1], places = entry[2];
        Step step{make_step(entry[0], operands, next), {}, nb::borrow(entry[0])};
        const size_t size = nb::len(operands);
        if (size > MOST_OPERANDS || nb::len(places) != size)
            throw nb::value_error("A step needs a place for each of its operands.");
        for (size_t at = 0; at < size; at++)
            step.places.push_back(place_of(places[at], operands[at], arguments));
        steps.push_back(std::move(step));
        if (NextRead read = weights_read(entry[0], operands)) next = std::move(read);
    }
    std::reverse(steps.begin(), steps.end());
}

// A sequence at some step.
class Sequence::Run {
  public:
    Run(const Sequence &sequence, std::vector<uint64_t> arguments)
        : steps(sequence.steps), arguments(std::move(arguments)) {}

    bool is_done() const { return next == steps.size() || flag != 0; }
    int32_t error() const { return flag; }

    // Steps for some milliseconds. False where the next one must not run.
    bool go_on() {
        const Clock::time_point end = Clock::now() + DEAF;
        for (; !is_done(); next++) {
            const Step &step = steps[next];
            resolve(step);
            const std::optional<int32_t> found = step.run(pointers);
            if (!found) return false;
            flag |= *found;
            if (next % STEPS_PER_LOOK == 0 && Clock::now() > end) {
                next++;
                break;
            }
        }
        return true;
    }

    // Raises what the step that must not run would alone.
    void explain() {
        const Step &step = steps[next];
        resolve(step);
        nb::list addresses;
        for (size_t n = 0; n < step.places.size(); n++) addresses.append(pointers[n]);
        step.launch(*addresses);
        throw nb::value_error("A step was refused without a reason.");
    }

  private:
    const std::vector<Step> &steps;
    const std::vector<uint64_t> arguments;
    uint64_t pointers[MOST_OPERANDS];
    size_t next = 0;
    int32_t flag = 0;

    void resolve(const Step &step) {
        for (size_t n = 0; n < step.places.size(); n++) {
            const OperandPlace &place = step.places[n];
            pointers[n] = place.offset + (place.argument < 0 ? 0 : arguments[place.argument]);
        }
    }
};

int32_t Sequence::operator()(nb::args given) const {
    if (nb::len(given) != size_t(arguments)) {
        PyErr_Format(PyExc_TypeError, "The sequence takes %d addresses or arrays, not %zu.",
                     arguments, nb::len(given));
        throw nb::python_error();
    }
    std::vector<uint64_t> addresses;
    for (nb::handle argument : given) addresses.push_back(address_of(argument));
    Run run(*this, std::move(addresses));
    while (!run.is_done()) {
        bool fits;
        {
            const ReleasedGil released;
            fits = run.go_on();
        }
        if (!fits) run.explain();
        if (PyErr_CheckSignals()) throw nb::python_error();
    }
    if (run.error() & OUT_OF_MEMORY) {
        no_memory();
        throw nb::python_error();
    }
    return run.error();
}

void add_sequence(nb::module_ &m) {
    nb::class_<Sequence>(m, "Sequence")
        .def(nb::init<nb::list, int>(), "steps"_a, "arguments"_a)
        .def("__call__", &Sequence::operator())
        .def("__len__", &Sequence::size);
}

} // namespace gint
