#include "recall.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "arrays.h"
#include "launch_type.h"
#include "program/regions.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

constexpr size_t MOST_CALLS = 256, MOST_OPERANDS = 8, MOST_SOURCES = 16;

struct Range {
    uint64_t low = 0, high = 0;
    bool meets(const Range &other) const { return low < other.high && other.low < high; }
};

// The bytes from the first to the last that an element has.
Range range_of(const Array &a) {
    int64_t low = 0, high = int64_t(a.plain_size());
    for (int d = 0; d < a.rank(); d++) {
        if (a.length(d) == 0) return {a.address(), a.address()};
        extend(low, high, a.length(d), a.stride(d));
    }
    return {a.address() + uint64_t(low), a.address() + uint64_t(high)};
}

// The key of a call, and the operands among its arguments: arrays, and objects with a key.
class Reader {
  public:
    Reader() { key.reserve(256); }

    // `kwargs` may be null.
    bool read(PyObject *backend, PyObject *args, PyObject *kwargs) {
        append(backend);
        for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(args); n++)
            if (!read_value(PyTuple_GET_ITEM(args, n))) return false;
        PyObject *name, *value;
        for (Py_ssize_t at = 0; kwargs && PyDict_Next(kwargs, &at, &name, &value);)
            if (!read_text(name) || !read_value(value)) return false;
        return true;
    }

    std::string key;
    size_t count = 0;
    nb::handle operands[MOST_OPERANDS];
    Range ranges[MOST_OPERANDS]; // empty for other objects: their memory is their own

  private:
    uint64_t addresses[MOST_OPERANDS];

    template <class T> void append(T value) {
        key.append(reinterpret_cast<const char *>(&value), sizeof value);
    }

    bool read_value(nb::handle value) {
        PyTypeObject *type = Py_TYPE(value.ptr());
        if (type == array_type()) return read_array(value);
        if (type == &PyFloat_Type) {
            key += 'F';
            append(PyFloat_AS_DOUBLE(value.ptr()));
            return true;
        }
        if (type == &PyLong_Type) {
            int overflow;
            key += 'I';
            append(PyLong_AsLongLongAndOverflow(value.ptr(), &overflow));
            return !overflow;
        }
        if (type == &PyUnicode_Type) return read_text(value);
        if (type == &PyTuple_Type) return read_numbers(nb::borrow<nb::tuple>(value));
        if (value.is_none() || type == &PyBool_Type) {
            key += 'O';
            append(value.ptr()); // there once
            return true;
        }
        return read_object(value);
    }

    bool read_numbers(nb::tuple values) {
        key += 'T';
        append(values.size());
        for (nb::handle value : values)
            if (Py_TYPE(value.ptr()) != &PyLong_Type || !read_value(value)) return false;
        return true;
    }

    // What has a layout of its own, and says all of it in `recall_key`.
    bool read_object(nb::handle value) {
        const nb::object own = nb::steal(PyObject_GetAttrString(value.ptr(), "recall_key"));
        if (!own.is_valid()) PyErr_Clear();
        if (!own.is_valid() || !PyBytes_Check(own.ptr()) || count == MOST_OPERANDS) return false;
        key += 'P';
        append(PyBytes_GET_SIZE(own.ptr()));
        key.append(PyBytes_AS_STRING(own.ptr()), size_t(PyBytes_GET_SIZE(own.ptr())));
        addresses[count] = 0;
        operands[count++] = value;
        return true;
    }

    bool read_text(nb::handle text) {
        Py_ssize_t size;
        const char *bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
        if (!bytes) {
            PyErr_Clear();
            return false;
        }
        key += 'S';
        append(size);
        key.append(bytes, size_t(size));
        return true;
    }

    bool read_array(nb::handle value) {
        const Array a(value.ptr());
        if (!a.plain_size() || !a.is_behaved() || count == MOST_OPERANDS) return false;
        addresses[count] = a.address();
        ranges[count] = range_of(a);
        size_t first = 0; // of the arrays that begin where this one does
        while (addresses[first] != addresses[count]) first++;
        const char facts[] = {'A', char(a.type()), char(a.is_writable()), char(first),
                              char(a.rank())};
        key.append(facts, sizeof facts);
        for (int d = 0; d < a.rank(); d++) append(a.length(d));
        for (int d = 0; d < a.rank(); d++) append(a.stride(d));
        operands[count++] = value;
        return true;
    }
};

// The call's operands from 0, its new results downwards from -1.
class Arrays {
  public:
    Arrays(const Reader &call, const std::vector<nb::object> &makers) : call(call) {
        for (const nb::object &make : makers) {
            made.push_back(is_exact_array(make.ptr()) ? nb::steal(new_like(make.ptr())) : make());
            if (!made.back().is_valid()) throw nb::python_error();
        }
    }
    nb::handle operator[](int which) const {
        return which < 0 ? nb::handle(made[size_t(-1 - which)]) : call.operands[which];
    }

  private:
    const Reader &call;
    std::vector<nb::object> made;
};

bool result_overlaps(const RecalledCall &way, const Reader &call) {
    const int result = way.sources.back();
    if (result < 0) return false; // new memory
    for (int source : way.sources)
        if (source >= 0 && source != result && call.ranges[source].meets(call.ranges[result]))
            return true;
    return std::count(way.sources.begin(), way.sources.end(), result) > 1;
}

