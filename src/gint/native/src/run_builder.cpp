#include "run_builder.h"

#include <algorithm>
#include <utility>

#include "arrays.h"
#include "attention_module.h"
#include "launch_type.h"
#include "native_run.h"
#include "quantized_module.h"
#include "row_module.h"
#include "run_arguments.h"
#include "torch_steps.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

StepFunction make_function(nb::handle work, nb::handle operands, const Following &next) {
    if (StepFunction product = product_step(work, operands, next)) return product;
    if (StepFunction attention = attention_step(work, next)) return attention;
    if (StepFunction row = row_step(work)) return row;
    throw nb::type_error("Only native launches are steps of a run.");
}

int32_t elements_of(nb::handle tensor) {
    const TensorHandle handle = handle_of(tensor.ptr());
    int32_t dtype = 0;
    if (!handle || torch_shim()->dtype(handle, &dtype))
        throw nb::type_error("What is expected is like a tensor.");
    return dtype;
}

// Collects steps. Numbers of values are checked as steps are added, so that none is ever beyond,
// and that what torch is given is a tensor.
class RunSteps {
  public:
    RunSteps(size_t inputs, nb::list fixed, size_t made, nb::object raise_for, size_t sizes,
             bool takes_addresses)
        : made(std::make_unique<NativeRun>()) {
        NativeRun &run = *this->made;
        run.inputs = inputs, run.made = made, run.sizes = sizes;
        run.raise_for = std::move(raise_for), run.takes_addresses = takes_addresses;
        run.is_tensor.resize(inputs);
        kinds.resize(inputs, Kind::given);
        for (nb::handle object : fixed) {
            RunValue value;
            if (!read_value(object.ptr(), &value)) throw nb::python_error();
            run.fixed.push_back(nb::borrow(object));
            run.fixed_values.push_back(value);
            kinds.push_back(value.handle ? Kind::tensor : Kind::memory);
        }
        kinds.resize(run.value_count(), Kind::absent);
    }

    // `again` is called with a tuple of tensors where the launch must not run on them.
    void launch(nb::object bound, nb::list slots, nb::object again) {
        auto launch = launch_of(bound.ptr());
        if (!launch) throw nb::type_error("A run takes launches of the C++ interpreter.");
        std::vector<Number> numbers;
        for (nb::handle slot : slots) numbers.push_back(number(slot));
        if (numbers.size() != launch->slot_count())
            throw nb::value_error("A launch takes one value per slot.");
        add(std::make_unique<LaunchStep>(std::move(launch), std::move(numbers)),
            again.is_none() ? std::move(bound) : std::move(again));
    }

    // Work that was watched on some operands, on values of the same layouts; None: the operand's
    // memory is its own, as that of packed weights is.
    void watched(nb::object work, nb::list operands, nb::list values) {
        if (launch_of(work.ptr())) return launch(std::move(work), std::move(values), nb::none());
        if (nb::len(operands) != nb::len(values))
            throw nb::value_error("A step needs a value for each of its operands.");
        auto step = std::make_unique<FunctionStep>();
        for (nb::handle operand : operands) weights_come(operand);
        step->function = make_function(work, operands, followed());
        for (nb::handle value : values) step->operands.push_back(optional(value));
        add(std::move(step));
        run_made().kept.push_back(nb::make_tuple(work, operands));
    }

    void behind(nb::object value, nb::object of, uint64_t offset, int64_t by_count) {
        if (by_count && !run_made().sizes)
            throw nb::index_error("A step uses a size that the run does not have.");
        auto step = std::make_unique<BehindStep>();
        step->of = number(of), step->offset = offset, step->step = by_count;
        step->value = made_number(value, Kind::memory);
        add(std::move(step));
    }

    void view(nb::object value, nb::object of, nb::tuple size, nb::tuple strides,
              nb::object offset) {
        auto step = std::make_unique<ViewStep>();
        step->of = tensor(of), step->size = sizes_of(size), step->strides = sizes_of(strides);
        if (step->size.size() != step->strides.size())
            throw nb::value_error("A view has a stride for each of its dimensions.");
        step->offset = size_of(offset), step->value = made_number(value);
        add(std::move(step));
    }

    // `like` is of the elements that are expected, or None: then neither those nor sizes are
    // compared.
    void expect(nb::object value, nb::tuple size, nb::tuple strides, nb::object like) {
        auto step = std::make_unique<ExpectStep>();
        step->value = tensor(value);
        if (step->value < run_made().first_made())
            throw nb::index_error("Only what steps made is expected.");
        step->size = sizes_of(size), step->strides = sizes_of(strides);
        if (step->size.size() != step->strides.size())
            throw nb::value_error("What is expected has a stride for each of its dimensions.");
        if (!like.is_none()) step->dtype = elements_of(like);
        add(std::move(step));
    }

