#include "torch_steps.h"

#include <algorithm>
#include <cstring>

#include "torch_tensor.h"

namespace gint {

Outcome keep(ShimError error, TensorHandle made, RunValue *value) {
    if (error) {
        if (made) torch_shim()->free_tensor(made);
        return Outcome::failed;
    }
    value->handle = made;
    void *address = nullptr;
    if (torch_shim()->data_ptr(made, &address)) return Outcome::failed;
    value->address = reinterpret_cast<uint64_t>(address);
    return Outcome::done;
}

namespace {

// Sizes or strides of one call.
class Dimensions {
  public:
    Dimensions(const std::vector<CallSize> &of, const int64_t *sizes) {
        if (of.size() > FEW) many.resize(of.size());
        found = of.size() > FEW ? many.data() : few;
        for (size_t d = 0; d < of.size(); d++) found[d] = of[d].of(sizes);
    }
    Dimensions(const Dimensions &) = delete;
    Dimensions &operator=(const Dimensions &) = delete;
    const int64_t *get() const { return found; }

  private:
    static constexpr size_t FEW = 8;
    int64_t few[FEW], *found;
    std::vector<int64_t> many;
};

Outcome done_or_failed(ShimError error) { return error ? Outcome::failed : Outcome::done; }

} // namespace

Outcome ViewStep::run(RunValue *values, const int64_t *sizes, int32_t *) const {
    TensorHandle made = nullptr;
    const Dimensions lengths(size, sizes), steps(strides, sizes);
    const ShimError error =
        torch_shim()->reinterpret(values[of].handle, int64_t(size.size()), lengths.get(),
                                  steps.get(), offset.of(sizes), &made);
    return keep(error, made, &values[value]);
}

Outcome ExpectStep::run(RunValue *values, const int64_t *sizes, int32_t *) const {
    const TorchShim &torch = *torch_shim();
    TensorHandle given = values[value].handle, made = nullptr;
    const Dimensions lengths(size, sizes), steps(strides, sizes);
    Tensor t;
    if (!t.read(given)) return Outcome::failed;
    if (dtype && (t.dtype != *dtype || t.rank != int64_t(size.size()) ||
                  !std::equal(t.sizes, t.sizes + t.rank, lengths.get())))
        return Outcome::unexpected;
    if (t.rank == int64_t(strides.size()) && std::equal(t.strides, t.strides + t.rank, steps.get()))
        return Outcome::done;
    const ShimError error = torch.empty_strided(int64_t(size.size()), lengths.get(), steps.get(),
                                                t.dtype, CPU, 0, &made);
    if (error || torch.copy(made, given, 0)) {
        if (made) torch.free_tensor(made);
        return Outcome::failed;
    }
    torch.free_tensor(given);
    return keep(0, made, &values[value]);
}

Outcome ReleaseStep::run(RunValue *values, const int64_t *, int32_t *) const {
    for (Number n : released) {
        if (values[n].handle) torch_shim()->free_tensor(values[n].handle);
        values[n] = RunValue();
    }
    return Outcome::done;
}

Outcome ProductStep::run(RunValue *values, const int64_t *, int32_t *) const {
    const TorchShim &torch = *torch_shim();
    TensorHandle into = values[out].handle, left = values[a].handle, right = values[b].handle;
    if (c == NONE) {
        const auto product = is_batched ? torch.bmm_out : torch.mm_out;
        return done_or_failed(product(into, left, right));
    }
    if (rows) {
        auto *row = reinterpret_cast<char *>(values[out].address);
        const auto *added = reinterpret_cast<const char *>(values[c].address);
        for (size_t n = 0; n < rows; n++, row += row_bytes) std::memcpy(row, added, row_bytes);
        return done_or_failed(torch.addmm_out(into, into, left, right, beta, alpha));
    }
    const auto product = is_batched ? torch.baddbmm_out : torch.addmm_out;
    return done_or_failed(product(into, values[c].handle, left, right, beta, alpha));
}

namespace {

Outcome make_rows(const RowProductStep::Made &m, Number memory, RunValue *values) {
    if (m.offset != RowProductStep::NOWHERE) {
        values[m.value].address = values[memory].address + m.offset;
        return Outcome::done;
    }
    TensorHandle made = nullptr;
    const ShimError error = torch_shim()->empty_strided(int64_t(m.size.size()), m.size.data(),
                                                        m.strides.data(), FLOAT, CPU, 0, &made);
    return keep(error, made, &values[m.value]);
}

// Where products are written, by product.
class Outs {
  public:
    explicit Outs(size_t count) {
        if (count > FEW) many.resize(count);
        found = count > FEW ? many.data() : few;
    }
    Outs(const Outs &) = delete;
    Outs &operator=(const Outs &) = delete;
    float *&operator[](size_t n) { return found[n]; }
    float *const *get() const { return found; }

