#include "plan_run_type.h"

#include <algorithm>
#include <structmember.h>
#include <utility>

#include "arrays.h"
#include "launch_type.h"
#include "plan_run.h"
#include "quantized_module.h"
#include "released_gil.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

struct PlanRun {
    size_t inputs = 0, made = 0, sizes = 0; // sizes: arguments behind the inputs
    std::vector<nb::object> fixed;          // tensors and arrays that are the same at every call
    std::vector<PlanValue> fixed_values;
    std::vector<std::unique_ptr<PlanStep>> steps;
    std::vector<nb::object> again; // per step: a launch on copies, or None
    std::vector<nb::object> weights;
    std::vector<Number> outputs;
    std::vector<nb::object> kept; // packed weights, whose handles steps have
    nb::object raise_for;
    bool is_short = true;

    size_t value_count() const { return inputs + fixed.size() + made; }
};

struct PlanRunObject {
    PyObject_HEAD vectorcallfunc call;
    PlanRun *run;
};

PyTypeObject *plan_run_type = nullptr;

// False with a Python error set.
bool read(PyObject *object, PlanValue *value) {
    if (is_array(object)) {
        value->address = Array(object).address();
        return true;
    }
    value->handle = handle_of(object);
    if (!value->handle) {
        PyErr_Format(PyExc_TypeError, "A run takes tensors and arrays, not %s.",
                     Py_TYPE(object)->tp_name);
        return false;
    }
    void *address = nullptr;
    if (torch_shim()->data_ptr(value->handle, &address)) {
        PyErr_SetString(PyExc_RuntimeError, "A tensor without memory came to a run.");
        return false;
    }
    value->address = reinterpret_cast<uint64_t>(address);
    return true;
}

// The values of one call. What steps made and nothing released is freed.
class Values {
  public:
    explicit Values(const PlanRun &s) : first_made(s.inputs + s.fixed.size()) {
        count = s.value_count();
        if (count > FEW) many.resize(count);
        values = count > FEW ? many.data() : few;
        std::copy(s.fixed_values.begin(), s.fixed_values.end(), values + s.inputs);
    }
    ~Values() {
        for (size_t n = first_made; n < count; n++)
            if (values[n].handle) torch_shim()->free_tensor(values[n].handle);
    }
    Values(const Values &) = delete;
    Values &operator=(const Values &) = delete;
    PlanValue *get() { return values; }

  private:
    static constexpr size_t FEW = 48;
    size_t first_made, count;
    PlanValue few[FEW], *values;
    std::vector<PlanValue> many;
};

// The steps from `next` on, as far as they are done; `next` is the one that is not.
Outcome run(const PlanRun &s, PlanValue *values, const int64_t *sizes, size_t *next,
            int32_t *flag) {
    for (; *next < s.steps.size(); ++*next) {
        const Outcome outcome = s.steps[*next]->run(values, sizes, flag);
        if (outcome != Outcome::done) return outcome;
    }
    return Outcome::done;
}

Outcome run_released(const PlanRun &s, PlanValue *values, const int64_t *sizes, size_t *next,
                     int32_t *flag) {
    if (s.is_short) return run(s, values, sizes, next, flag);
    const ReleasedGil released;
    return run(s, values, sizes, next, flag);
}

bool raise_for(const PlanRun &s, long flag) {
    PyObject *nothing = PyObject_CallFunction(s.raise_for.ptr(), "l", flag);
    Py_XDECREF(nothing);
    return nothing != nullptr;
}

// A value as Python has it; null with a Python error set.
PyObject *object_of(const PlanRun &s, Number n, const PlanValue &value,
                    PyObject *const *arguments) {
    if (n < s.inputs) return Py_NewRef(arguments[n]);
    if (n < s.inputs + s.fixed.size()) return Py_NewRef(s.fixed[n - s.inputs].ptr());
    TensorHandle copy = nullptr;
    if (!torch_shim()->copy_handle(value.handle, &copy)) return tensor_of(copy);
    PyErr_SetString(PyExc_RuntimeError, "A value of a run has no tensor.");
    return nullptr;
}