    void release(nb::list values) {
        auto step = std::make_unique<ReleaseStep>();
        for (nb::handle value : values) step->released.push_back(gone_number(value));
        add(std::move(step));
    }

    void product(bool is_batched, nb::object out, nb::object c, nb::object a, nb::object b,
                 double beta, double alpha, size_t rows, size_t row_bytes) {
        if (rows && (is_batched || c.is_none()))
            throw nb::value_error("Only what is added to a matrix is copied into its rows.");
        auto step = std::make_unique<ProductStep>();
        step->is_batched = is_batched, step->beta = beta, step->alpha = alpha;
        step->rows = rows, step->row_bytes = row_bytes;
        step->out = tensor(out), step->c = optional_tensor(c);
        step->a = tensor(a), step->b = tensor(b);
        add(std::move(step));
    }

    // Products of one x, one after the other, are made at once. `offset`: where in the call's own
    // memory the result lies, which is then no tensor, or None.
    void row_product(nb::object value, nb::object x, nb::object bias, nb::object product,
                     nb::object weights, nb::tuple size, nb::object offset) {
        RowProductStep::Made one{NONE, optional(bias), integers(size), {}, RowProductStep::NOWHERE};
        if (one.size.empty()) throw nb::value_error("A product of rows has one dimension or more.");
        one.strides.resize(one.size.size());
        int64_t stride = 1;
        for (size_t d = one.size.size(); d-- > 0; stride *= std::max<int64_t>(one.size[d], 1))
            one.strides[d] = stride;
        size_t rows = 1;
        for (size_t d = 0; d + 1 < one.size.size(); d++) rows *= size_t(one.size[d]);
        const Number from = number(x);
        if (!products || products->x != from || products->rows != rows ||
            !products->products.add(product, weights, rows)) {
            auto step = std::make_unique<RowProductStep>();
            step->x = from, step->rows = rows, step->memory = Number(run_made().memory());
            step->products.add(product, weights, rows);
            read_first.clear();
            read_together(weights);
            step->next = followed();
            RowProductStep *const added = step.get();
            add(std::move(step));
            products = added;
        } else {
            read_together(weights);
        }
        if (!offset.is_none()) {
            one.offset = nb::cast<size_t>(offset);
            if (one.offset % LINE) throw nb::value_error("Own memory is in lines of 64 bytes.");
            const size_t bytes = rows * size_t(one.size.back()) * sizeof(float);
            run_made().own_bytes = std::max(run_made().own_bytes, one.offset + bytes);
        }
        one.value = made_number(value, offset.is_none() ? Kind::tensor : Kind::memory);
        products->made.push_back(std::move(one));
        run_made().kept.push_back(std::move(weights));
    }

    void attention(nb::object value, nb::object query, nb::object key, nb::object vectors,
                   nb::object mask, bool is_causal, nb::object scale) {
        auto step = std::make_unique<AttentionStep>();
        step->query = tensor(query), step->key = tensor(key), step->vectors = tensor(vectors);
        step->mask = optional_tensor(mask), step->is_causal = is_causal;
        step->is_scaled = !scale.is_none();
        step->scale = step->is_scaled ? nb::cast<double>(scale) : 1.0;
        step->next = followed();
        step->value = made_number(value);
        add(std::move(step));
    }

    void join(nb::object value, nb::list joined, int64_t dimension) {
        auto step = std::make_unique<JoinStep>();
        for (nb::handle one : joined) step->joined.push_back(tensor(one));
        if (step->joined.empty() || dimension < 0)
            throw nb::value_error("One tensor or more are joined, along a dimension from 0 on.");
        step->dimension = size_t(dimension), step->value = made_number(value);
        add(std::move(step));
    }

    void copy(nb::object out, nb::list sources, size_t element_bytes, uint64_t fill,
              nb::list pieces) {
        if (element_bytes != 1 && element_bytes != 2 && element_bytes != 4 && element_bytes != 8)
            throw nb::value_error("An element that is copied is of 1, 2, 4 or 8 bytes.");
        std::vector<Number> numbers;
        for (nb::handle source : sources) numbers.push_back(number(source));
        std::vector<CopiedPiece> made;
        for (nb::handle piece : pieces) made.push_back(piece_of(nb::cast<nb::tuple>(piece)));
        for (const CopiedPiece &piece : made)
            if (piece.number >= numbers.size())
                throw nb::index_error("A piece is of a source that the step does not have.");
        add(std::make_unique<CopyStep>(number(out), std::move(numbers),
                                       Copies(element_bytes, fill, made)));
    }

