#include "run_steps.h"

namespace gint {

namespace {

// Where the operands of one step begin.
class Pointers {
  public:
    Pointers(const std::vector<Number> &operands, const RunValue *values) {
        if (operands.size() > FEW) many.resize(operands.size());
        found = operands.size() > FEW ? many.data() : few;
        for (size_t n = 0; n < operands.size(); n++)
            found[n] = operands[n] == NONE ? 0 : values[operands[n]].address;
    }
    Pointers(const Pointers &) = delete;
    Pointers &operator=(const Pointers &) = delete;
    const uint64_t *get() const { return found; }

  private:
    static constexpr size_t FEW = 24;
    uint64_t few[FEW], *found;
    std::vector<uint64_t> many;
};

} // namespace

Outcome LaunchStep::run(RunValue *values, const int64_t *, int32_t *flag) const {
    const std::optional<int32_t> result = (*launch)(Pointers(slots, values).get());
    if (!result) return Outcome::refused;
    *flag = *result;
    if (*flag & OUT_OF_MEMORY) return Outcome::no_memory;
    return *flag ? Outcome::flagged : Outcome::done;
}

Outcome FunctionStep::run(RunValue *values, const int64_t *, int32_t *) const {
    function(Pointers(operands, values).get());
    return Outcome::done;
}

Outcome CopyStep::run(RunValue *values, const int64_t *, int32_t *) const {
    copies.run(values[out].address, Pointers(sources, values).get(), 0);
    return Outcome::done;
}

Outcome BehindStep::run(RunValue *values, const int64_t *sizes, int32_t *) const {
    values[value].address = values[of].address + offset + (step ? uint64_t(step * sizes[0]) : 0);
    return Outcome::done;
}

} // namespace gint
