// gint.native._native: what Python sees of the interpreter.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "arrays.h"
#include "attention_module.h"
#include "cpu/simd_unit.h"
#include "cpu/threads.h"
#include "dense_module.h"
#include "launch_type.h"
#include "native_run.h"
#include "quantized_module.h"
#include "recall.h"
#include "row_module.h"
#include "run/kernel.h"
#include "run_builder.h"
#include "scatter_module.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace gint;

namespace {

// Lists are read here, not by nanobind's casters, which may not throw: a std::bad_alloc in one ends
// the process.
int entry(nb::handle list, size_t n) { return nb::cast<int>(list[n]); }

// Slots are (type, reads, writes, axes), sections (kind, number of instructions).
Program make_program(nb::list reduced, nb::list indexed, nb::list slots, nb::list params,
                     nb::list sections, nb::bytes code, nb::bytes register_types) {
    Program p;
    for (nb::handle is_reduced : reduced) p.reduced.push_back(nb::cast<bool>(is_reduced));
    for (nb::handle axis : indexed) p.indexed |= AxisSet(1) << nb::cast<int>(axis);
    for (nb::handle facts : slots) {
        Slot slot{uint8_t(entry(facts, 0)),
                  nb::cast<bool>(facts[1]),
                  nb::cast<bool>(facts[2]),
                  false,
                  false,
                  {},
                  {}};
        for (nb::handle axis : facts[3]) slot.axes.push_back(uint8_t(nb::cast<int>(axis)));
        p.slots.push_back(std::move(slot));
    }
    for (nb::handle type : params) p.params.push_back(uint8_t(nb::cast<int>(type)));
    for (nb::handle section : sections)
        p.sections.push_back({SectionKind(entry(section, 0)), 0, uint32_t(entry(section, 1))});
    if (code.size() % sizeof(Instruction))
        throw std::invalid_argument("The program was not verified.");
    p.code.resize(code.size() / sizeof(Instruction));
    std::copy_n(code.c_str(), code.size(), reinterpret_cast<char *>(p.code.data()));
    const auto *types = reinterpret_cast<const uint8_t *>(register_types.c_str());
    p.register_types.assign(types, types + register_types.size());
    return p;
}

// Python integers beyond 64 bits and the like: no binding that may run.
struct Refused {};

int64_t integer(nb::handle value) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow || (number == -1 && PyErr_Occurred())) {
        PyErr_Clear();
        throw Refused{};
    }
    return number;
}

uint64_t parameter(nb::handle value, uint8_t type) {
    if (type == GI_i64) return uint64_t(integer(value));
    // As the verifier has it: an integer is a parameter where it fits 64 bits.
    const double number =
        PyLong_Check(value.ptr()) ? double(integer(value)) : PyFloat_AsDouble(value.ptr());
    if (number == -1.0 && PyErr_Occurred()) throw nb::python_error();
    uint64_t bits;
    std::memcpy(&bits, &number, 8);
    return bits;
}

void read_strides(nb::handle strides, const Slot &slot, SlotBinding &out) {
    nb::tuple entries = nb::cast<nb::tuple>(strides);
    if (entries.size() != slot.axes.size()) throw Refused{};
    for (size_t k = 0; k < entries.size(); k++) out.strides[k] = integer(entries[k]);
}

// Slots are (storage_bytes, offset, strides).
Binding read_binding(const Program &p, nb::tuple extents, nb::tuple params, nb::tuple slots) {
    if (params.size() != p.params.size() || slots.size() != p.slots.size()) throw Refused{};
    Binding b;
    for (nb::handle extent : extents) b.extents.push_back(integer(extent));
    for (size_t n = 0; n < params.size(); n++)
        b.params.push_back(parameter(params[n], p.params[n]));
    for (size_t n = 0; n < slots.size(); n++) {
        nb::tuple slot = nb::cast<nb::tuple>(slots[n]);
        if (slot.size() != 3) throw Refused{};
        SlotBinding bound{integer(slot[0]), integer(slot[1]), {}};
        read_strides(slot[2], p.slots[n], bound);
        b.slots.push_back(bound);
    }
    return b;
}