    void convolution(nb::object value, nb::object input, nb::object weight, nb::object bias,
                     nb::list stride, nb::list padding, nb::list dilation, bool is_transposed,
                     nb::list output_padding, int64_t groups) {
        auto step = std::make_unique<ConvolutionStep>();
        step->input = tensor(input), step->weight = tensor(weight);
        step->bias = optional_tensor(bias);
        step->stride = integers(stride), step->padding = integers(padding);
        step->dilation = integers(dilation), step->is_transposed = is_transposed;
        step->output_padding = integers(output_padding), step->groups = groups;
        step->value = made_number(value);
        add(std::move(step));
    }

    void linear(nb::object value, nb::object input, nb::object weight, nb::object bias,
                nb::object other, nb::str combined, nb::tuple after) {
        auto step = std::make_unique<LinearStep>();
        set(*step, value, input, weight, bias, other, combined, after);
        add(std::move(step));
    }

    void pointwise_convolution(nb::object value, nb::object input, nb::object weight,
                               nb::object bias, nb::object other, nb::str combined, nb::tuple after,
                               nb::list padding, nb::list stride, nb::list dilation,
                               int64_t groups) {
        auto step = std::make_unique<PointwiseConvolutionStep>();
        step->padding = integers(padding), step->stride = integers(stride);
        step->dilation = integers(dilation), step->groups = groups;
        set(*step, value, input, weight, bias, other, combined, after);
        add(std::move(step));
    }

    nb::object finish(nb::list outputs) {
        for (nb::handle value : outputs) {
            tensor(value);
            run_made().outputs.push_back(gone_number(value));
        }
        run_made();
        PyObject *object = make_native_run(std::move(made));
        if (!object) throw nb::python_error();
        return nb::steal(object);
    }

  private:
    // What a value is after the steps so far. An argument may be memory alone or a tensor.
    enum class Kind { absent, given, memory, tensor };

    std::unique_ptr<NativeRun> made;
    std::vector<Kind> kinds;
    // Of steps since the last weights, what is read next; and of those before them.
    std::vector<std::shared_ptr<NextRead>> waiting, told;
    std::vector<const PackedWeights *> read_first; // together, by the latest product
    RowProductStep *products = nullptr;            // the latest step, if it is one

    std::shared_ptr<NextRead> followed() {
        return waiting.emplace_back(std::make_shared<NextRead>());
    }

    // The next step reads this, if it is weights.
    void weights_come(nb::handle operand) {
        if (!packed_weights(operand)) return;
        read_first.clear();
        read_together(operand);
    }

    // So does the step that is being made, beside what it reads already.
    void read_together(nb::handle weights) {
        if (read_first.empty()) told = std::exchange(waiting, {});
        read_first.push_back(packed_weights(weights));
        for (const auto &next : told)
            *next = [all = read_first](size_t n, size_t of) { return read_by(all, n, of); };
    }

    NativeRun &run_made() {
        if (!made) throw nb::value_error("This run is finished.");
        return *made;
    }

    void add(std::unique_ptr<RunStep> step, nb::object refused = nb::none()) {
        NativeRun &run = run_made();
        products = nullptr;
        run.is_short &= step->is_short();
        run.steps.push_back(std::move(step));
        run.refused.push_back(std::move(refused));
    }

    Number in_range(nb::handle value) {
        const auto n = nb::cast<int64_t>(value);
        if (n < 0 || uint64_t(n) >= run_made().value_count())
            throw nb::index_error("A step uses a value that the run does not have.");
        return Number(n);
    }

    Number number(nb::handle value) {
        const Number n = in_range(value);
        if (kinds[n] == Kind::absent)
            throw nb::index_error("A step uses a value that is not made, or gone.");
        return n;
    }

    Number tensor(nb::handle value) {
        const Number n = number(value);
        if (kinds[n] == Kind::memory)
            throw nb::type_error("torch is given a value without tensor.");
        if (kinds[n] == Kind::given) run_made().is_tensor[n] = true;
        return n;
    }

    // Once only: a value that a step makes would take the place of another.
    Number made_number(nb::handle value, Kind kind = Kind::tensor) {
        const Number n = in_range(value);
        if (kinds[n] != Kind::absent)
            throw nb::index_error("A step makes a value that is there already.");
        if (kind == Kind::tensor && !torch_shim())
            throw nb::value_error("A tensor is made by torch, which this module was not told of.");
        kinds[n] = kind;
        return n;
    }

    Number gone_number(nb::handle value) {
        const Number n = number(value);
        if (n < run_made().first_made()) throw nb::index_error("Only what steps made is released.");
        kinds[n] = Kind::absent;
        return n;
    }

    Number optional(nb::handle value) { return value.is_none() ? NONE : number(value); }
    Number optional_tensor(nb::handle value) { return value.is_none() ? NONE : tensor(value); }

