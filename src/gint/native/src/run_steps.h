// Steps one after the other, in one call: what a step is, and those that need no torch.
//
// Steps refer to numbered values: first the call's arguments, then what is the same at every call,
// then what steps make. A value is where its first element lies and, of a tensor of torch's, its
// handle. Sizes that are others at every call are arguments too, integers behind the values.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "copies/copies.h"
#include "run/kernel.h"
#include "step_function.h"
#include "torch_shim.h"

namespace gint {

struct RunValue {
    TensorHandle handle = nullptr;
    uint64_t address = 0;
};

enum class Outcome {
    done,
    paused,     // between two steps, for what Python has to see to
    refused,    // a launch must not run on this memory
    flagged,    // a launch set its error flag
    failed,     // torch's operator did not
    unexpected, // an operator made something else than the plan says
    no_memory,  // a launch found none for its own use
};

class RunStep {
  public:
    virtual ~RunStep() = default;
    virtual Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const = 0;
    virtual bool is_short() const { return false; } // not worth releasing the GIL
};

using Number = uint32_t; // of a value
constexpr Number NONE = ~Number(0);

class LaunchStep final : public RunStep {
  public:
    LaunchStep(std::shared_ptr<const BoundLaunch> launch, std::vector<Number> slots)
        : launch(std::move(launch)), slots(std::move(slots)) {}
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return launch->is_short(); }
    const std::vector<Number> &memory() const { return slots; }

  private:
    std::shared_ptr<const BoundLaunch> launch;
    std::vector<Number> slots;
};

struct FunctionStep final : RunStep {
    StepFunction function;
    std::vector<Number> operands; // NONE: it knows where that one is
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// Pieces of values of static layouts, copied into memory that is there.
struct CopyStep final : RunStep {
    Number out;
    std::vector<Number> sources;
    Copies copies;
    CopyStep(Number out, std::vector<Number> sources, Copies copies)
        : out(out), sources(std::move(sources)), copies(std::move(copies)) {}
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return copies.bytes() < SHORT_BYTES; }

  private:
    static constexpr size_t SHORT_BYTES = 1 << 15;
};

// A value is memory so many bytes behind another's, and `step` further for each that the call's
// first size counts. It has no tensor.
struct BehindStep final : RunStep {
    Number value, of;
    uint64_t offset;
    int64_t step;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return true; }
};

} // namespace gint