int32_t launch(const RecalledCall &way, const Arrays &arrays) {
    PyObject *arguments[MOST_SOURCES];
    const size_t count = way.sources.size();
    for (size_t n = 0; n < count; n++) arguments[n] = arrays[way.sources[n]].ptr();
    const nb::object flag =
        nb::steal(PyObject_Vectorcall(way.launch.ptr(), arguments, count, nullptr));
    if (!flag.is_valid()) throw nb::python_error();
    return flag.is_none() ? 0 : nb::cast<int32_t>(flag);
}

} // namespace

Recall::Recall(nb::object variable, nb::object otherwise, nb::object raise, nb::object way)
    : backend(std::move(variable)), default_backend(std::move(otherwise)),
      raise_for(std::move(raise)), long_way(std::move(way)) {}

nb::object Recall::chosen_backend() const {
    PyObject *value;
    if (PyContextVar_Get(backend.ptr(), nullptr, &value)) throw nb::python_error();
    nb::object chosen = nb::steal(value); // null where there is no value and no default
    return chosen.is_valid() && !chosen.is_none() ? std::move(chosen) : default_backend;
}

nb::object Recall::key(nb::tuple args, nb::dict kwargs) const {
    Reader call;
    if (!call.read(chosen_backend().ptr(), args.ptr(), kwargs.ptr())) return nb::none();
    return nb::bytes(call.key.data(), call.key.size());
}

void Recall::remember(nb::bytes key, RecalledCall call) {
    const auto fits = [&](int which) {
        return which < int(MOST_OPERANDS) && -1 - which < int(call.makers.size());
    };
    if (call.sources.empty() || call.sources.size() > MOST_SOURCES || call.returns.empty() ||
        !std::all_of(call.sources.begin(), call.sources.end(), fits) ||
        !std::all_of(call.returns.begin(), call.returns.end(), fits))
        throw nb::value_error("No such call can be remembered.");
    if (known.size() >= MOST_CALLS) known.clear();
    known[{key.c_str(), key.size()}] = std::make_shared<const RecalledCall>(std::move(call));
}

nb::object Recall::recall(PyObject *args, PyObject *kwargs) {
    Reader call;
    if (!call.read(chosen_backend().ptr(), args, kwargs)) return {};
    const auto found = known.find(call.key);
    if (found == known.end()) return {};
    const std::shared_ptr<const RecalledCall> way = found->second; // others may forget it meanwhile
    if (way->check_overlap && result_overlaps(*way, call)) return {};
    const Arrays arrays(call, way->makers);
    if (const int32_t flag = launch(*way, arrays)) raise_for(flag);
    if (!way->returns_tuple) return nb::borrow(arrays[way->returns[0]]);
    nb::list results;
    for (int which : way->returns) results.append(arrays[which]);
    return nb::tuple(results);
}

PyObject *Recall::call(PyObject *self, PyObject *args, PyObject *kwargs) {
    try {
        auto *recall = nb::inst_ptr<Recall>(self);
        if (nb::object found = recall->recall(args, kwargs); found.is_valid())
            return found.release().ptr();
        const nb::object names = kwargs ? nb::borrow(kwargs) : nb::object(nb::dict());
        return recall->long_way(nb::handle(self), nb::handle(args), names).release().ptr();
    } catch (nb::python_error &error) {
        error.restore();
    } catch (const std::bad_alloc &) {
        no_memory();
    } catch (const std::exception &error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

namespace {

// As functions do: found in an instance, they are methods.
PyObject *bind(PyObject *self, PyObject *instance, PyObject *) {
    if (!instance || instance == Py_None) return Py_NewRef(self);
    return PyMethod_New(self, instance);
}

PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void *>(Recall::call)},
                       {Py_tp_descr_get, reinterpret_cast<void *>(bind)},
                       {0, nullptr}};

} // namespace

void add_recall(nb::module_ &m) {
    nb::class_<Recall>(m, "Recall", nb::dynamic_attr(), nb::type_slots(slots))
        .def(nb::init<nb::object, nb::object, nb::object, nb::object>(), "backend"_a,
             "default_backend"_a, "raise_for"_a, "long_way"_a)
        .def("key", &Recall::key, "args"_a, "kwargs"_a)
        .def("__repr__",
             [](nb::handle self) {
                 return nb::str("<{}.{}>").format(self.attr("__module__"),
                                                  self.attr("__qualname__"));
             })
        .def("__reduce__", [](nb::handle self) { return self.attr("__qualname__"); })
        .def(
            "remember",
            [](Recall &self, nb::bytes key, nb::object launch, nb::list sources, nb::list makers,
               nb::list returns, bool returns_tuple, bool check_overlap) {
                RecalledCall call{std::move(launch), {}, {}, {}, returns_tuple, check_overlap};
                // Not by nanobind's casters, in which std::bad_alloc ends the process.
                for (nb::handle n : sources) call.sources.push_back(nb::cast<int>(n));
                for (nb::handle n : returns) call.returns.push_back(nb::cast<int>(n));
                for (nb::handle maker : makers) call.makers.push_back(nb::borrow(maker));
                self.remember(std::move(key), std::move(call));
            },
            "key"_a, "launch"_a, "sources"_a, "makers"_a, "returns"_a, "returns_tuple"_a,
            "check_overlap"_a);
}

} // namespace gint