// Runs a refused launch on copies of its memory; false with a Python error set.
bool run_again(const PlanRun &s, size_t n, const PlanValue *values, PyObject *const *arguments) {
    const auto &slots = static_cast<const LaunchStep &>(*s.steps[n]).memory();
    PyObject *tensors = PyTuple_New(Py_ssize_t(slots.size()));
    for (size_t k = 0; tensors && k < slots.size(); k++) {
        PyObject *tensor = object_of(s, slots[k], values[slots[k]], arguments);
        if (!tensor)
            Py_CLEAR(tensors);
        else
            PyTuple_SET_ITEM(tensors, Py_ssize_t(k), tensor);
    }
    if (!tensors) return false;
    PyObject *result = PyObject_CallOneArg(s.again[n].ptr(), tensors);
    Py_DECREF(tensors);
    if (!result) return false;
    const long flag = PyLong_AsLong(result);
    Py_DECREF(result);
    if (flag == -1 && PyErr_Occurred()) return false;
    return flag == 0 || raise_for(s, flag);
}

bool settle(const PlanRun &s, size_t n, Outcome outcome, int32_t flag, const PlanValue *values,
            PyObject *const *arguments) {
    switch (outcome) {
    case Outcome::refused:
        return run_again(s, n, values, arguments);
    case Outcome::flagged:
        return raise_for(s, flag);
    case Outcome::no_memory:
        no_memory();
        return false;
    case Outcome::failed: {
        const char *what = torch_shim()->what();
        PyErr_Format(PyExc_RuntimeError, "An operator of torch's failed in a plan: %s",
                     what && *what ? what : "its operands do not fit together");
        return false;
    }
    case Outcome::done:
        break;
    }
    return true;
}

// None, a tensor or a tuple of them; null with a Python error set.
PyObject *results(const PlanRun &s, PlanValue *values) {
    const auto take = [&](Number n) { return tensor_of(std::exchange(values[n].handle, nullptr)); };
    if (s.outputs.empty()) Py_RETURN_NONE;
    if (s.outputs.size() == 1) return take(s.outputs[0]);
    PyObject *tuple = PyTuple_New(Py_ssize_t(s.outputs.size()));
    for (size_t k = 0; tuple && k < s.outputs.size(); k++) {
        PyObject *tensor = take(s.outputs[k]);
        if (!tensor)
            Py_CLEAR(tuple);
        else
            PyTuple_SET_ITEM(tuple, Py_ssize_t(k), tensor);
    }
    return tuple;
}

PyObject *call(PyObject *object, PyObject *const *arguments, size_t flags, PyObject *names) {
    const PlanRun &s = *reinterpret_cast<PlanRunObject *>(object)->run;
    const size_t count = size_t(PyVectorcall_NARGS(flags));
    if (count != s.inputs + s.sizes || (names && PyTuple_GET_SIZE(names))) {
        PyErr_Format(PyExc_TypeError,
                     "This run takes %zu tensors or arrays and %zu sizes, not %zu.", s.inputs,
                     s.sizes, count);
        return nullptr;
    }
    try {
        Values values(s);
        for (size_t n = 0; n < s.inputs; n++)
            if (!read(arguments[n], values.get() + n)) return nullptr;
        std::vector<int64_t> sizes(s.sizes);
        for (size_t n = 0; n < s.sizes; n++) {
            sizes[n] = PyLong_AsLongLong(arguments[s.inputs + n]);
            if (sizes[n] == -1 && PyErr_Occurred()) return nullptr;
        }
        int32_t flag = 0;
        for (size_t next = 0;; next++) {
            const Outcome outcome = run_released(s, values.get(), sizes.data(), &next, &flag);
            if (outcome == Outcome::done) return results(s, values.get());
            if (!settle(s, next, outcome, flag, values.get(), arguments)) return nullptr;
        }
    } catch (const std::bad_alloc &) {
        return no_memory();
    }
}

void destroy(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    delete reinterpret_cast<PlanRunObject *>(object)->run;
    type->tp_free(object);
    Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PlanRunObject, call), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};