  private:
    static constexpr size_t FEW = 4;
    float *few[FEW], **found;
    std::vector<float *> many;
};

} // namespace

Outcome RowProductStep::run(RunValue *values, const int64_t *, int32_t *) const {
    Outs outs(made.size());
    for (size_t n = 0; n < made.size(); n++) {
        const Outcome kept = make_rows(made[n], memory, values);
        if (kept != Outcome::done) return kept;
        outs[n] = reinterpret_cast<float *>(values[made[n].value].address);
    }
    if (rows == 0) return Outcome::done; // and no memory
    products(reinterpret_cast<const float *>(values[x].address), outs.get(), *next);
    for (size_t n = 0; n < made.size(); n++) {
        if (made[n].bias == NONE) continue;
        const auto *added = reinterpret_cast<const float *>(values[made[n].bias].address);
        float *out = outs[n];
        const size_t outputs = products.outputs(n);
        for (size_t row = 0; row < rows; row++, out += outputs)
            for (size_t k = 0; k < outputs; k++) out[k] += added[k];
    }
    return Outcome::done;
}

Outcome ConvolutionStep::run(RunValue *values, const int64_t *, int32_t *) const {
    if (const auto outcome = run_dense(values)) return *outcome;
    TensorHandle made = nullptr, added = bias == NONE ? nullptr : values[bias].handle;
    const ShimError error = torch_shim()->convolution(
        values[input].handle, values[weight].handle, bias == NONE ? nullptr : &added, stride.data(),
        int64_t(stride.size()), padding.data(), int64_t(padding.size()), dilation.data(),
        int64_t(dilation.size()), is_transposed, output_padding.data(),
        int64_t(output_padding.size()), groups, &made);
    return keep(error, made, &values[value]);
}

namespace {

// A PostOperation as the shim's functions take it.
struct PostArguments {
    std::vector<const double *> scalars;
    const char *name, *algorithm;
    const char **optional_algorithm;

    explicit PostArguments(const PostOperation &post) : name(post.name.c_str()) {
        for (const auto &scalar : post.scalars) scalars.push_back(scalar ? &*scalar : nullptr);
        algorithm = post.algorithm ? post.algorithm->c_str() : nullptr;
        optional_algorithm = algorithm ? &algorithm : nullptr;
    }
    int64_t count() const { return int64_t(scalars.size()); }
};

} // namespace

Outcome LinearStep::run(RunValue *values, const int64_t *, int32_t *) const {
    const TorchShim &torch = *torch_shim();
    TensorHandle made = nullptr, added = bias == NONE ? nullptr : values[bias].handle;
    TensorHandle *optional_bias = added ? &added : nullptr;
    if (other != NONE) {
        const ShimError error = torch.linear_pointwise_binary(
            values[input].handle, values[other].handle, weight_handle(values), optional_bias,
            combined.c_str(), &made);
        return keep(error, made, &values[value]);
    }
    PostArguments post(after);
    const ShimError error = torch.linear_pointwise(values[input].handle, weight_handle(values),
                                                   optional_bias, post.name, post.scalars.data(),
                                                   post.count(), post.optional_algorithm, &made);
    return keep(error, made, &values[value]);
}

Outcome PointwiseConvolutionStep::run(RunValue *values, const int64_t *, int32_t *) const {
    const TorchShim &torch = *torch_shim();
    TensorHandle made = nullptr, added = bias == NONE ? nullptr : values[bias].handle;
    TensorHandle *optional_bias = added ? &added : nullptr;
    const auto count = [](const std::vector<int64_t> &list) { return int64_t(list.size()); };
    PostArguments post(after);
    if (other == NONE) {
        const ShimError error = torch.convolution_pointwise(
            values[input].handle, weight_handle(values), optional_bias, padding.data(),
            count(padding), stride.data(), count(stride), dilation.data(), count(dilation), groups,
            post.name, post.scalars.data(), post.count(), post.optional_algorithm, &made);
        return keep(error, made, &values[value]);
    }
    double alpha = 1.0;
    const char **unary = after.name.empty() ? nullptr : &post.name;
    const ShimError error = torch.convolution_pointwise_binary(
        values[input].handle, values[other].handle, weight_handle(values), optional_bias,
        padding.data(), count(padding), stride.data(), count(stride), dilation.data(),
        count(dilation), groups, combined.c_str(), &alpha, unary, post.scalars.data(), post.count(),
        post.optional_algorithm, &made);
    return keep(error, made, &values[value]);
}

} // namespace gint
