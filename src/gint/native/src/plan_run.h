// Steps one after the other, in one call: bound launches, and a few operators of torch's.
//
// Steps refer to numbered values: first the call's arguments, then what is the same at every call,
// then what steps make. A value is where its first element lies and, of a tensor of torch's, its
// handle. Sizes that are others at every call are arguments too, integers behind the values.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "copies/copies.h"
#include "run/kernel.h"
#include "torch_shim.h"

namespace gint {

struct PlanValue {
    TensorHandle handle = nullptr;
    uint64_t address = 0;
};

enum class Outcome {
    done,
    refused,  // a launch must not run on this memory
    flagged,  // a launch set its error flag
    failed,   // torch's operator did not
    no_memory // a launch found none for its own use
};

class PlanStep {
  public:
    virtual ~PlanStep() = default;
    virtual Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const = 0;
    virtual bool is_short() const { return false; } // not worth releasing the GIL
};

using Number = uint32_t; // of a value
constexpr Number NONE = ~Number(0);

// A size or stride: known, or the argument of that number among the sizes.
struct PlanSize {
    int64_t known = 0;
    Number argument = NONE;
    int64_t of(const int64_t *sizes) const { return argument == NONE ? known : sizes[argument]; }
};

class LaunchStep final : public PlanStep {
  public:
    LaunchStep(std::shared_ptr<const BoundLaunch> launch, std::vector<Number> slots)
        : launch(std::move(launch)), slots(std::move(slots)) {}
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return launch->is_short(); }
    const std::vector<Number> &memory() const { return slots; }

  private:
    std::shared_ptr<const BoundLaunch> launch;
    std::vector<Number> slots;
};

struct ViewStep final : PlanStep {
    Number value, of;
    std::vector<PlanSize> size, strides; // of as many dimensions
    PlanSize offset;
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return true; }
};

// A value that a step made gets the strides that others rely on.
struct ExpectStep final : PlanStep {
    Number value;
    std::vector<PlanSize> size, strides; // of as many dimensions
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
};

struct ReleaseStep final : PlanStep {
    std::vector<Number> released; // values that steps made
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return true; }
};

// out = a b, or beta c + alpha a b where there is a c; of matrices, or batches of them. Where c is
// the same for all `rows` of out, each of `row_bytes`, it is copied into them here and the product
// added in place: a third of what torch takes to spread it.
struct ProductStep final : PlanStep {
    bool is_batched;
    Number out, c, a, b;
    double beta, alpha;
    size_t rows = 0, row_bytes = 0;
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// A value is made, rows of float32: the product of x's rows with quantised weights, plus a bias.
struct RowProductStep final : PlanStep {
    Number value, x, bias;
    std::vector<int64_t> size, strides;
    size_t rows, outputs;
    std::function<void(const float *x, float *out)> multiply;
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// Attention of few rows by our own loops, otherwise by torch's kernel for CPUs; what that saves for
// a backward pass is dropped.
struct AttentionStep final : PlanStep {
    Number value, query, key, vectors, mask;
    bool is_causal, is_scaled;
    double scale;
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;

  private:
    std::optional<Outcome> run_rows(PlanValue *values) const; // nothing where it is torch's
};

// Tensors of one type and rank joined along a dimension, into memory without gaps.
struct JoinStep final : PlanStep {
    Number value;
    std::vector<Number> joined;
    size_t dimension;
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// Pieces of tensors of static layouts, copied into memory that is there.
struct CopyStep final : PlanStep {
    Number out;
    std::vector<Number> sources;
    Copies copies;
    CopyStep(Number out, std::vector<Number> sources, Copies copies)
        : out(out), sources(std::move(sources)), copies(std::move(copies)) {}
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return copies.bytes() < SHORT_BYTES; }

  private:
    static constexpr size_t SHORT_BYTES = 1 << 15;
};

struct ConvolutionStep final : PlanStep {
    Number value, input, weight, bias;
    std::vector<int64_t> stride, padding, dilation, output_padding;
    bool is_transposed;
    int64_t groups;
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// A result with its address. Of a call that failed nothing is kept: where it has several results,
// the first may be there.
Outcome keep(ShimError error, TensorHandle made, PlanValue *value);

// What oneDNN does to a result before it is stored, as torch's operators are told.
struct PostOperation {
    std::string name;
    std::vector<std::optional<double>> scalars;
    std::optional<std::string> algorithm;
};

// A product with the transpose of a weight by oneDNN, or a convolution: then what follows it,
// either an operation with `other` and one more, or one alone. The weight is a value, or packed: a
// tensor without memory of its own, which the run keeps.
struct PointwiseStep : PlanStep {
    Number value, input, weight, bias, other;
    TensorHandle packed = nullptr;
    std::string combined; // the operation with `other`
    PostOperation after;

  protected:
    TensorHandle weight_handle(const PlanValue *values) const {
        return packed ? packed : values[weight].handle;
    }
};

struct LinearStep final : PointwiseStep {
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
};

struct PointwiseConvolutionStep final : PointwiseStep {
    std::vector<int64_t> padding, stride, dilation;
    int64_t groups;
    Outcome run(PlanValue *values, const int64_t *sizes, int32_t *flag) const override;
};

} // namespace gint