    // `after` is (name, scalars, algorithm); a weight that is no number is a tensor.
    void set(PointwiseStep &step, nb::object value, nb::object input, nb::object weight,
             nb::object bias, nb::object other, nb::str combined, nb::tuple after) {
        if (!torch_shim() || !torch_shim()->linear_pointwise)
            throw nb::value_error("This torch is built without oneDNN.");
        step.input = tensor(input), step.bias = optional_tensor(bias);
        step.other = optional_tensor(other);
        step.combined = combined.c_str();
        step.after.name = nb::borrow<nb::str>(after[0]).c_str();
        for (nb::handle scalar : nb::cast<nb::list>(after[1]))
            step.after.scalars.push_back(
                scalar.is_none() ? std::nullopt : std::optional(nb::cast<double>(scalar)));
        if (!after[2].is_none()) step.after.algorithm = nb::borrow<nb::str>(after[2]).c_str();
        if (nb::isinstance<nb::int_>(weight)) {
            step.weight = tensor(weight);
        } else {
            step.weight = NONE, step.packed = handle_of(weight.ptr());
            if (!step.packed) throw nb::type_error("A weight is a value's number or a tensor.");
            run_made().kept.push_back(weight);
        }
        step.value = made_number(value);
    }

    // A number, or (the number of a size among the call's,).
    CallSize size_of(nb::handle given) {
        if (!nb::isinstance<nb::tuple>(given)) return {nb::cast<int64_t>(given), NONE};
        const auto n = nb::cast<int64_t>(nb::borrow<nb::tuple>(given)[0]);
        if (n < 0 || uint64_t(n) >= run_made().sizes)
            throw nb::index_error("A step uses a size that the run does not have.");
        return {0, Number(n)};
    }

    std::vector<CallSize> sizes_of(nb::tuple list) {
        std::vector<CallSize> found;
        for (nb::handle entry : list) found.push_back(size_of(entry));
        return found;
    }
};

} // namespace

void add_run_steps(nb::module_ &m) {
    m.def(
        "use_torch",
        [](nb::object type, ptrdiff_t offset, nb::object wrap, nb::dict functions) {
            if (!set_torch_shim(type.ptr(), offset, wrap.ptr(), functions.ptr()))
                throw nb::python_error();
        },
        "tensor_type"_a, "offset"_a, "wrap"_a, "functions"_a);
    nb::class_<RunSteps>(m, "RunSteps")
        .def(nb::init<size_t, nb::list, size_t, nb::object, size_t, bool>(), "inputs"_a, "fixed"_a,
             "made"_a, "raise_for"_a, "sizes"_a = 0, "takes_addresses"_a = false)
        .def("launch", &RunSteps::launch, "bound"_a, "slots"_a, "again"_a.none())
        .def("watched", &RunSteps::watched, "work"_a, "operands"_a, "values"_a)
        .def("behind", &RunSteps::behind, "value"_a, "of"_a, "offset"_a, "step"_a = 0)
        .def("view", &RunSteps::view, "value"_a, "of"_a, "size"_a, "strides"_a, "offset"_a)
        .def("expect", &RunSteps::expect, "value"_a, "size"_a, "strides"_a, "like"_a = nb::none())
        .def("release", &RunSteps::release, "values"_a)
        .def("product", &RunSteps::product, "is_batched"_a, "out"_a, "c"_a.none(), "a"_a, "b"_a,
             "beta"_a, "alpha"_a, "rows"_a = 0, "row_bytes"_a = 0)
        .def("row_product", &RunSteps::row_product, "value"_a, "x"_a, "bias"_a.none(), "product"_a,
             "weights"_a, "size"_a, "offset"_a = nb::none())
        .def("attention", &RunSteps::attention, "value"_a, "query"_a, "key"_a, "vectors"_a,
             "mask"_a.none(), "is_causal"_a, "scale"_a.none())
        .def("join", &RunSteps::join, "value"_a, "joined"_a, "dimension"_a)
        .def("copy", &RunSteps::copy, "out"_a, "sources"_a, "element_bytes"_a, "fill"_a, "pieces"_a)
        .def("convolution", &RunSteps::convolution, "value"_a, "input"_a, "weight"_a,
             "bias"_a.none(), "stride"_a, "padding"_a, "dilation"_a, "is_transposed"_a,
             "output_padding"_a, "groups"_a)
        .def("linear", &RunSteps::linear, "value"_a, "input"_a, "weight"_a, "bias"_a.none(),
             "other"_a.none(), "combined"_a, "after"_a)
        .def("pointwise_convolution", &RunSteps::pointwise_convolution, "value"_a, "input"_a,
             "weight"_a, "bias"_a.none(), "other"_a.none(), "combined"_a, "after"_a, "padding"_a,
             "stride"_a, "dilation"_a, "groups"_a)
        .def("finish", &RunSteps::finish, "outputs"_a);
}

} // namespace gint
