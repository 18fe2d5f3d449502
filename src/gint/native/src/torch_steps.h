// The steps of a run that are views and operators of torch's, by its C shim.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "quantized_module.h"
#include "run_steps.h"

namespace gint {

// A size or stride: known, or the argument of that number among the call's sizes.
struct CallSize {
    int64_t known = 0;
    Number argument = NONE;
    int64_t of(const int64_t *sizes) const { return argument == NONE ? known : sizes[argument]; }
};

struct ViewStep final : RunStep {
    Number value, of;
    std::vector<CallSize> size, strides; // of as many dimensions
    CallSize offset;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return true; }
};

// A value that a step made gets the strides that others rely on. Where there is a `dtype`, its own
// and its sizes are compared.
struct ExpectStep final : RunStep {
    Number value;
    std::optional<int32_t> dtype;
    std::vector<CallSize> size, strides; // of as many dimensions
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
};

struct ReleaseStep final : RunStep {
    std::vector<Number> released; // values that steps made
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
    bool is_short() const override { return true; }
};

// out = a b, or beta c + alpha a b where there is a c; of matrices, or batches of them. Where c is
// the same for all `rows` of out, each of `row_bytes`, it is copied into them here and the product
// added in place: a third of what torch takes to spread it.
struct ProductStep final : RunStep {
    bool is_batched;
    Number out, c, a, b;
    double beta, alpha;
    size_t rows = 0, row_bytes = 0;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// Values are made, rows of float32: the products of x's rows with quantised weights, plus a bias.
struct RowProductStep final : RunStep {
    struct Made {
        Number value, bias;
        std::vector<int64_t> size, strides;
        size_t offset; // where it lies in the call's own memory, or NOWHERE: it is a tensor
    };
    static constexpr size_t NOWHERE = ~size_t(0);

    Number x, memory; // `memory`: the call's own
    size_t rows;
    std::vector<Made> made;
    RowsProducts products;
    std::shared_ptr<const NextRead> next;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// Attention of few rows by our own loops, otherwise by torch's kernel for CPUs; what that saves for
// a backward pass is dropped.
struct AttentionStep final : RunStep {
    Number value, query, key, vectors, mask;
    bool is_causal, is_scaled;
    double scale;
    std::shared_ptr<const NextRead> next;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;

  private:
    std::optional<Outcome> run_rows(RunValue *values) const; // nothing where it is torch's
};

// Tensors of one type and rank joined along a dimension, into memory without gaps: channels-last
// where all of them are, as torch has it.
struct JoinStep final : RunStep {
    Number value;
    std::vector<Number> joined;
    size_t dimension;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
};

// By our own loops where they suit what comes, otherwise by torch.
struct ConvolutionStep final : RunStep {
    Number value, input, weight, bias;
    std::vector<int64_t> stride, padding, dilation, output_padding;
    bool is_transposed;
    int64_t groups;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;

  private:
    std::optional<Outcome> run_dense(RunValue *values) const; // nothing where it is torch's
};

// A result with its address. Of a call that failed nothing is kept: where it has several results,
// the first may be there.
Outcome keep(ShimError error, TensorHandle made, RunValue *value);

// What oneDNN does to a result before it is stored, as torch's operators are told.
struct PostOperation {
    std::string name;
    std::vector<std::optional<double>> scalars;
    std::optional<std::string> algorithm;
};

// A product with the transpose of a weight by oneDNN, or a convolution: then what follows it,
// either an operation with `other` and one more, or one alone. The weight is a value, or packed: a
// tensor without memory of its own, which the run keeps.
struct PointwiseStep : RunStep {
    Number value, input, weight, bias, other;
    TensorHandle packed = nullptr;
    std::string combined; // the operation with `other`
    PostOperation after;

  protected:
    TensorHandle weight_handle(const RunValue *values) const {
        return packed ? packed : values[weight].handle;
    }
};

struct LinearStep final : PointwiseStep {
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
};

struct PointwiseConvolutionStep final : PointwiseStep {
    std::vector<int64_t> padding, stride, dilation;
    int64_t groups;
    Outcome run(RunValue *values, const int64_t *sizes, int32_t *flag) const override;
};

} // namespace gint