PyType_Slot type_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void *>(destroy)},
    {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
    {Py_tp_members, members},
    {Py_tp_doc, const_cast<char *>("run(tensor or array, ...)\n\nSteps in one call.")},
    {0, nullptr},
};
PyType_Spec spec = {"gint.native._native.PlanRun", sizeof(PlanRunObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                        Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    type_slots};

// Collects steps. Numbers of values are checked as steps are added, so that none is ever beyond.
class PlanSteps {
  public:
    PlanSteps(size_t inputs, nb::list fixed, size_t made, nb::object raise_for, size_t sizes)
        : made(std::make_unique<PlanRun>()) {
        this->made->inputs = inputs, this->made->made = made, this->made->sizes = sizes;
        this->made->raise_for = std::move(raise_for);
        for (nb::handle object : fixed) {
            PlanValue value;
            if (!read(object.ptr(), &value)) throw nb::python_error();
            this->made->fixed.push_back(nb::borrow(object));
            this->made->fixed_values.push_back(value);
        }
        is_there.resize(this->made->value_count());
        std::fill_n(is_there.begin(), first_made(), true);
    }

    void launch(nb::object bound, nb::list slots, nb::object again) {
        auto launch = launch_of(bound.ptr());
        if (!launch) throw nb::type_error("A run takes launches of the C++ interpreter.");
        std::vector<Number> numbers;
        for (nb::handle slot : slots) numbers.push_back(number(slot));
        if (numbers.size() != launch->slot_count())
            throw nb::value_error("A launch takes one value per slot.");
        add(std::make_unique<LaunchStep>(std::move(launch), std::move(numbers)), again);
    }

    void view(nb::object value, nb::object of, nb::tuple size, nb::tuple strides,
              nb::object offset) {
        auto step = std::make_unique<ViewStep>();
        step->of = number(of), step->size = sizes_of(size), step->strides = sizes_of(strides);
        if (step->size.size() != step->strides.size())
            throw nb::value_error("A view has a stride for each of its dimensions.");
        step->offset = size_of(offset), step->value = made_number(value);
        add(std::move(step));
    }

    void expect(nb::object value, nb::tuple size, nb::tuple strides) {
        auto step = std::make_unique<ExpectStep>();
        step->value = number(value);
        if (step->value < first_made()) throw nb::index_error("Only what steps made is expected.");
        step->size = sizes_of(size), step->strides = sizes_of(strides);
        if (step->size.size() != step->strides.size())
            throw nb::value_error("What is expected has a stride for each of its dimensions.");
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
        step->out = number(out), step->c = optional(c), step->a = number(a), step->b = number(b);
        add(std::move(step));
    }

    void row_product(nb::object value, nb::object x, nb::object bias, nb::object product,
                     nb::object weights, nb::tuple size) {
        auto step = std::make_unique<RowProductStep>();
        step->x = number(x), step->bias = optional(bias), step->size = integers(size);
        if (step->size.empty())
            throw nb::value_error("A product of rows has one dimension or more.");
        step->outputs = size_t(step->size.back()), step->rows = 1;
        step->strides.resize(step->size.size());
        int64_t stride = 1;
        for (size_t d = step->size.size(); d-- > 0; stride *= std::max<int64_t>(step->size[d], 1))
            step->strides[d] = stride;
        for (size_t d = 0; d + 1 < step->size.size(); d++) step->rows *= size_t(step->size[d]);
        step->multiply = rows_product(product, weights, step->rows);
        step->value = made_number(value);
        run_made().weights.push_back(std::move(weights));
        add(std::move(step));
    }

    void attention(nb::object value, nb::object query, nb::object key, nb::object vectors,
                   nb::object mask, bool is_causal, nb::object scale) {
        auto step = std::make_unique<AttentionStep>();
        step->query = number(query), step->key = number(key), step->vectors = number(vectors);
        step->mask = optional(mask), step->is_causal = is_causal;
        step->is_scaled = !scale.is_none();
        step->scale = step->is_scaled ? nb::cast<double>(scale) : 1.0;
        step->value = made_number(value);
        add(std::move(step));
    }

    void join(nb::object value, nb::list joined, int64_t dimension) {
        auto step = std::make_unique<JoinStep>();
        for (nb::handle one : joined) step->joined.push_back(number(one));
        if (step->joined.empty() || dimension < 0)
            throw nb::value_error("One tensor or more are joined, along a dimension from 0 on.");
        step->dimension = size_t(dimension), step->value = made_number(value);
        add(std::move(step));
    }

    // `pieces` are (number of a source, offset in out, offset in the source, axes), in elements; an
    // axis is (extent, stride in out, stride in the source, positions or None).
    void copy(nb::object out, nb::list sources, size_t element_bytes, uint64_t fill,
              nb::list pieces) {
        if (element_bytes != 1 && element_bytes != 2 && element_bytes != 4 && element_bytes != 8)
            throw nb::value_error("An element that is copied is of 1, 2, 4 or 8 bytes.");
        std::vector<Number> numbers;
        for (nb::handle source : sources) numbers.push_back(number(source));
        std::vector<Piece> made;
        for (nb::handle piece : pieces) made.push_back(piece_of(nb::cast<nb::tuple>(piece)));
        for (const Piece &piece : made)
            if (piece.number >= numbers.size())
                throw nb::index_error("A piece is of a source that the step does not have.");
        add(std::make_unique<CopyStep>(number(out), std::move(numbers),
                                       Copies(element_bytes, fill, made)));
    }

    void convolution(nb::object value, nb::object input, nb::object weight, nb::object bias,
                     nb::list stride, nb::list padding, nb::list dilation, bool is_transposed,
                     nb::list output_padding, int64_t groups) {
        auto step = std::make_unique<ConvolutionStep>();
        step->input = number(input), step->weight = number(weight), step->bias = optional(bias);
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
        for (nb::handle value : outputs) run_made().outputs.push_back(gone_number(value));
        auto *object = PyObject_New(PlanRunObject, plan_run_type);
        if (!object) throw nb::python_error();
        object->call = call;
        object->run = made.release();
        return nb::steal(reinterpret_cast<PyObject *>(object));
    }

  private:
    std::unique_ptr<PlanRun> made;
    std::vector<bool> is_there; // per value, after the steps so far

    PlanRun &run_made() {
        if (!made) throw nb::value_error("This run is finished.");
        return *made;
    }

    void add(std::unique_ptr<PlanStep> step, nb::object again = nb::none()) {
        run_made().is_short &= step->is_short();
        run_made().steps.push_back(std::move(step));
        run_made().again.push_back(std::move(again));
    }

    size_t first_made() { return run_made().inputs + run_made().fixed.size(); }

    Number in_range(nb::handle value) {
        const auto n = nb::cast<int64_t>(value);
        if (n < 0 || uint64_t(n) >= run_made().value_count())
            throw nb::index_error("A step uses a value that the run does not have.");
        return Number(n);
    }

    Number number(nb::handle value) {
        const Number n = in_range(value);
        if (!is_there[n]) throw nb::index_error("A step uses a value that is not made, or gone.");
        return n;
    }

    // Once only: a value that a step makes would take the place of another.
    Number made_number(nb::handle value) {
        const Number n = in_range(value);
        if (is_there[n]) throw nb::index_error("A step makes a value that is there already.");
        is_there[n] = true;
        return n;
    }

    Number gone_number(nb::handle value) {
        const Number n = number(value);
        if (n < first_made()) throw nb::index_error("Only what steps made is released.");
        is_there[n] = false;
        return n;
    }

    // `after` is (name, scalars, algorithm); a weight that is no number is a tensor.
    void set(PointwiseStep &step, nb::object value, nb::object input, nb::object weight,
             nb::object bias, nb::object other, nb::str combined, nb::tuple after) {
        if (!torch_shim() || !torch_shim()->linear_pointwise)
            throw nb::value_error("This torch is built without oneDNN.");
        step.input = number(input), step.bias = optional(bias), step.other = optional(other);
        step.combined = combined.c_str();
        step.after.name = nb::borrow<nb::str>(after[0]).c_str();
        for (nb::handle scalar : nb::cast<nb::list>(after[1]))
            step.after.scalars.push_back(
                scalar.is_none() ? std::nullopt : std::optional(nb::cast<double>(scalar)));
        if (!after[2].is_none()) step.after.algorithm = nb::borrow<nb::str>(after[2]).c_str();
        if (nb::isinstance<nb::int_>(weight)) {
            step.weight = number(weight);
        } else {
            step.weight = NONE, step.packed = handle_of(weight.ptr());
            if (!step.packed) throw nb::type_error("A weight is a value's number or a tensor.");
            run_made().kept.push_back(weight);
        }
        step.value = made_number(value);
    }

    Number optional(nb::handle value) { return value.is_none() ? NONE : number(value); }

    // A number, or (the number of a size among the call's,).
    PlanSize size_of(nb::handle given) {
        if (!nb::isinstance<nb::tuple>(given)) return {nb::cast<int64_t>(given), NONE};
        const auto n = nb::cast<int64_t>(nb::borrow<nb::tuple>(given)[0]);
        if (n < 0 || uint64_t(n) >= run_made().sizes)
            throw nb::index_error("A step uses a size that the run does not have.");
        return {0, Number(n)};
    }

    std::vector<PlanSize> sizes_of(nb::tuple list) {
        std::vector<PlanSize> found;
        for (nb::handle entry : list) found.push_back(size_of(entry));
        return found;
    }

    static Piece piece_of(nb::tuple given) {
        Piece piece{nb::cast<size_t>(given[0]),
                    nb::cast<int64_t>(given[1]),
                    nb::cast<int64_t>(given[2]),
                    {}};
        for (nb::handle entry : nb::cast<nb::tuple>(given[3])) {
            const auto axis = nb::cast<nb::tuple>(entry);
            CopyAxis made{nb::cast<int64_t>(axis[0]),
                          nb::cast<int64_t>(axis[1]),
                          nb::cast<int64_t>(axis[2]),
                          {}};
            if (!axis[3].is_none())
                for (nb::handle at : axis[3])
                    made.positions.push_back(at.is_none() ? OUTSIDE : nb::cast<int64_t>(at));
            if (!axis[3].is_none() && int64_t(made.positions.size()) != made.extent)
                throw nb::value_error("An axis has as many positions as elements.");
            piece.axes.push_back(std::move(made));
        }
        return piece;
    }

    static std::vector<int64_t> integers(nb::handle list) {
        std::vector<int64_t> found;
        for (nb::handle entry : list) found.push_back(nb::cast<int64_t>(entry));
        return found;
    }
};

} // namespace