// 0 where the caller leaves it to OpenMP, asked anew at every launch.
int thread_count(nb::object threads) {
    if (threads.is_none()) return 0;
    return int(std::clamp<int64_t>(nb::cast<int64_t>(threads), 1, 1024));
}

nb::object prepare(const Kernel &kernel, nb::tuple extents, nb::tuple params, nb::tuple slots,
                   nb::object threads, nb::callable explain) {
    try {
        Binding binding = read_binding(kernel.get(), extents, params, slots);
        auto made = kernel.prepare(std::move(binding), thread_count(threads));
        if (!made) return nb::none();
        PyObject *object = make_launch(std::move(made), explain.ptr());
        if (!object) throw nb::python_error();
        return nb::steal(object);
    } catch (const Refused &) {
        return nb::none();
    }
}

std::vector<std::string> texts(nb::list names) {
    std::vector<std::string> found;
    for (nb::handle name : names) found.emplace_back(nb::str(name).c_str());
    return found;
}

std::optional<std::string> describe_launch(const Kernel &kernel, nb::tuple extents,
                                           nb::tuple params, nb::tuple slots, nb::list axis_names,
                                           nb::list slot_names, nb::list param_names) {
    try {
        return kernel.describe(read_binding(kernel.get(), extents, params, slots),
                               {texts(axis_names), texts(slot_names), texts(param_names)});
    } catch (const Refused &) {
        return std::nullopt;
    }
}

// Where the first element of an array lies: NumPy's own ways take a microsecond and more.
uintptr_t first_element(nb::handle array) {
    if (!is_array(array.ptr())) throw nb::type_error("Only a NumPy array has an address.");
    return Array(array.ptr()).address();
}

} // namespace

NB_MODULE(_native, m) {
    // Kernels cached for the life of the process outlive the interpreter on purpose.
    nb::set_leak_warnings(false);
    nb::register_exception_translator([](const std::exception_ptr &thrown, void *) {
        try {
            std::rethrow_exception(thrown);
        } catch (const std::bad_alloc &) {
            no_memory();
        }
    });
    m.doc() = "The C++ interpreter. See gint.kernel.interpreter.cpp.backend.";
    m.def("instruction_sets", [] {
        size_t count;
        const SimdUnit *units = simd_units(&count);
        std::vector<std::pair<std::string, bool>> names;
        for (size_t k = 0; k < count; k++)
            names.emplace_back(units[k].name + 5, units[k].supported());
        return names;
    });
    m.def("instruction_set", []() -> nb::object {
        const SimdUnit *unit = simd_unit();
        return unit ? nb::object(nb::str(unit->name + 5)) : nb::none();
    });
    m.def("default_threads", &default_threads);
    m.def("address", &first_element, "array"_a);
    m.attr("table_checksum") = GI_TABLE_CHECKSUM;

    if (!load_arrays() || !add_launch_type(m.ptr()) || !add_native_run_type(m.ptr()))
        throw nb::python_error();
    nb::class_<Kernel>(m, "Kernel")
        .def("__init__",
             [](Kernel *self, nb::list reduced, nb::list indexed, nb::list slots, nb::list params,
                nb::list sections, nb::bytes code, nb::bytes register_types) {
                 new (self) Kernel(
                     make_program(reduced, indexed, slots, params, sections, code, register_types));
             })
        .def("prepare", &prepare, "extents"_a, "params"_a, "slots"_a, "threads"_a.none(),
             "explain"_a)
        .def("describe", &describe_launch, "extents"_a, "params"_a, "slots"_a, "axis_names"_a,
             "slot_names"_a, "param_names"_a);
    add_quantized(m);
    add_run_steps(m);
    add_attention(m);
    add_dense(m);
    add_row_steps(m);
    add_recall(m);
    add_scatter(m);
}