void add_plan_runs(nb::module_ &m) {
    plan_run_type = reinterpret_cast<PyTypeObject *>(PyType_FromSpec(&spec));
    if (!plan_run_type) throw nb::python_error();
    m.attr("PlanRun") = nb::borrow(reinterpret_cast<PyObject *>(plan_run_type));
    m.def(
        "use_torch",
        [](nb::object type, ptrdiff_t offset, nb::object wrap, nb::dict functions) {
            if (!set_torch_shim(type.ptr(), offset, wrap.ptr(), functions.ptr()))
                throw nb::python_error();
        },
        "tensor_type"_a, "offset"_a, "wrap"_a, "functions"_a);
    nb::class_<PlanSteps>(m, "PlanSteps")
        .def(nb::init<size_t, nb::list, size_t, nb::object, size_t>(), "inputs"_a, "fixed"_a,
             "made"_a, "raise_for"_a, "sizes"_a = 0)
        .def("launch", &PlanSteps::launch, "bound"_a, "slots"_a, "again"_a.none())
        .def("view", &PlanSteps::view, "value"_a, "of"_a, "size"_a, "strides"_a, "offset"_a)
        .def("expect", &PlanSteps::expect, "value"_a, "size"_a, "strides"_a)
        .def("release", &PlanSteps::release, "values"_a)
        .def("product", &PlanSteps::product, "is_batched"_a, "out"_a, "c"_a.none(), "a"_a, "b"_a,
             "beta"_a, "alpha"_a, "rows"_a = 0, "row_bytes"_a = 0)
        .def("row_product", &PlanSteps::row_product, "value"_a, "x"_a, "bias"_a.none(), "product"_a,
             "weights"_a, "size"_a)
        .def("attention", &PlanSteps::attention, "value"_a, "query"_a, "key"_a, "vectors"_a,
             "mask"_a.none(), "is_causal"_a, "scale"_a.none())
        .def("join", &PlanSteps::join, "value"_a, "joined"_a, "dimension"_a)
        .def("copy", &PlanSteps::copy, "out"_a, "sources"_a, "element_bytes"_a, "fill"_a,
             "pieces"_a)
        .def("convolution", &PlanSteps::convolution, "value"_a, "input"_a, "weight"_a,
             "bias"_a.none(), "stride"_a, "padding"_a, "dilation"_a, "is_transposed"_a,
             "output_padding"_a, "groups"_a)
        .def("linear", &PlanSteps::linear, "value"_a, "input"_a, "weight"_a, "bias"_a.none(),
             "other"_a.none(), "combined"_a, "after"_a)
        .def("pointwise_convolution", &PlanSteps::pointwise_convolution, "value"_a, "input"_a,
             "weight"_a, "bias"_a.none(), "other"_a.none(), "combined"_a, "after"_a, "padding"_a,
             "stride"_a, "dilation"_a, "groups"_a)
        .def("finish", &PlanSteps::finish, "outputs"_a);
}

} // namespace gint
